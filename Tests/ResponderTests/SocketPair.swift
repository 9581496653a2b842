import Glibc
import Testing

/// Two connected stream sockets that do not wait; the far end is a peer's.
final class SocketPair {
    let near: Int32
    private(set) var far: Int32
    /// The caller that closes the near end reports it here.
    var isNearOurs = true

    init(bufferBytes: Int32? = nil) throws {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
        (near, far) = (ends[0], ends[1])
        guard var size = bufferBytes else { return }
        setsockopt(near, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit {
        if isNearOurs { close(near) }
        closeFar()
    }

    func closeFar() {
        if far >= 0 { close(far) }
        far = -1
    }

    func write(_ bytes: [UInt8]) { #expect(Glibc.write(far, bytes, bytes.count) == bytes.count) }

    /// What the peer finds, at most so much.
    func read(atMost count: Int = 1 << 20) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = Glibc.read(far, &bytes, count)
        return Array(bytes.prefix(max(0, got)))
    }

    /// Whether the other side has closed.
    var isClosed: Bool {
        var byte: UInt8 = 0
        return Glibc.read(far, &byte, 1) == 0
    }
}
