import Channels
import Testing

@Suite struct `Cursors and epochs` {
    typealias Verdict = EpochHistory.Verdict

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
            .init(epoch: Self.a, start: Offset(1), told: nil),
            .init(epoch: Self.b, start: Offset(11), told: Offset(10)),
        ])
        #expect(history.verdict(on: cursor, head: Offset(20)) == verdict)
        #expect(history.current == Self.b)
    }

    /// Three epochs, from 1, 11 and 21 on; the cursors are of the first and the second.
    @Test(
        arguments: [
            // What was told before b, and before c; then the verdicts on a-5, a-10 and b-15.
            (10, 20, [Verdict.valid(Offset(5)), .valid(Offset(10)), .valid(Offset(15))]),
            // Less was reported than is there, for example if no process lived to acknowledge the newest.
            (7, 0, [.valid(Offset(5)), .valid(Offset(10)), .valid(Offset(15))]),
            (
                11, 20,
                [.restarted(resume: Offset(5)), .restarted(resume: Offset(10)), .valid(Offset(15))]
            ),
            (
                nil, 20,
                [.restarted(resume: Offset(5)), .restarted(resume: Offset(10)), .valid(Offset(15))]
            ),
            (
                10, 21,
                [
                    .restarted(resume: Offset(5)), .restarted(resume: Offset(10)),
                    .restarted(resume: Offset(15)),
                ]
            ),
            (
                10, nil,
                [
                    .restarted(resume: Offset(5)), .restarted(resume: Offset(10)),
                    .restarted(resume: Offset(15)),
                ]
            ),
        ] as [(Int64?, Int64?, [Verdict])]
    )
    func `what was lost at the end of an epoch was passed over for cursors below it`(
        toldBeforeB: Int64?,
        toldBeforeC: Int64?,
        verdicts: [EpochHistory.Verdict]
    ) {
        let c = Epoch("cccc")!
        let history = EpochHistory([
            .init(epoch: Self.a, start: Offset(1), told: nil),
            .init(epoch: Self.b, start: Offset(11), told: toldBeforeB.map { Offset($0) }),
            .init(epoch: c, start: Offset(21), told: toldBeforeC.map { Offset($0) }),
        ])
        let cursors = [(Self.a, 5), (Self.a, 10), (Self.b, 15)].map {
            Cursor(epoch: $0, offset: Offset(Int64($1)))
        }
        #expect(cursors.map { history.verdict(on: $0, head: Offset(30)) } == verdicts)
        // A subscriber that was told has a cursor of the newest epoch, wherever in the log it stands.
        for offset in [0, 5, 15, 30] {
            let told = Cursor(epoch: c, offset: Offset(Int64(offset)))
            #expect(history.verdict(on: told, head: Offset(30)) == .valid(told.offset))
        }
    }
}
