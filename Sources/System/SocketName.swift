internal import Glibc

/// The address to which a socket is bound.
package enum SocketName {
    /// A path; a name without a file is none of these.
    case unix(path: String)
    /// Numeric, IPv4 or IPv6.
    case tcp(address: String, port: UInt16)

    /// Nil if it is bound to nothing, or to an address of another kind.
    package init?(of descriptor: Int32) {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let outcome = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        guard outcome == 0 else { return nil }
        let name = unsafe withUnsafeBytes(of: storage) { bytes -> SocketName? in
            switch Int32(storage.ss_family) {
            case AF_UNIX:
                let path = unsafe UnixAddress.path(in: bytes.prefix(Int(size)))
                return path.isEmpty ? nil : .unix(path: path)
            case AF_INET:
                let place = unsafe bytes.load(as: sockaddr_in.self)
                return Self.text(of: place.sin_addr, AF_INET).map {
                    .tcp(address: $0, port: UInt16(bigEndian: place.sin_port))
                }
            case AF_INET6:
                let place = unsafe bytes.load(as: sockaddr_in6.self)
                return Self.text(of: place.sin6_addr, AF_INET6).map {
                    .tcp(address: $0, port: UInt16(bigEndian: place.sin6_port))
                }
            default: return nil
            }
        }
        guard let name else { return nil }
        self = name
    }

    private static func text<Number>(of number: Number, _ family: Int32) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let length = socklen_t(buffer.count)
        return unsafe withUnsafePointer(to: number) { pointer in
            unsafe inet_ntop(family, pointer, &buffer, length).map { unsafe String(cString: $0) }
        }
    }
}
