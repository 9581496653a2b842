internal import CLinux
internal import Glibc

/// The address of a Unix socket: a path, or a name without a file. The calls return as the system's do, with errno.
package struct UnixAddress {
    private var address: sockaddr_un
    private let length: socklen_t

    /// The longest path, in bytes.
    package static let pathBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// Nil if the path is too long for a socket.
    package init?(_ path: String) {
        let bytes = Array(path.utf8)
        guard bytes.count <= Self.pathBytes else { return nil }
        address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
    }

    /// A name without a file: a null byte precedes it, and its length is part of it. Nil if it is too long.
    package init?(abstract name: some StringProtocol) {
        let bytes = [0] + Array(name.utf8)
        guard bytes.count <= Self.pathBytes else { return nil }
        address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        length = socklen_t(Self.pathStart + bytes.count)
    }

    private static let pathStart = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2

    /// The path in the bytes of an address, as the system writes them; empty if there is none.
    static func path(in bytes: UnsafeRawBufferPointer.SubSequence) -> String {
        unsafe String(decoding: bytes.dropFirst(pathStart).prefix { $0 != 0 }, as: UTF8.self)
    }

    package func bind(_ descriptor: Int32) -> Int32 {
        unsafe withPointer { unsafe Glibc.bind(descriptor, $0, $1) }
    }

    package func connect(_ descriptor: Int32) -> Int32 {
        unsafe withPointer { unsafe Glibc.connect(descriptor, $0, $1) }
    }

    /// Sends a datagram without blocking and without SIGPIPE; returns the number of bytes, or -1.
    package func send(_ bytes: [UInt8], from descriptor: Int32) -> Int {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        return unsafe withPointer {
            unsafe sendto(descriptor, bytes, bytes.count, flags, $0, $1)
        }
    }

    private func withPointer<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, length)
            }
        }
    }
}

/// A datagram from a Unix socket.
package struct UnixDatagram {
    /// The path of the sender's socket; empty if it has none.
    package let path: String
    /// The user that the sender ran as, according to the kernel.
    package let user: UInt32
    package let bytes: [UInt8]
    /// Whether it was longer than the buffer.
    package let isCut: Bool

    /// The next datagram that waits at a socket to which `nameSenders` was applied; nil if there is none.
    package static func receive(from descriptor: Int32, atMost limit: Int) -> UnixDatagram? {
        var address = sockaddr_un()
        var user: UInt32 = 0
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = unsafe clinux_receive(descriptor, &bytes, limit, &address, &user)
        guard count >= 0 else { return nil }
        bytes.removeLast(max(0, limit - count))
        let path = unsafe withUnsafeBytes(of: &address.sun_path) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return UnixDatagram(path: path, user: user, bytes: bytes, isCut: count > limit)
    }

    /// Makes the kernel attach the sender's credentials to each datagram; false, with errno set, on failure.
    package static func nameSenders(of descriptor: Int32) -> Bool {
        clinux_pass_credentials(descriptor) == 0
    }
}
