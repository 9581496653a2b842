import Testing

@testable import Endpoint

/// Taking the bytes of a bus client apart.
@Suite struct BusReaderTests {
    private func pieces(
        _ bytes: [UInt8],
        lineLimit: Int = 60,
        bodyLimit: Int = 30,
        cutEvery size: Int? = nil
    ) -> [BusReader.Piece] {
        var reader = BusReader()
        var found: [BusReader.Piece] = []
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + (size ?? bytes.count))
            bytes[at..<end].withUnsafeBytes { reader.receive($0) }
            at = end
            while let piece = reader.next(lineLimit: lineLimit, bodyLimit: bodyLimit) {
                found.append(piece)
                switch piece {
                case .lost, .records: return found
                case .command, .refused: break
                }
            }
        }
        return found
    }

    private func command(_ line: Int, _ text: String, _ body: String? = nil) -> BusReader.Piece {
        .command(line: line, Array(text.utf8), body: body.map { Array($0.utf8) })
    }

    private let long = String(repeating: "x", count: 100)

    @Test(arguments: [nil, 1, 2, 3, 7])
    func `lines and bodies are told apart, however they are cut`(size: Int?) {
        let text =
            "publish a b\r\n\n\nput a 5 type=x\n1\n2\n3ping\nput a 0\n\nput b 3\n\u{0}\n\n\nhelp\n"
        #expect(
            pieces(Array(text.utf8), cutEvery: size) == [
                command(1, "publish a b"), command(4, "put a 5 type=x", "1\n2\n3"),
                command(5, "ping"), command(6, "put a 0", ""), command(8, "put b 3", "\u{0}\n\n"),
                command(10, "help"),
            ]
        )
    }

    @Test(arguments: [nil, 1, 16])
    func `what is too long is dropped, and the next line is read`(size: Int?) {
        let text = "publish a \(long)\nping\nput a 100\n\(long)\nhelp\n"
        #expect(
            pieces(Array(text.utf8), cutEvery: size) == [
                .refused(line: 1, .lineTooLong), command(2, "ping"),
                .refused(line: 3, .bodyTooLarge), command(5, "help"),
            ]
        )
    }

    @Test(arguments: [
        "put", "put ", "put a", "put a x", "put a -1", "put a 1.5", "put a 999999999999",
    ])
    func `an invalid length ends the connection`(line: String) {
        let found = pieces(Array("ping\n\(line)\nhelp\n".utf8))
        #expect(found.prefix(2) == [command(1, "ping"), .lost(line: 2)])
    }

    @Test(arguments: [nil, 1, 3])
    func `a web server's record was the beginning of a line that never ended`(size: Int?) {
        let record: [UInt8] = [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        #expect(pieces(record, cutEvery: size).first == .records(line: 1))
        let later = pieces(Array("ping\n".utf8) + record, cutEvery: size)
        #expect(later.prefix(2) == [command(1, "ping"), .records(line: 2)])
        // Within a line, or a body, it is a byte like others.
        let bytes = pieces([0x70, 1, 0x0A] + Array("put a 2\n".utf8) + [1, 1], cutEvery: size)
        #expect(bytes == [command(1, "p\u{1}"), command(2, "put a 2", "\u{1}\u{1}")])
    }

    @Test(arguments: [
        ("ping\npubl", BusReader.Refusal.unfinished), ("ping\nput a 5\nabcd", .unfinished),
        ("ping\nput a 99999999\nabcd", .unfinished), ("ping\n", nil), ("ping\n\n\r\n", nil),
    ])
    func `what was not complete at the end is told`(text: String, refusal: BusReader.Refusal?) {
        var reader = BusReader()
        unsafe Array(text.utf8).withUnsafeBytes { unsafe reader.receive($0) }
        #expect(reader.next(lineLimit: 100, bodyLimit: 100) == command(1, "ping"))
        #expect(reader.next(lineLimit: 100, bodyLimit: 100) == nil)
        #expect(reader.end() == refusal.map { .refused(line: 2, $0) })
        #expect(reader.end() == nil)
    }

    @Test func `nothing is kept beyond the bounds`() {
        var reader = BusReader()
        for _ in 0..<100 {
            Array(long.utf8).withUnsafeBytes { reader.receive($0) }
            _ = reader.next(lineLimit: 60, bodyLimit: 30)
            #expect(reader.byteCount <= 100)
        }
        let put = "\nput a 1000000\n"
        Array(put.utf8).withUnsafeBytes { reader.receive($0) }
        for _ in 0..<100 {
            Array(long.utf8).withUnsafeBytes { reader.receive($0) }
            #expect(reader.next(lineLimit: 60, bodyLimit: 30) == nil)
            #expect(reader.byteCount == 0)
        }
    }

    @Test func `a body was kept though its line was enough to refuse it`() {
        var reader = BusReader()
        let problem = Problem(.forbidden, "forbidden", "no")
        func next(_ text: String) -> BusReader.Piece? {
            unsafe Array(text.utf8).withUnsafeBytes { unsafe reader.receive($0) }
            return reader.next(lineLimit: 60, bodyLimit: 30) { line in
                line.starts(with: "put closed".utf8) ? problem : nil
            }
        }
        #expect(next("put closed 20\n0123456789") == nil)
        #expect((reader.byteCount, reader.unfinishedLine) == (0, 1))
        #expect(next("0123456789ping\n") == .refused(line: 1, .announced(problem)))
        #expect(next("") == command(2, "ping"))
        #expect(next("put a 20\n0123456789") == nil)
        #expect((reader.byteCount, reader.unfinishedLine) == (10, 3))
        #expect(next("0123456789") == command(3, "put a 20", "01234567890123456789"))
        #expect(next("") == nil)
        #expect(reader.unfinishedLine == nil)
        #expect(next("pi") == nil)
        #expect(reader.unfinishedLine == 4)
    }
}
