/// The server in front of Holdfast, and whether a proxy precedes it, as far as a request reveals.
package struct FrontEnd: Hashable, Sendable {
    /// SERVER_SOFTWARE, as the server gives it; empty if it gives none.
    package let software: String
    /// Whether a proxy passed the request to that server, by `Via`, `Forwarded` or `X-Forwarded-For`.
    package let isForwarded: Bool

    package init(software: String, isForwarded: Bool) {
        self.software = software
        self.isForwarded = isForwarded
    }

    /// How a kind of server treats departures, before any is observed.
    enum Habit: Equatable {
        /// It closes the request's connection the moment its client leaves.
        case shows
        /// The same, but over plain HTTP/1.1 only once it has sent the client something.
        case showsAfterHeaders
        /// It does not watch a client that it has nothing to send to.
        case hides
        /// Nothing is known.
        case unknown
    }

    /// The habit of the whole chain: a server that hides departures hides them whatever is in front of it, and one that
    /// shows them can show only what a proxy in front of it lets through.
    var habit: Habit {
        switch name {
        case "apache", "caddy", "h2o", "busybox": .hides
        case "nginx", "haproxy": isForwarded ? .unknown : .shows
        case "lighttpd": isForwarded ? .unknown : .showsAfterHeaders
        default: .unknown
        }
    }

    /// The number of bytes that the server must send in vain, one after the other, before it knows that its client
    /// closed: the client's system answers the first with a reset, and the second meets that. Servers that send from a
    /// buffer of their own are a step or two behind; a proxy may be one of those (Varnish: 3, Caddy: 4).
    package var probesNeeded: Int {
        switch name {
        case "apache", "h2o", "busybox": isForwarded ? Self.mostProbesNeeded : 2
        default: Self.mostProbesNeeded
        }
    }

    private static let mostProbesNeeded = 4

    private var name: String { software.prefix { $0 != "/" && $0 != " " }.lowercased() }
}
