internal import Configuration
internal import Text

/// What the answer tells a browser about the page that asked (Fetch standard, "CORS protocol").
package enum OriginDecision: Hashable, Sendable {
    /// Nothing: no `Origin`, or one that is not allowed.
    case silent
    /// `*`, without credentials.
    case anyone
    /// This listed origin, with credentials.
    case listed(String)
}

/// The `[cors]` rules, made for quick comparison.
struct CrossOrigin: Sendable {
    private let origins: CORSSettings.Origins
    let maxAgeSeconds: Int

    init(_ settings: CORSSettings) {
        origins = settings.origins
        maxAgeSeconds = settings.maxAgeSeconds
    }

    func decision(on origin: String?) -> OriginDecision {
        guard let origin else { return .silent }
        switch origins {
        case .any: return .anyone
        case .listed(let list):
            // The list's own element goes into the header, so that nothing of the client's ever does.
            guard origin != "null", let listed = list.first(where: { $0 == origin }),
                listed.utf8.allSatisfy(\.isVisibleASCII)
            else { return .silent }
            return .listed(listed)
        }
    }

    /// On whose behalf a write comes.
    enum Standing: Sendable {
        /// Of no page, of one of this site, or of one whose origin is listed.
        case own
        /// Of a page of any other origin, which `*` lets in: nobody knows whether the visitor wants it, so that what the
        /// web server says of the visitor counts for nothing.
        case anyone
    }

    /// Refuses a write that a page of another origin set off: forms and beacons need no preflight, and carry cookies
    /// and passwords.
    ///
    /// - Parameter verb: what is refused, for the client.
    func standing(
        of request: borrowing CGIRequest,
        to verb: StaticString
    ) throws(Problem) -> Standing {
        guard isFromElsewhere(request) else { return .own }
        guard let origin = request.origin else {
            throw Self.refusal(
                "A page of another origin set this request off, and it does not say which; such requests may not \(verb) "
                    + "here. Let the page send it by fetch or a form, with the field Origin."
            )
        }
        guard origin != "null" else {
            throw Self.refusal(
                "The page has no origin of its own ('null'), as one of a file or in a sandbox; such pages may not \(verb) "
                    + "here, and can't be listed. Serve it by a web server, and let its sandbox allow-same-origin."
            )
        }
        guard case .any = origins else { throw Self.refusal(of: origin, request, to: verb) }
        return .anyone
    }

    /// Whether a page of another origin that is not listed set the request off.
    ///
    /// `Sec-Fetch-Site` is the browser's own word, which no page can set; it counts more than a comparison of ours, since
    /// a layer in front may have taken TLS off, so that the scheme seen here is not the page's. Requests that are simple
    /// and no writes, as an image's, have no `Origin`.
    func isFromElsewhere(_ request: borrowing CGIRequest) -> Bool {
        let site = request.secFetchSite ?? "none"
        guard let origin = request.origin else { return site != "same-origin" && site != "none" }
        if origin == "null" { return true }
        if case .listed = decision(on: origin) { return false }
        return site == "none" ? !Self.isSameHost(origin, request) : site != "same-origin"
    }

    /// Names both values, which often differ by nothing but a port that a proxy has left out.
    private static func refusal(
        of origin: String,
        _ request: borrowing CGIRequest,
        to verb: StaticString
    ) -> Problem {
        let scheme = request.isSecure.map { $0 ? "https://" : "http://" } ?? ""
        let host = request.host.map { "'" + scheme + shown($0) + "'" } ?? "a host that is not said"
        return refusal(
            "The page is of '\(shown(origin))' and this request went to \(host); pages of other origins may not \(verb) "
                + "here. List the page's origin under [cors] in the ini file, or have the proxy pass on the Host field "
                + "with its port."
        )
    }

    /// So much of a client's text as may be repeated.
    private static func shown(_ text: String) -> String {
        String(
            text.unicodeScalars.prefix(200).map {
                (0x20..<0x7F).contains($0.value) ? Character($0) : "?"
            }
        )
    }

    private static func refusal(_ detail: String) -> Problem {
        Problem(.forbidden, "cross_site_write", detail)
    }

    /// Whether the page came from the scheme, host and port that this request went to. Where the server does not
    /// tell the scheme, host and port decide.
    private static func isSameHost(_ origin: String, _ request: borrowing CGIRequest) -> Bool {
        guard let host = request.host, let end = origin.utf8.firstIndex(of: UInt8(ascii: ":")),
            origin.utf8[end...].starts(with: "://".utf8)
        else { return false }
        let scheme = origin[..<end].lowercased()
        let authority = origin.utf8[end...].dropFirst(3)
        guard request.isSecure.map({ scheme == ($0 ? "https" : "http") }) ?? true else {
            return false
        }
        return withoutDefaultPort(authority.map(\.lowercased), scheme)
            == withoutDefaultPort(host.utf8.map(\.lowercased), scheme)
    }

    private static func withoutDefaultPort(_ authority: [UInt8], _ scheme: String) -> [UInt8] {
        let port: StaticString =
            switch scheme {
            case "http": ":80"
            case "https": ":443"
            default: ":"
            }
        var suffix: [UInt8] = []
        suffix.append(port)
        guard authority.count > suffix.count, authority.suffix(suffix.count).elementsEqual(suffix)
        else { return authority }
        return authority.dropLast(suffix.count)
    }
}

extension CGIRequest {
    /// Whether the request came by TLS, as far as the server says.
    var isSecure: Bool? {
        if let https { return !https.equalsIgnoringCase("off") && https != "0" }
        if let scheme { return scheme.equalsIgnoringCase("https") }
        return nil
    }
}
