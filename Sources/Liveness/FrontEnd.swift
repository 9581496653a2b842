/// What stands before Holdfast, as far as a request tells.
package struct FrontEnd: Hashable, Sendable {
    /// SERVER_SOFTWARE as the server says it; empty where it says nothing.
    package let software: String
    /// A proxy passed the request on to that server, by `Via`, `Forwarded` or `X-Forwarded-For`.
    package let isForwarded: Bool

    package init(software: String, isForwarded: Bool) {
        self.software = software
        self.isForwarded = isForwarded
    }

    /// What is known of a kind of server before anything is seen.
    enum Habit: Equatable {
        /// It closes the request's connection the moment its client goes.
        case shows
        /// The same, but over plain HTTP/1.1 only once it has sent the client something.
        case showsAfterHeaders
        /// It does not look at a client that it has nothing to send to.
        case hides
        /// Nothing is known.
        case unknown
    }

    /// Of the server itself; what a proxy before it does is not known.
    var habit: Habit {
        let name = software.prefix { $0 != "/" && $0 != " " }.lowercased()
        return switch name {
        case "nginx", "haproxy": isForwarded ? .unknown : .shows
        case "lighttpd": .showsAfterHeaders
        case "apache", "caddy", "h2o", "busybox": .hides
        default: .unknown
        }
    }
}
