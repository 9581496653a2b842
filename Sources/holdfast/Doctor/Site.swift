internal import Diagnosis
internal import Reactor

/// The site as its clients see it.
struct Site {
    /// With the `/` at its end.
    let base: String
    /// Credentials, as whole header lines.
    let headers: [String]
    let patienceSeconds: Int
    /// Where the usual one is not understood.
    var version: WebRequest.Version?

    var isSecure: Bool { base.lowercased().hasPrefix("https:") }

    /// From the host to the base's last `/`.
    var path: Substring {
        let parts = base.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count == 4 ? "/" + parts[3] : "/"
    }

    /// A request under way.
    ///
    /// - Parameter credentials: whether it carries those given.
    func visit(
        _ target: String,
        method: String = "GET",
        headers: [String] = [],
        version: WebRequest.Version? = nil,
        credentials: Bool = true
    ) throws -> Visit {
        try Visit(
            WebRequest(
                url: base + target,
                method: method,
                headers: (credentials ? self.headers : []) + headers,
                version: version ?? self.version
            ),
            maxSeconds: patienceSeconds * 2 + 30
        )
    }

    /// A request with its whole answer, waited for as long as the patience lasts; nil where none came.
    func answer(
        _ target: String,
        method: String = "GET",
        headers: [String] = [],
        version: WebRequest.Version? = nil,
        credentials: Bool = true
    ) throws -> AnswerBytes? {
        let visit = try visit(
            target,
            method: method,
            headers: headers,
            version: version,
            credentials: credentials
        )
        Visit.follow([visit], until: deadline) { visit.hasEnded }
        return visit.exitCode == 0 && visit.answer.head != nil ? visit.answer : nil
    }

    func status(_ target: String, headers: [String] = [], credentials: Bool = true) throws -> Int? {
        try answer(target, headers: headers, credentials: credentials)?.head?.status
    }

    /// Of what is begun now.
    var deadline: Int64 { MonotonicClock.milliseconds() + Int64(patienceSeconds) * 1000 }
}
