internal import Glibc

/// The address of a TCP socket: numeric, IPv4 or IPv6, with a port. The calls return as the system's do, with errno.
package struct InternetAddress {
    private enum Form {
        case four(sockaddr_in)
        case six(sockaddr_in6)
    }

    private let form: Form

    /// Nil if the text is no numeric address.
    package init?(_ address: String, _ port: UInt16) {
        if address.contains(":") {
            var place = sockaddr_in6()
            place.sin6_family = sa_family_t(AF_INET6)
            place.sin6_port = port.bigEndian
            guard unsafe inet_pton(AF_INET6, address, &place.sin6_addr) == 1 else { return nil }
            form = .six(place)
        } else {
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_port = port.bigEndian
            guard unsafe inet_pton(AF_INET, address, &place.sin_addr) == 1 else { return nil }
            form = .four(place)
        }
    }

    /// For `socket`.
    package var family: Int32 {
        switch form {
        case .four: AF_INET
        case .six: AF_INET6
        }
    }

    package func bind(_ descriptor: Int32) -> Int32 {
        unsafe withPointer { unsafe Glibc.bind(descriptor, $0, $1) }
    }

    package func connect(_ descriptor: Int32) -> Int32 {
        unsafe withPointer { unsafe Glibc.connect(descriptor, $0, $1) }
    }

    private func withPointer(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        switch form {
        case .four(let place): unsafe lend(place, to: body)
        case .six(let place): unsafe lend(place, to: body)
        }
    }

    private func lend<Place>(
        _ place: Place,
        to body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        unsafe withUnsafePointer(to: place) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<Place>.size))
            }
        }
    }
}
