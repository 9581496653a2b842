internal import Configuration
internal import Text

/// What the answer tells a browser about the requesting page's origin (Fetch standard, "CORS protocol").
package enum OriginDecision: Hashable, Sendable {
    /// Nothing: there is no `Origin`, or it is not allowed.
    case silent
    /// `*`, without credentials.
    case anyone
    /// This listed origin, with credentials.
    case listed(String)
}

/// The `[cors]` rules, prepared for quick comparison.
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
            // The header gets the list's own element, never the client's text.
            guard origin != "null", let listed = list.first(where: { $0 == origin }),
                listed.utf8.allSatisfy(\.isVisibleASCII)
            else { return .silent }
            return .listed(listed)
        }
    }

    /// On whose behalf a write is made.
    enum Standing: Sendable {
        /// Not on behalf of a page, or of a page of this site or of a listed origin.
        case own
        /// On behalf of a page of any other origin, which `*` lets in: it is unknown whether the visitor wants the
        /// write, so what the web server says about the visitor does not count.
        case anyone
    }

    /// Whether a page of another origin may read the answer only because of `*`: what the web server says about the
    /// visitor, whom it may know by the address, does not count for that page.
    func opensToAnyone(_ request: borrowing CGIRequest) -> Bool {
        guard case .any = origins, request.origin != nil else { return false }
        return isFromElsewhere(request)
    }

    /// Refuses a write that a page of another origin initiated: forms and beacons need no preflight, and carry cookies
    /// and passwords.
    ///
    /// - Parameter verb: the refused action, for the client.
    func standing(
        of request: borrowing CGIRequest,
        to verb: StaticString
    ) throws(Problem) -> Standing {
        guard isFromElsewhere(request) else { return .own }
        guard let origin = request.origin else {
            throw Self.refusal(
                "A page of another origin initiated this request without naming its origin; such requests may not \(verb) "
                    + "here. Let the page use fetch or a form, which send the field Origin."
            )
        }
        guard origin != "null" else {
            throw Self.refusal(
                "The page has no origin of its own ('null'), such as a file or a sandboxed page; such pages may not \(verb) "
                    + "here, and cannot be listed. Serve it from a web server, and let its sandbox allow-same-origin."
            )
        }
        guard case .any = origins else { throw Self.refusal(of: origin, request, to: verb) }
        return .anyone
    }

    /// Whether a page of another origin that is not listed initiated the request.
    ///
    /// `Sec-Fetch-Site` is the browser's own statement, which no page can set; it takes precedence over our own
    /// comparison, because a layer in front may have terminated TLS, so that the scheme seen here is not the page's.
    /// Simple reading requests, such as an image's, have no `Origin`.
    func isFromElsewhere(_ request: borrowing CGIRequest) -> Bool {
        let site = request.secFetchSite ?? "none"
        guard let origin = request.origin else { return site != "same-origin" && site != "none" }
        if origin == "null" { return true }
        if case .listed = decision(on: origin) { return false }
        return site == "none" ? !Self.isSameHost(origin, request) : site != "same-origin"
    }

    /// The refusal names both values, which often differ only by a port that a proxy left out.
    private static func refusal(
        of origin: String,
        _ request: borrowing CGIRequest,
        to verb: StaticString
    ) -> Problem {
        let scheme = request.isSecure.map { $0 ? "https://" : "http://" } ?? ""
        let host = request.host.map { "'" + scheme + shown($0) + "'" } ?? "an unnamed host"
        return refusal(
            "The page's origin is '\(shown(origin))' and this request went to \(host); pages of other origins may not \(verb) "
                + "here. List the page's origin under [cors] in the ini file, or let the proxy pass on the Host field "
                + "with its port."
        )
    }

    /// The part of a client's text that may be repeated.
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

    /// Whether the page came from the scheme, host and port that this request went to. If the server does not give the
    /// scheme, host and port decide.
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
    /// Whether the request came over TLS, as far as the server says.
    var isSecure: Bool? {
        if let https { return !https.equalsIgnoringCase("off") && https != "0" }
        if let scheme { return scheme.equalsIgnoringCase("https") }
        return nil
    }
}
