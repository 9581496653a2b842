internal import Diagnosis
internal import Glibc
internal import System

/// The site as its clients see it.
struct Site {
    /// The URL, with a `/` at its end.
    let base: String
    /// Credentials, as whole header lines.
    let headers: [String]
    let patienceSeconds: Int
    /// Set if the usual version is not understood.
    var version: WebRequest.Version?

    /// Whether the text is a URL of a web server, with a host. What the rest means is for curl.
    static func isURL(_ text: String) -> Bool {
        let parts = text.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count > 2, ["http:", "https:"].contains(parts[0].lowercased()),
            parts[1].isEmpty
        else { return false }
        // RFC 3986 §3.2: a user may stand before the host, and a port behind it.
        let authority = parts[2].prefix { !"?#".contains($0) }
        let host = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        return !host.isEmpty && !host.hasPrefix(":") && !host.contains(where: \.isWhitespace)
    }

    var isSecure: Bool { base.lowercased().hasPrefix("https:") }

    /// The path from the host up to the last `/` of the base.
    var path: Substring {
        let parts = base.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count == 4 ? "/" + parts[3] : "/"
    }

    /// Starts a request.
    ///
    /// - Parameter credentials: whether it carries the credentials given.
    func transfer(
        _ target: String,
        method: String = "GET",
        headers: [String] = [],
        version: WebRequest.Version? = nil,
        credentials: Bool = true
    ) throws(DoctorError) -> CurlTransfer {
        do throws(SystemError) {
            return try CurlTransfer(
                WebRequest(
                    url: base + target,
                    method: method,
                    headers: (credentials ? self.headers : []) + headers,
                    version: version ?? self.version
                ),
                maxSeconds: patienceSeconds * 2 + 30
            )
        } catch {
            throw DoctorError(
                error.code == ENOENT
                    ? "curl is needed and not installed: apt install curl" : error.description
            )
        }
    }

    /// The whole answer to a request, or nil if none arrives within the patience.
    func answer(
        _ target: String,
        method: String = "GET",
        headers: [String] = [],
        version: WebRequest.Version? = nil,
        credentials: Bool = true
    ) throws(DoctorError) -> AnswerBytes? {
        let transfer = try transfer(
            target,
            method: method,
            headers: headers,
            version: version,
            credentials: credentials
        )
        CurlTransfer.follow([transfer], until: deadline) { transfer.hasEnded }
        return transfer.exitCode == 0 && transfer.answer.head != nil ? transfer.answer : nil
    }

    func status(_ target: String, headers: [String] = [], credentials: Bool = true)
        throws(DoctorError) -> Int?
    {
        try answer(target, headers: headers, credentials: credentials)?.head?.status
    }

    /// The deadline of what begins now.
    var deadline: Int64 { MonotonicClock.milliseconds() + Int64(patienceSeconds) * 1000 }
}
