/// A kind of server, as far as it says what it is.
package enum FrontEnd: String, CaseIterable, Sendable {
    case nginx, lighttpd, apache, haproxy, caddy
    /// As proxies only: they speak no FastCGI.
    case varnish, squid
    case unknown

    /// - Parameter software: the header field `Server`, or SERVER_SOFTWARE.
    package init(software: String?) {
        let text = (software ?? "").lowercased()
        self = Self.words.first { text.hasPrefix($0.0) }?.1 ?? .unknown
    }

    /// - Parameter via: values of the header field `Via`, by which proxies name themselves (RFC 9110 §7.6.3); the
    ///   last is of the one next to the client.
    package init(via: [String]) {
        let last = via.last?.split(separator: ",").last?.lowercased() ?? ""
        self = Self.words.first { last.contains($0.0) }?.1 ?? .unknown
    }

    // OpenResty is nginx with its configuration.
    private static let words: [(String, FrontEnd)] = [
        ("nginx", .nginx), ("openresty", .nginx), ("lighttpd", .lighttpd), ("apache", .apache),
        ("haproxy", .haproxy), ("caddy", .caddy), ("varnish", .varnish), ("squid", .squid),
    ]

    /// Those that may stand as a proxy before another one.
    package static let proxies: [FrontEnd] = allCases.filter { $0 != .unknown }

    package var name: String {
        switch self {
        case .nginx: "nginx"
        case .lighttpd: "lighttpd"
        case .apache: "Apache"
        case .haproxy: "HAProxy"
        case .caddy: "Caddy"
        case .varnish: "Varnish"
        case .squid: "Squid"
        case .unknown: "a server that does not say its name"
        }
    }

    /// Whether it shows departures without a line for it.
    var showsByItself: Bool { self == .nginx }
}
