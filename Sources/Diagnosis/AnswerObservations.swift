/// How held answers are compressed on the way; Holdfast compresses none of them.
///
/// Of its pages it doesn't matter: they are whole when they are sent.
package struct CompressionObservation: Sendable {
    /// The Content-Encoding of what was looked at; nil where it has none.
    package struct Look: Equatable, Sendable {
        package let what: String
        package let encoding: String?

        package init(what: String, encoding: String?) {
            self.what = what
            self.encoding = encoding
        }
    }

    /// Empty where nothing could be held.
    package let looks: [Look]

    package init(looks: [Look]) { self.looks = looks }

    package func finding(behind way: Way) -> Finding {
        guard !looks.isEmpty else {
            return Finding(.compression, .unknown, "Nothing was held to look at.")
        }
        guard let look = looks.first(where: { $0.encoding != nil }), let encoding = look.encoding
        else { return Finding(.compression, .ok, "Held answers are not compressed on the way.") }
        return Finding(
            .compression,
            .problem,
            "\(look.what) compressed on the way (\(encoding)), which may keep back what is sent before the end.",
            Remedy.compresses.advice(for: way)
        )
    }
}

/// Which versions of HTTP the site speaks.
package struct VersionObservation: Sendable {
    /// `1.1`, or `1.0` of what is answered to it; nil: it is not answered.
    package let http1: String?
    package let http2: Bool
    package let isSecure: Bool

    /// All by which clients come; departures show differently in each.
    package var answered: [String] { (http1.map { [$0] } ?? []) + (http2 ? ["2"] : []) }

    package init(http1: String?, http2: Bool, isSecure: Bool) {
        self.http1 = http1
        self.http2 = http2
        self.isSecure = isSecure
    }

    package func finding(behind way: Way) -> Finding {
        switch (http1, http2) {
        case (let http1?, true):
            return Finding(.versions, .ok, "HTTP/\(http1) and HTTP/2 are answered.")
        case (nil, true):
            return Finding(.versions, .ok, "HTTP/2 is answered, HTTP/1.1 is not.")
        case (nil, false):
            return Finding(.versions, .unknown, "Neither HTTP/1.1 nor HTTP/2 is answered.")
        case ("1.0"?, false):
            return Finding(
                .versions,
                .ok,
                "HTTP/1.0 is answered, and nothing newer: each request has a connection of its own."
            )
        case (_?, false): break
        }
        if !isSecure {
            return Finding(
                .versions,
                .ok,
                "HTTP/1.1 is answered, HTTP/2 is not, which browsers speak with https only."
            )
        }
        return Finding(
            .versions,
            .problem,
            "HTTP/2 is not answered: by HTTP/1.1 a browser holds at most six requests to a site, of all its tabs.",
            Remedy.lacksHTTP2.advice(for: way)
        )
    }
}

/// How long a URL may be.
package struct URLObservation: Sendable {
    package struct Trial: Equatable, Sendable {
        /// Bytes from the path to the end of the query.
        package let length: Int
        /// Nil where no answer came.
        package let status: Int?

        package init(length: Int, status: Int?) {
            self.length = length
            self.status = status
        }
    }

    /// What a short URL is answered.
    package let usual: Int
    /// Ascending, to the first that fails.
    package let trials: [Trial]

    package init(usual: Int, trials: [Trial]) {
        self.usual = usual
        self.trials = trials
    }

    package func finding(behind way: Way) -> Finding {
        let passed = trials.last { $0.status == usual }?.length ?? 0
        guard let failed = trials.first(where: { $0.status != usual }) else {
            return Finding(.urlLength, .ok, "URLs of \(passed) bytes pass.")
        }
        let answer = failed.status.map { "answered \($0)" } ?? "not answered"
        let until = passed > 0 ? "; \(passed) bytes pass" : ""
        // Too long for the server's own reading is an error of the client's; one of the server's is about the answer.
        let remedy: Remedy = (failed.status ?? 0) >= 500 ? .headerTooLarge : .shortensURLs
        return Finding(
            .urlLength,
            .problem,
            "A URL of \(failed.length) bytes is \(answer)\(until).",
            remedy.advice(for: way)
        )
    }
}
