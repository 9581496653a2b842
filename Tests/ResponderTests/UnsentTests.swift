import Testing

@testable import Responder

@Suite struct UnsentTests {
    private func bytes(_ count: Int, _ byte: UInt8 = 1) -> [UInt8] {
        [UInt8](repeating: byte, count: count)
    }

    /// What goes out next, as a peer sees it that takes `atMost` bytes at a time.
    private func drain(_ unsent: inout Unsent, _ queue: inout Unsent.Queue, atMost: Int) -> [UInt8]
    {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)
        defer { room.deallocate() }
        var all: [UInt8] = []
        while !queue.isEmpty {
            let some = queue.withNext(gatheredIn: room) { Array($0.prefix(atMost)) }
            all += some
            unsent.remove(some.count, from: &queue)
        }
        return all
    }

    @Test func `a message to thousands of slow readers was kept once for each of them`() {
        var unsent = Unsent()
        let message = bytes(64 * 1024)
        var queues = (0..<2000).map { _ in Unsent.Queue() }
        for at in queues.indices { unsent.append(message, sent: at, to: &queues[at]) }
        #expect(unsent.bytes < 64 * 1024 + 100_000)
        #expect(unsent.share(of: queues[0]) < 100)
        for at in queues.indices { unsent.removeAll(from: &queues[at]) }
        #expect(unsent.bytes == 0)
    }

    @Test func `equal answers that were made for each are kept once, too`() {
        var unsent = Unsent()
        var (first, second) = (Unsent.Queue(), Unsent.Queue())
        unsent.append(bytes(10_000), sent: 0, to: &first)
        let alone = unsent.bytes
        unsent.append(bytes(10_000), sent: 5000, to: &second)
        #expect(unsent.bytes == alone + Unsent.placeOverhead)
        #expect(second.bytes == 5000)
        var third = Unsent.Queue()
        unsent.append(bytes(10_000, 2), sent: 0, to: &third)
        #expect(unsent.bytes == 2 * alone + Unsent.placeOverhead)
        for queue in [first, second, third] {
            var queue = queue
            unsent.removeAll(from: &queue)
        }
        #expect(unsent.bytes == 0)
    }

    @Test func `unsent bytes of one peer alone cost it more than more bytes shared with many`() {
        var unsent = Unsent()
        var crowd = (0..<100).map { _ in Unsent.Queue() }
        let message = bytes(1_000_000)
        for at in crowd.indices { unsent.append(message, sent: 0, to: &crowd[at]) }
        var alone = Unsent.Queue()
        unsent.append(bytes(100_000, 3), sent: 0, to: &alone)
        #expect(unsent.share(of: alone) > unsent.share(of: crowd[0]))
    }

    @Test(arguments: [1, 3, 7, 64, 300, 100_000])
    func `everything goes out once and in order, however little is taken`(atMost: Int) {
        var generator = Numbers(state: UInt64(atMost))
        var unsent = Unsent()
        var queue = Unsent.Queue()
        var expected: [UInt8] = []
        for round in 0..<200 {
            let piece = bytes(Int(generator.next() % 90) + 1, UInt8(round))
            let sent = queue.isEmpty ? Int(generator.next() % UInt64(piece.count)) : 0
            unsent.append(piece, sent: sent, to: &queue)
            expected += piece[sent...]
        }
        #expect(queue.bytes == expected.count)
        #expect(drain(&unsent, &queue, atMost: atMost) == expected)
        #expect(unsent.bytes == 0)
    }

    private struct Numbers {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }
}
