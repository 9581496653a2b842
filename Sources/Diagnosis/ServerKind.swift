internal import Text

/// A kind of web server or proxy, as far as it identifies itself.
package enum ServerKind: String, CaseIterable, Sendable {
    case nginx, lighttpd, apache, haproxy, caddy
    /// Only as proxies: they do not speak FastCGI.
    case varnish, squid
    case unknown

    /// - Parameter software: the header field `Server`, or the parameter SERVER_SOFTWARE.
    package init(software: String?) {
        let text = (software ?? "").lowercased()
        self = Self.words.first { text.hasPrefix($0.0) }?.1 ?? .unknown
    }

    /// - Parameter via: values of the header field `Via`, in which proxies name themselves (RFC 9110 §7.6.3); the last
    ///   one belongs to the proxy nearest to the client.
    package init(via: [String]) {
        let last = via.last?.split(separator: ",").last?.lowercased() ?? ""
        self = Self.words.first { last.includes($0.0) }?.1 ?? .unknown
    }

    // OpenResty is nginx, with the same configuration.
    private static let words: [(String, ServerKind)] = [
        ("nginx", .nginx), ("openresty", .nginx), ("lighttpd", .lighttpd), ("apache", .apache),
        ("haproxy", .haproxy), ("caddy", .caddy), ("varnish", .varnish), ("squid", .squid),
    ]

    /// The kinds that can be a proxy in front of another server.
    package static let proxies: [ServerKind] = allCases.filter { $0 != .unknown }

    package var name: String {
        switch self {
        case .nginx: "nginx"
        case .lighttpd: "lighttpd"
        case .apache: "Apache"
        case .haproxy: "HAProxy"
        case .caddy: "Caddy"
        case .varnish: "Varnish"
        case .squid: "Squid"
        case .unknown: "a server that does not give its name"
        }
    }

    /// Whether it reveals departures without any configuration.
    var showsByItself: Bool { self == .nginx }
}
