/// Whether held answers are compressed on the way; Holdfast itself compresses none of them.
///
/// Compression of its pages does no harm: they are sent whole.
package struct CompressionObservation: Sendable {
    /// One answer and its Content-Encoding; nil if it has none.
    package struct Sample: Equatable, Sendable {
        package let what: String
        package let encoding: String?

        package init(what: String, encoding: String?) {
            self.what = what
            self.encoding = encoding
        }
    }

    /// Empty if no request could be held.
    package let samples: [Sample]

    package init(samples: [Sample]) { self.samples = samples }

    package func finding(behind servers: ServerChain) -> Finding {
        guard !samples.isEmpty else {
            return Finding(.compression, .unknown, "No held answer could be examined.")
        }
        guard let sample = samples.first(where: { $0.encoding != nil }),
            let encoding = sample.encoding
        else { return Finding(.compression, .ok, "Held answers are not compressed on the way.") }
        return Finding(
            .compression,
            .problem,
            "\(sample.what) compressed on the way (\(encoding)), which may delay what is sent before the end.",
            Remedy.compresses.advice(for: servers)
        )
    }
}

/// The versions of HTTP that the site speaks.
package struct VersionObservation: Sendable {
    /// The version of the answer to a HTTP/1.1 request, `1.1` or `1.0`; nil if there is none.
    package let http1: String?
    package let http2: Bool
    package let isSecure: Bool

    /// The versions that clients can use; departures may show differently in each.
    package var answered: [String] { (http1.map { [$0] } ?? []) + (http2 ? ["2"] : []) }

    package init(http1: String?, http2: Bool, isSecure: Bool) {
        self.http1 = http1
        self.http2 = http2
        self.isSecure = isSecure
    }

    package func finding(behind servers: ServerChain) -> Finding {
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
                "HTTP/1.0 is answered, and nothing newer: each request has its own connection."
            )
        case (_?, false): break
        }
        if !isSecure {
            return Finding(
                .versions,
                .ok,
                "HTTP/1.1 is answered; HTTP/2 is not, but browsers use it only with https."
            )
        }
        return Finding(
            .versions,
            .problem,
            "HTTP/2 is not answered: over HTTP/1.1, all tabs of a browser together hold at most six requests to a site.",
            Remedy.lacksHTTP2.advice(for: servers)
        )
    }
}

/// The length of URLs that the site accepts.
package struct URLObservation: Sendable {
    package struct Trial: Equatable, Sendable {
        /// Bytes from the path to the end of the query.
        package let length: Int
        /// Nil if no answer came.
        package let status: Int?

        package init(length: Int, status: Int?) {
            self.length = length
            self.status = status
        }
    }

    /// The status of the answer to a short URL.
    package let usual: Int
    /// In ascending order of length, up to the first failure.
    package let trials: [Trial]

    package init(usual: Int, trials: [Trial]) {
        self.usual = usual
        self.trials = trials
    }

    package func finding(behind servers: ServerChain) -> Finding {
        let passed = trials.last { $0.status == usual }?.length ?? 0
        guard let failed = trials.first(where: { $0.status != usual }) else {
            return Finding(.urlLength, .ok, "URLs of \(passed) bytes pass.")
        }
        let answer = failed.status.map { "answered \($0)" } ?? "not answered"
        let until = passed > 0 ? "; \(passed) bytes pass" : ""
        // A URL that the server cannot read is a client error; a server error is about the header of the answer.
        let remedy: Remedy = (failed.status ?? 0) >= 500 ? .headerTooLarge : .shortensURLs
        return Finding(
            .urlLength,
            .problem,
            "A URL of \(failed.length) bytes is \(answer)\(until).",
            remedy.advice(for: servers)
        )
    }
}
