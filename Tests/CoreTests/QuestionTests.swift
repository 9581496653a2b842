import Channels
import Testing

@testable import Core

@Suite struct `Questions to the log` {
    /// Waiting for what other machines have published takes time, and another place among the reader's questions.
    @Test(
        arguments: ["", "&wait=20", "&stream=ndjson"],
        [
            ("k7f2-14", true), ("zz99-1", true), ("k7f2-3", false), ("first", false),
            ("last:2", false),
        ]
    )
    func `only those about a cursor that is unknown here wait for the other machines`(
        kind: String,
        start: (since: String, looksAhead: Bool)
    ) throws {
        let world = World()
        world.fallBehind(to: 10)
        world.get("/push/news?since=\(start.since)\(kind)", on: world.connect())
        guard case .history(let request)? = world.takeReads().first else {
            Issue.record("the log is not asked")
            return
        }
        #expect(request.looksAhead == start.looksAhead)
        // What follows is about this machine's log.
        guard start.looksAhead else { return }
        world.tell(
            .history(
                ticket: request.ticket,
                .success(
                    HistoryPage(
                        messages: [],
                        scanned: Offset(10),
                        more: false,
                        gap: nil,
                        newest: Offset(10)
                    )
                )
            )
        )
        world.turn()
        for case .history(let next) in world.takeReads() { #expect(!next.looksAhead) }
    }
}
