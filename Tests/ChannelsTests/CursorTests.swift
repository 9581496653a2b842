import Channels
import Testing

@Suite struct `Cursors and epochs` {
    static let a = Epoch("aaaa")!
    static let b = Epoch("bbbb")!

    @Test func `a cursor survives being written and read`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<1000 {
            let cursor = Cursor(
                epoch: .random(using: &generator),
                offset: Offset(Int64.random(in: 0...Int64.max, using: &generator))
            )
            #expect(Cursor(cursor.description) == cursor)
        }
    }

    @Test(arguments: [
        "", "-", "aaaa", "aaaa-", "-1", "aaaa-g", "aaaa--1", "aaaa-+1", "aaaa-01", "aaaa-1-1",
        "AAAA-1",
        "aaaa-1A", "aaaa-1 ", " aaaa-1", "aaaa-ffffffffffffffff", "aaaa-10000000000000000",
        "äaaa-1",
        "aaaaaaaaaaaaaaaaa-1", "aaaa-1\n",
    ])
    func `a text that no cursor is written as is not one`(text: String) {
        #expect(Cursor(text) == nil)
    }

    @Test(arguments: [
        (Cursor(epoch: a, offset: Offset(5)), EpochHistory.Verdict.valid(Offset(5))),
        (Cursor(epoch: a, offset: Offset(10)), .valid(Offset(10))),
        (Cursor(epoch: a, offset: Offset(11)), .restarted(resume: Offset(10))),
        (Cursor(epoch: b, offset: Offset(3)), .valid(Offset(3))),
        (Cursor(epoch: b, offset: Offset(20)), .valid(Offset(20))),
        (Cursor(epoch: b, offset: Offset(21)), .future),
        (Cursor(epoch: Epoch("cccc")!, offset: Offset(1)), .restarted(resume: .start)),
    ])
    func `a cursor is valid below the start of the epoch after its own`(
        cursor: Cursor,
        verdict: EpochHistory.Verdict
    ) {
        let history = EpochHistory([
            .init(epoch: Self.a, start: Offset(1)), .init(epoch: Self.b, start: Offset(11)),
        ])
        #expect(history.verdict(on: cursor, head: Offset(20)) == verdict)
        #expect(history.current == Self.b)
    }
}
