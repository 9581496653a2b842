import Channels
import Engine
import Harness
import System
import Testing

/// What notifications tell.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct HintTests {
    /// A site, its listener, the end of its log, and its publisher.
    private struct Listening {
        let site: Site
        let listener: EngineSession
        let start: EnginePosition
        let publisher: EngineSession

        init(usedQueue: Double? = nil) throws {
            site = try Site()
            if let usedQueue {
                // Instead of PostgreSQL's own, which comes later in the search path.
                try site.server.sql(
                    """
                    CREATE FUNCTION holdfast.pg_notification_queue_usage() RETURNS double precision
                    LANGUAGE sql AS $$ SELECT \(usedQueue)::double precision $$
                    """
                )
            }
            listener = try site.session()
            publisher = try site.session()
            start = try listener.anchor(deadline: soon).position
            try listener.listen(deadline: soon)
            _ = try listener.look(deadline: soon)
        }

        func hint(after position: EnginePosition, deadline: Int64 = soon) throws
            -> EngineSession.Hint
        {
            try listener.waitForHint(after: position, deadline: deadline)
        }
    }

    @Test func `small entries come with their hints, each with its place in the chain`() throws {
        let all = try Listening()
        #expect(try all.hint(after: all.start, deadline: 0) == EngineSession.Hint())
        let first = try append(all.publisher, "1")
        let hint = try all.hint(after: all.start)
        #expect(hint.groups.map(\.messages) == [["1"]] && !hint.mayHaveMore && !hint.hasOutbox)
        #expect(hint.groups.map(\.position) == [first.position])
        let read = try all.listener.read(after: all.start, deadline: soon).groups
        #expect(hint.groups.map(\.content) == read.map(\.content))
        #expect(hint.groups.map(\.milliseconds) == read.map(\.milliseconds))
    }

    @Test func `what was read before its hint came is not told again`() throws {
        let all = try Listening()
        let first = try append(all.publisher, "1")
        let hint = try all.hint(after: first.position)
        #expect(hint.groups.isEmpty && !hint.mayHaveMore)
    }

    @Test func `a hint whose entry does not follow says that there is more`() throws {
        let all = try Listening()
        let first = try append(all.publisher, "1")
        _ = try all.hint(after: all.start)
        _ = try append(all.publisher, "2")
        #expect(try all.hint(after: all.start).mayHaveMore)
        _ = try append(all.publisher, "3")
        let other = EnginePosition(seq: first.position.seq + 1, chain: first.position.chain)
        #expect(try all.hint(after: other).mayHaveMore)
        // Set back under the connection: the number is the same.
        try all.site.server.sql("DELETE FROM holdfast.log WHERE seq > \(first.position.seq)")
        let lost = try append(all.publisher, "lost").position
        _ = try all.hint(after: first.position)
        try all.site.server.sql("DELETE FROM holdfast.log WHERE seq = \(lost.seq)")
        _ = try append(all.publisher, "found")
        #expect(try all.hint(after: lost).mayHaveMore)
    }

    @Test func `large entries, epochs and what is no entry are to be read`() throws {
        let all = try Listening()
        _ = try append(all.publisher, String(repeating: "x", count: 1500))
        #expect(try all.hint(after: all.start) == EngineSession.Hint())
        try all.publisher.fork(.inEpoch("other"), newest: .max, deadline: soon)
        #expect(try all.hint(after: all.start) == EngineSession.Hint())
        let channel = try all.site.server.sql("SELECT channel FROM holdfast.site")
        for payload in ["", "x", "AAAA", "outbox ", "AAAAAAAAAAD/////"] {
            try all.site.server.sql("SELECT pg_notify('\(channel)', '\(payload)')")
            #expect(try all.hint(after: all.start) == EngineSession.Hint())
        }
    }

    @Test func `hints before a read are forgotten, but for what SQL published`() throws {
        let all = try Listening()
        _ = try append(all.publisher, "1")
        #expect(try all.listener.look(deadline: soon).seq == 1)
        #expect(!all.listener.skipHints())
        #expect(try all.hint(after: all.start, deadline: 0) == EngineSession.Hint())
        try all.site.server.sql("SELECT holdfast.publish('a', '1')")
        #expect(try all.listener.look(deadline: soon).hasOutbox)
        #expect(all.listener.skipHints())
    }

    @Test func `a hint tells what SQL published apart`() throws {
        let all = try Listening()
        try all.site.server.sql("SELECT holdfast.publish('a', '1')")
        let hint = try all.hint(after: all.start)
        #expect(hint.hasOutbox && hint.groups.isEmpty && !hint.mayHaveMore)
    }

    @Test func `only machines learn by which channel hints come`() throws {
        let site = try Site()
        let channel = try site.server.sql("SELECT channel FROM holdfast.site")
        #expect(channel.hasPrefix("holdfast_") && channel.utf8.count == 41)
        #expect(try Site().server.sql("SELECT channel FROM holdfast.site") != channel)
        for role in ["holdfast_machine", "holdfast_publisher"] {
            #expect(throws: (any Error).self) {
                try site.server.sql("SET ROLE \(role); SELECT channel FROM holdfast.site")
            }
        }
        for function in ["hello('\(site.id)', 'one', 600000, 0)", "listen('\(site.id)', 'one')"] {
            #expect(throws: (any Error).self) {
                try site.server.sql("SET ROLE holdfast_publisher; SELECT holdfast.\(function)")
            }
        }
        let listener = try site.session()
        try listener.listen(deadline: soon)
        let name = "'%\(channel.dropLast())%'"
        let shown = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE \(name)"
        // The one that asks.
        #expect(try site.server.sql(shown) == "1")
    }

    @Test func `a listener that took nothing could have kept all from publishing`() throws {
        let some = try Listening(usedQueue: 0.02)
        _ = try append(some.publisher, "1")
        #expect(try some.hint(after: some.start) == EngineSession.Hint())
        let much = try Listening(usedQueue: 0.5)
        _ = try append(much.publisher, "1")
        try much.site.server.sql("SELECT holdfast.publish('a', '1')")
        try much.site.server.sql("DROP FUNCTION holdfast.pg_notification_queue_usage()")
        _ = try append(try much.site.session(), "2")
        let hint = try much.hint(after: much.start)
        #expect(!hint.hasOutbox && hint.groups.isEmpty && hint.mayHaveMore)
    }
}
