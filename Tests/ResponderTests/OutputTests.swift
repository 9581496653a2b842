import Testing

@testable import Responder

@Suite struct `What goes out` {
    private func bytes(_ count: Int, _ byte: UInt8 = 7) -> [UInt8] {
        [UInt8](repeating: byte, count: count)
    }

    @Test func `what the peer takes is not kept`() throws {
        let pair = try SocketPair()
        let output = Output()
        guard case .all = output.send(bytes(100), to: pair.near, limit: 10, now: 0) else {
            Issue.record("kept")
            return
        }
        #expect(pair.read() == bytes(100))
        #expect(output.bytes == 0 && !output.isWaiting && output.isEmpty(pair.near))
    }

    @Test func `what the peer does not take goes out in order once it reads`() throws {
        let pair = try SocketPair(bufferBytes: 4096)
        let output = Output()
        let all = bytes(300_000, 1) + bytes(10, 2)
        guard
            case .some(isFirst: true) = output.send(
                bytes(300_000, 1),
                to: pair.near,
                limit: 1,
                now: 5
            ),
            case .some(isFirst: false) = output.send(
                bytes(10, 2),
                to: pair.near,
                limit: nil,
                now: 6
            )
        else {
            Issue.record("not kept")
            return
        }
        #expect(output.unsentBytes(of: pair.near) > 200_000)
        var got: [UInt8] = []
        while true {
            got += pair.read()
            if case .all = output.flush(pair.near, now: 7) { break }
        }
        got += pair.read()
        #expect(got == all)
        #expect(output.bytes == 0 && output.isEmpty(pair.near))
    }

    @Test func `the first answer is kept whatever its size, and a second one within the bound`()
        throws
    {
        let pair = try SocketPair(bufferBytes: 4096)
        let output = Output()
        _ = output.send(bytes(400_000), to: pair.near, limit: 1000, now: 0)
        guard case .failed(.slow) = output.send(bytes(1), to: pair.near, limit: 1000, now: 0) else {
            Issue.record("taken beyond the bound")
            return
        }
        guard case .some = output.send(bytes(1), to: pair.near, limit: nil, now: 0) else {
            Issue.record("the rest of what was begun is not bounded")
            return
        }
    }

    @Test func `a peer that is gone is told of`() throws {
        let pair = try SocketPair()
        pair.closeFar()
        guard case .failed(.gone) = Output().send(bytes(5), to: pair.near, limit: nil, now: 0)
        else {
            Issue.record("sent to nobody")
            return
        }
    }

    @Test func `peers that take nothing are found by the time since they took something`() throws {
        let pairs = try (0..<2).map { _ in try SocketPair(bufferBytes: 4096) }
        let output = Output()
        for (at, pair) in pairs.enumerated() {
            _ = output.send(bytes(300_000), to: pair.near, limit: nil, now: Int64(at) * 100)
        }
        #expect(output.stuck(milliseconds: 50, now: 120) == [pairs[0].near])
        #expect(output.mostStuck(milliseconds: 1000, now: 1100) == pairs[0].near)
        #expect(output.mostStuck(milliseconds: 2000, now: 1100) == nil)
        // It reads now.
        _ = pairs[0].read()
        _ = output.flush(pairs[0].near, now: 1100)
        #expect(output.mostStuck(milliseconds: 1000, now: 1100) == pairs[1].near)
    }

    @Test func `where all keep too much, those that keep most give way, and never the last one`()
        throws
    {
        let pairs = try (0..<3).map { _ in try SocketPair(bufferBytes: 4096) }
        let output = Output()
        for (at, pair) in pairs.enumerated() {
            let size = 200_000 + at * 100_000
            _ = output.send(bytes(size, UInt8(at)), to: pair.near, limit: nil, now: 0)
        }
        #expect(output.relieve(limit: output.bytes) == [])
        #expect(output.relieve(limit: output.bytes - 1) == [pairs[2].near])
        #expect(output.isEmpty(pairs[2].near))
        #expect(output.relieve(limit: 0) == [pairs[1].near])
        #expect(!output.isEmpty(pairs[0].near))
        output.discard(pairs[0].near)
        #expect(output.bytes == 0)
    }
}
