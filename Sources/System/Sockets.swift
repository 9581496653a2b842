internal import CLinux
internal import Glibc

/// Connects to sockets of this machine; nil, with errno set, on failure.
package enum Sockets {
    package static func connect(unix path: String) -> Int32? {
        guard let address = UnixAddress(path) else {
            errno = ENAMETOOLONG
            return nil
        }
        return connected(AF_UNIX) { address.connect($0) }
    }

    /// - Parameter address: numeric, IPv4 or IPv6.
    package static func connect(_ address: String, _ port: UInt16) -> Int32? {
        guard let place = InternetAddress(address, port) else { return nil }
        return connected(place.family) { place.connect($0) }
    }

    private static func connected(_ family: Int32, _ connect: (Int32) -> Int32) -> Int32? {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { return nil }
        if connect(descriptor) == 0 { return descriptor }
        let code = errno
        close(descriptor)
        errno = code
        return nil
    }
}
