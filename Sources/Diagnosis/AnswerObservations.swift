/// How answers are compressed on the way; Holdfast itself compresses none.
package struct CompressionObservation: Sendable {
    /// Values of Content-Encoding in the answers looked at.
    package let encodings: [String]

    package init(encodings: [String]) { self.encodings = encodings }

    package func finding(behind server: FrontEnd) -> Finding {
        guard let encoding = encodings.first else {
            return Finding(.compression, .ok, "Answers are not compressed on the way.")
        }
        return Finding(
            .compression,
            .problem,
            "Answers are compressed on the way (\(encoding)), which may keep the bytes of a held answer back.",
            Remedy.compresses.advice(for: server)
        )
    }
}

/// Which versions of HTTP the site speaks.
package struct VersionObservation: Sendable {
    package let http1: Bool
    package let http2: Bool
    package let isSecure: Bool

    package init(http1: Bool, http2: Bool, isSecure: Bool) {
        self.http1 = http1
        self.http2 = http2
        self.isSecure = isSecure
    }

    package func finding(behind server: FrontEnd) -> Finding {
        switch (http1, http2) {
        case (true, true): return Finding(.versions, .ok, "HTTP/1.1 and HTTP/2 are answered.")
        case (false, true): return Finding(.versions, .ok, "HTTP/2 is answered, HTTP/1.1 is not.")
        case (false, false):
            return Finding(.versions, .unknown, "Neither HTTP/1.1 nor HTTP/2 is answered.")
        case (true, false): break
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
            Remedy.lacksHTTP2.advice(for: server)
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

    package func finding(behind server: FrontEnd) -> Finding {
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
            remedy.advice(for: server)
        )
    }
}
