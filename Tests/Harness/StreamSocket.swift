internal import Glibc

/// Where a test connects.
package enum Address: Equatable, CustomStringConvertible {
    case unix(String)
    /// On 127.0.0.1.
    case tcp(UInt16)
    /// On ::1.
    case tcp6(UInt16)

    /// As cgi-fcgi and the ini file write it.
    package var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let port): "127.0.0.1:\(port)"
        case .tcp6(let port): "[::1]:\(port)"
        }
    }

    fileprivate var family: Int32 {
        switch self {
        case .unix: AF_UNIX
        case .tcp: AF_INET
        case .tcp6: AF_INET6
        }
    }

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result
    {
        func pass<Structure>(_ structure: inout Structure) -> Result {
            withUnsafePointer(to: &structure) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<Structure>.size))
                }
            }
        }
        switch self {
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { room in
                precondition(path.utf8.count < room.count, "the path of a socket is too long")
                room.copyBytes(from: path.utf8)
            }
            return pass(&address)
        case .tcp(let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            return pass(&address)
        case .tcp6(let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_addr = in6addr_loopback
            return pass(&address)
        }
    }
}

/// A client's connection: reads and writes block, but never longer than a deadline.
package final class StreamSocket {
    private(set) var descriptor: Int32
    package let address: Address

    /// - Parameter receiveBuffer: bytes, for peers that do not read; nil for the system's own.
    package init(_ address: Address, receiveBuffer: Int32? = nil) throws {
        self.address = address
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw HarnessError.system("socket") }
        if var receiveBuffer {
            setsockopt(
                descriptor,
                SOL_SOCKET,
                SO_RCVBUF,
                &receiveBuffer,
                socklen_t(MemoryLayout<Int32>.size)
            )
        }
        guard address.withSocketAddress({ connect(descriptor, $0, $1) }) == 0 else {
            let error = HarnessError.system("connect to \(address)")
            Glibc.close(descriptor)
            descriptor = -1
            throw error
        }
        if address.family != AF_UNIX {
            var yes: Int32 = 1
            setsockopt(
                descriptor,
                Int32(IPPROTO_TCP),
                TCP_NODELAY,
                &yes,
                socklen_t(MemoryLayout<Int32>.size)
            )
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit { close() }

    package func write(_ bytes: [UInt8]) throws { try Self.write(bytes, to: descriptor) }

    /// Writes what the other side takes at once, and returns how much that was.
    package func writeAtOnce(_ bytes: [UInt8]) -> Int {
        max(0, bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, noSignal) })
    }

    /// Some bytes; none at the end of the stream or after a reset.
    package func read(seconds: Double = Deadline.patienceSeconds) throws -> [UInt8] {
        let bytes = try Self.read(descriptor, deadline: Deadline(seconds: seconds))
        guard let bytes else { throw HarnessError("nothing came from \(address) in \(seconds) s") }
        return bytes
    }

    /// What has arrived; nil if nothing has, none at the end.
    package func readNow() throws -> [UInt8]? {
        try Self.read(descriptor, deadline: Deadline(seconds: 0))
    }

    /// Everything until the end of the stream.
    package func readToEnd() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let some = try read()
            if some.isEmpty { return all }
            all += some
        }
    }

    /// An ordinary end: FIN on TCP.
    package func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// RST on TCP.
    package func reset() {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    /// Ends the sending side only.
    package func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }

    // MARK: On plain descriptors

    static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        let deadline = Deadline()
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { part in
                let count = send(descriptor, part.baseAddress, part.count, noSignal)
                guard count < 0, errno == ENOTSOCK else { return count }
                return Glibc.write(descriptor, part.baseAddress, part.count)
            }
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wanted, 1, deadline.milliseconds)
                if deadline.isOver { throw HarnessError("the other side takes no more bytes") }
            } else if errno != EINTR {
                throw HarnessError.system("write")
            }
        }
    }

    /// What a pipe has; nil if that is nothing.
    package static func readNow(_ descriptor: Int32) throws -> [UInt8]? {
        try read(descriptor, deadline: Deadline(seconds: 0))
    }

    /// Nil if nothing came in time; none at the end of the stream.
    static func read(_ descriptor: Int32, deadline: Deadline) throws -> [UInt8]? {
        while true {
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&wanted, 1, deadline.milliseconds)
            if ready == 0 { return nil }
            if ready < 0, errno == EINTR { continue }
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, filled in
                count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                filled = max(0, count)
            }
            if count >= 0 { return bytes }
            switch errno {
            case ECONNRESET: return []
            case EAGAIN, EINTR: continue
            default: throw HarnessError.system("read")
            }
        }
    }
}

private let noSignal = Int32(MSG_NOSIGNAL)
