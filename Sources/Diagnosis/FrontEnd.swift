/// The web server that answers for the site, as far as it says so. A proxy before it hides it.
package enum FrontEnd: String, CaseIterable, Sendable {
    case nginx, lighttpd, apache, haproxy, caddy, unknown

    /// - Parameter software: the header field `Server`, or SERVER_SOFTWARE.
    package init(software: String?) {
        let text = (software ?? "").lowercased()
        // OpenResty is nginx with its configuration.
        let words: [(String, FrontEnd)] = [
            ("nginx", .nginx), ("openresty", .nginx), ("lighttpd", .lighttpd), ("apache", .apache),
            ("haproxy", .haproxy), ("caddy", .caddy),
        ]
        self = words.first { text.hasPrefix($0.0) }?.1 ?? .unknown
    }

    package var name: String {
        switch self {
        case .nginx: "nginx"
        case .lighttpd: "lighttpd"
        case .apache: "Apache"
        case .haproxy: "HAProxy"
        case .caddy: "Caddy"
        case .unknown: "a server that does not say its name"
        }
    }
}
