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
        if address.contains(":") {
            var place = sockaddr_in6()
            place.sin6_family = sa_family_t(AF_INET6)
            place.sin6_port = port.bigEndian
            guard unsafe inet_pton(AF_INET6, address, &place.sin6_addr) == 1 else { return nil }
            return connect(AF_INET6, &place)
        }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        guard unsafe inet_pton(AF_INET, address, &place.sin_addr) == 1 else { return nil }
        return connect(AF_INET, &place)
    }

    private static func connect<Address>(_ family: Int32, _ address: inout Address) -> Int32? {
        connected(family) { descriptor in
            unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
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
