internal import Glibc
internal import System

/// The listening sockets that a service manager passed to this process (sd_listen_fds(3)), by name.
///
/// The manager made them and keeps them when this process ends. A peer that connects before the next process runs waits
/// in the backlog.
package struct PassedSockets {
    /// Where web servers connect.
    private(set) var fastcgi: Int32?
    /// Where clients of the bus connect.
    private(set) var bus: Int32?

    private static let firstDescriptor: Int32 = 3

    /// No sockets.
    package init() {}

    /// The sockets that LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES describe. Removes the variables, which do not concern
    /// children; call it before other threads exist.
    ///
    /// - Throws: if a name is unknown or occurs twice.
    package static func take() throws(ListenerError) -> PassedSockets {
        let process = EnvironmentVariable.take("LISTEN_PID")
        let count = EnvironmentVariable.take("LISTEN_FDS")
        let names = EnvironmentVariable.take("LISTEN_FDNAMES")
        guard process == "\(getpid())", let count = count.flatMap({ Int32($0) }), count > 0 else {
            return PassedSockets()
        }
        guard count <= 2 else {
            throw .sentence(
                "the service manager passed \(count) sockets; there are two, fastcgi and bus (FileDescriptorName= in the "
                    + "socket unit)"
            )
        }
        return try PassedSockets(count: count, names: names)
    }

    private init(count: Int32, names: String?) throws(ListenerError) {
        let names = names?.split(separator: ":", omittingEmptySubsequences: false) ?? []
        for number in Self.firstDescriptor..<Self.firstDescriptor + count {
            _ = fcntl(number, F_SETFD, FD_CLOEXEC)
            let index = Int(number - Self.firstDescriptor)
            switch index < names.count ? names[index] : "unknown" {
            case "fastcgi" where fastcgi == nil: fastcgi = number
            case "bus" where bus == nil: bus = number
            case "fastcgi", "bus":
                throw .sentence(
                    "the service manager passed two sockets of the name \(names[index]); there is one of each"
                )
            case let name:
                throw .sentence(
                    "the service manager passed a socket of the name '\(name)'; a socket for web servers is fastcgi, "
                        + "the bus socket is bus (FileDescriptorName= in the socket unit)"
                )
            }
        }
    }
}
