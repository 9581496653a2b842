import Bus
import Channels
import Testing

/// Publishers that drop a channel's messages.
@Suite struct DropTests {
    @Test func `a dropped channel is empty, and readers that wait or come back are told`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"), draft("a", "2"), draft("b", "3"))
        #expect(probe.outcome(of: probe.send([], dropping: ["a"])) == .committed(ids: []))
        // It has a place of its own in the order, so that readers that had seen everything are told as well.
        #expect(probe.now.head == Offset(4))
        #expect(
            probe.now.missed.map { "\($0.channel) \($0.through) \($0.reason)" } == ["a 4 deleted"]
        )
        #expect(probe.read(["a", "b"], .first).messages.map(\.text) == ["3"])
        #expect(probe.read(["a"], .after(Offset(3))).gap == .deleted)
        #expect(probe.read(["a"], .after(Offset(4))).gap == nil)
        #expect(probe.append(draft("a", "5")).id?.offset == Offset(5))
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["5"])
        probe.stop()
    }

    @Test func `dropping nothing changes nothing`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        for name in ["a", "a", "unknown"] {
            #expect(probe.outcome(of: probe.send([], dropping: [name])) == .committed(ids: []))
        }
        #expect(probe.now.head == Offset(2))
        #expect(probe.now.missed.count == 1)
        probe.stop()
    }

    /// Debian's SQLite writes zeros over the pages of what is removed, unless it is told otherwise.
    @Test func `what is dropped is not written once more`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let text = String(repeating: "x", count: 50_000)
        for _ in 0..<8 { probe.append(draft("a", text)) }
        let before = probe.log.statistics.walBytes
        #expect(probe.outcome(of: probe.send([], dropping: ["a"])) == .committed(ids: []))
        #expect(probe.log.statistics.walBytes - before < 50_000)
        probe.stop()
    }

    @Test func `other processes and later ones see the same`() {
        let directory = TemporaryDirectory()
        let settings = settings(directory)
        let first = LogProbe(settings)
        let second = LogProbe(settings)
        first.append(draft("a", "1"))
        first.send([draft("a", "2")])
        first.send([], dropping: ["a"])
        first.append(draft("a", "3"))
        second.wait("the end") { $0.head == Offset(4) }
        #expect(second.now.missed.map(\.through) == [Offset(3)])
        #expect(second.read(["a"], .first).messages.map(\.text) == ["3"])
        first.stop()
        second.stop()
        let third = LogProbe(settings)
        #expect(third.read(["a"], .after(Offset(1))).gap == .deleted)
        third.stop()
    }

    /// More than one transaction removes: the rest is hidden at once, and removed by and by.
    @Test func `a channel with many messages is empty at once and removed in portions`() throws {
        let directory = TemporaryDirectory()
        let retention = keep(count: 100_000)
        let probe = LogProbe(settings(directory), retention: retention)
        for _ in 0..<5 { probe.send((0..<1000).map { draft("a", "\($0)") }) }
        _ = probe.outcome(of: probe.send([], dropping: ["a"]))
        #expect(probe.read(["a"], .first).messages.isEmpty)
        #expect(probe.read(["a"], .last(10)).messages.isEmpty)
        let after = probe.read(["a"], .after(Offset(10)))
        #expect(after.messages.isEmpty)
        #expect(after.gap == .deleted)
        #expect(probe.read(["a"], .age(milliseconds: 60_000)).messages.isEmpty)
        probe.append(draft("a", "new"))
        try eventually("removed") { probe.channels()?.entries.map(\.messages) == [1] }
        #expect(probe.log.statistics.messagesTrimmed == 5000)
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["new"])
        probe.stop()
        #expect(try countsAgree(directory.path + "/bus"))
    }

    @Test func `bug: a follower got messages that were dropped and not removed yet`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"), draft("a", "2"), draft("b", "3"), draft("a", "4"))
        probe.stop()
        // As a drop of more than a portion leaves it.
        try execute(
            """
            UPDATE channels SET trimmed_through = 2, trim_stamp = 1 WHERE name = 'a';
            UPDATE state SET trim_stamp = 1
            """,
            directory.path + "/bus"
        )
        let batches = try follow(directory.path + "/bus", try #require(probe.now.epochs))
        #expect(batches.flatMap(\.messages).map(\.text) == ["3", "4"])
        #expect(batches.flatMap(\.trims).map { "\($0.channel) \($0.through)" } == ["a 2"])
    }

    @Test func `a repeated request drops once`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let key = IdempotencyKey(publisher: "", key: "k")
        probe.append(draft("a", "1"))
        #expect(probe.outcome(of: probe.send([], dropping: ["a"], key: key)) == .committed(ids: []))
        probe.append(draft("a", "2"))
        #expect(probe.outcome(of: probe.send([], dropping: ["a"], key: key)) == .repeated(ids: []))
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["2"])
        probe.stop()
    }
}
