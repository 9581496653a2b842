import Testing
import Text

@Suite struct ByteQueueTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(arguments: 1...9)
    func `lines come out as they went in, wherever they are cut`(step: Int) {
        let source = bytes("one\n\ntwo and more\nrest")
        var queue = ByteQueue()
        var lines: [String] = []
        for start in stride(from: 0, to: source.count, by: step) {
            queue.append(Array(source[start..<min(start + step, source.count)]))
            while let line = queue.takeLine() {
                lines.append(String(decoding: line, as: UTF8.self))
            }
        }
        #expect(lines == ["one", "", "two and more"])
        #expect(queue.count == 4)
        #expect(queue.take(10) == bytes("rest"))
        #expect(queue.isEmpty)
    }

    @Test func `a line end is found after bytes in front were dropped`() {
        var queue = ByteQueue()
        queue.append(bytes("abcdef"))
        #expect(queue.lineLength() == nil)
        queue.drop(4)
        #expect(queue.lineLength() == nil)
        queue.append(bytes("\nx"))
        #expect(queue.lineLength() == 2)
        #expect(queue.takeLine() == bytes("ef"))
        #expect(Array(queue.prefix(5)) == bytes("x"))
    }

    @Test func `a line that is seen and not taken is seen again`() {
        var queue = ByteQueue()
        queue.append(bytes("ab\ncd\n"))
        #expect(queue.lineLength() == 2)
        #expect(queue.lineLength() == 2)
        queue.drop(3)
        #expect(queue.lineLength() == 2)
    }

    @Test func `much that goes in and out stays in order`() {
        var queue = ByteQueue()
        var (next, expected) = (0, 0)
        for round in 0..<2000 {
            queue.append((0..<150).map { UInt8(truncatingIfNeeded: next + $0) })
            next += 150
            let taken = queue.take(round.isMultiple(of: 100) ? queue.count : 120)
            #expect(
                taken.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: expected + $0) }
            )
            expected += taken.count
        }
        #expect(queue.count == next - expected)
    }
}
