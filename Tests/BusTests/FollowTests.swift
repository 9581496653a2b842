import Channels
import Synchronization
import Testing

@testable import Bus

/// What a process is told of what others did while it was stopped.
@Suite struct FollowTests {
    /// A process without threads, which looks when it is told to.
    final class Sleeper {
        private let shared: LogShared
        private let reader: LogReader
        private let open: OpenLog
        private let events = Events()

        private final class Events: Sendable {
            let told = Mutex<[LogEvent]>([])
        }

        init(_ settings: BusSettings, channelLimit: Int = 1000) throws {
            let events = events
            shared = LogShared(
                settings: settings,
                channelLimit: channelLimit,
                clocks: .system,
                retention: keep(count: 10_000, bytes: 1 << 26),
                deliver: { news in events.told.withLock { $0 += news } }
            )
            reader = LogReader(shared)
            open = try OpenLog.open(shared, suspect: false)
            _ = try look(.reader)
        }

        /// Which of its threads looks.
        enum Look: CaseIterable { case reader, writer, writerBeforeTheGate }

        /// What it is told when it appends.
        func append(_ append: Append) throws -> [LogEvent] {
            try tell { turn in try run(&turn, [append]) }
        }

        /// What it is told.
        func look(_ look: Look) throws -> [LogEvent] {
            try tell { turn in
                switch look {
                case .reader: reader.turn()
                case .writer: try run(&turn, [])
                case .writerBeforeTheGate: try turn.catchUp()
                }
            }
        }

        private func tell(_ work: (inout WriterTurn) throws -> Void) rethrows -> [LogEvent] {
            events.told.withLock { $0 = [] }
            var turn = WriterTurn(shared, open)
            try work(&turn)
            turn.tell(shared, open)
            return events.told.withLock { $0 }
        }

        private func run(_ turn: inout WriterTurn, _ appends: [Append]) throws {
            try open.directory.enter()
            defer { open.directory.leave() }
            let note = try #require(open.note())
            try turn.run(appends, note)
        }

        var head: Offset { Offset(shared.position.head) }

        var epochs: EpochHistory { shared.position.opened!.epochs }
    }

    static let looks = Sleeper.Look.allCases

    @Test(
        arguments: looks,
        [(3000, 1), (150, 100_000)]
    )
    func `a process that was stopped read all that came meanwhile`(
        look: Sleeper.Look,
        much: (count: Int, bytes: Int)
    ) throws {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        (small.memoryMessages, small.memoryBytes) = (16, 1_048_576)
        let sleeper = try Sleeper(small)
        let other = LogProbe(settings(directory), retention: keep(count: 10_000, bytes: 1 << 26))
        let body = String(repeating: "x", count: much.bytes)
        let tickets = (1...much.count).map { _ in other.send([draft("a", body)]) }
        for ticket in tickets { _ = other.outcome(of: ticket) }
        let told = try sleeper.look(look)
        guard told.count == 1, case .resumed(let state) = told[0] else {
            Issue.record("\(told.count) events")
            return
        }
        #expect(state.head == Offset(Int64(much.count)) && state.head == sleeper.head)
        #expect(state.messages.count <= 16 && state.epochs == other.now.epochs)
        // Then it goes on as before.
        _ = other.append(draft("a", "next"))
        let next = try sleeper.look(look)
        guard next.count == 1, case .committed(let batch) = next[0] else {
            Issue.record("\(next.count) events")
            return
        }
        #expect(batch.previous == state.head && batch.messages.map(\.text) == ["next"])
        other.stop()
    }

    @Test(arguments: looks)
    func `what memory keeps is told message by message`(look: Sleeper.Look) throws {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        small.memoryMessages = 1
        let sleeper = try Sleeper(small)
        let other = LogProbe(settings(directory))
        for number in 1...60 { other.send([draft("a", "\(number)")]) }
        _ = other.append(draft("a", "last"))
        let told = try sleeper.look(look)
        guard told.count == 1, case .committed(let batch) = told[0] else {
            Issue.record("\(told.count) events")
            return
        }
        #expect(batch.messages.count == 61)
        other.stop()
    }

    @Test(arguments: looks)
    func `a forgotten channel took a mark with it that others had not read`(
        look: Sleeper.Look
    ) throws {
        let directory = TemporaryDirectory()
        let sleeper = try Sleeper(settings(directory), channelLimit: 3)
        let other = LogProbe(settings(directory), channelLimit: 3)
        let first = other.append(draft("x", "1")).id!
        _ = try sleeper.look(look)
        other.log.replaceRetention(keep(count: 0))
        other.wait("trimmed") { $0.trims["x"] == first.offset }
        other.log.replaceRetention(keep())
        for channel in ["y", "z", "w"] { _ = other.append(draft(channel, "new")) }
        let told = try sleeper.look(look)
        guard told.count == 1, case .committed(let batch) = told[0] else {
            Issue.record("\(told.count) events")
            return
        }
        // Its memory can no longer answer cursors from before.
        #expect(batch.forgottenThrough == first.offset)
        #expect(batch.messages.map(\.text) == ["new", "new", "new"])
        #expect(try sleeper.look(look).isEmpty)
        #expect(other.read(["x"], .after(.start)).gap == .trimmed)
        other.stop()
    }

    @Test(arguments: looks)
    func `a process that forgot a channel itself replayed what others trimmed and forgot`(
        look: Sleeper.Look
    ) throws {
        let directory = TemporaryDirectory()
        let sleeper = try Sleeper(settings(directory), channelLimit: 3)
        let other = LogProbe(settings(directory), channelLimit: 3)
        _ = other.append(draft("y", "1"))
        _ = other.append(draft("z", "2"))
        _ = other.outcome(of: other.send([], dropping: ["z"]))
        _ = other.append(draft("v", "4"))
        _ = try sleeper.look(look)
        // The floor rises to z's mark, and what the process has of y lies below it.
        guard
            case .committed(let own)? = try sleeper.append(
                Append(ticket: 1, drafts: [draft("w", "5")])
            ).first
        else {
            Issue.record("nothing was told")
            return
        }
        #expect(own.forgottenThrough == Offset(3))
        // Now y goes, whose mark is lower.
        other.log.replaceRetention { $0 == name("y") ? keep(count: 0)($0) : Retention() }
        other.wait("trimmed") { $0.trims["y"] == Offset(1) }
        _ = other.append(draft("u", "6"))
        #expect(other.channels()?.entries.map(\.name.text) == ["u", "v", "w"])
        guard case .committed(let batch)? = try sleeper.look(look).first else {
            Issue.record("nothing was told")
            return
        }
        #expect(batch.forgottenThrough == Offset(3))
        #expect(batch.messages.map(\.text) == ["6"])
        #expect(!batch.trims.contains { $0.channel == name("y") })
        other.stop()
    }

    @Test func `a process that forgot a channel answered otherwise than the log`() throws {
        let directory = TemporaryDirectory()
        let sleeper = try Sleeper(settings(directory), channelLimit: 2)
        var tail = Tail(
            epochs: sleeper.epochs,
            head: .start,
            floor: .start,
            messages: [],
            trims: [],
            messageLimit: 100,
            byteLimit: 1 << 20
        )
        for append in [
            Append(ticket: 1, drafts: [draft("x", "1")]),
            Append(ticket: 2, drafts: [], dropping: [name("x")]),
            Append(ticket: 3, drafts: [draft("y", "3")]),
            // Forgets x, and makes z as one that may have been forgotten.
            Append(ticket: 4, drafts: [draft("z", "4")]),
        ] {
            for case .committed(let batch) in try sleeper.append(append) { tail.receive(batch) }
        }
        #expect(tail.head == Offset(4) && tail.floor == Offset(2))
        // What only the log knows: that there may have been a z before.
        func read(after offset: Offset) -> HistoryPage? {
            tail.read([name("z")], after: offset, messageLimit: 100, byteLimit: 1 << 20, now: 0)
        }
        #expect(read(after: .start) == nil)
        #expect(read(after: Offset(2))?.messages.map(\.text) == ["4"])
    }

    @Test(arguments: looks)
    func `a forgotten channel took messages with it that others never saw`(
        look: Sleeper.Look
    ) throws {
        let directory = TemporaryDirectory()
        let sleeper = try Sleeper(settings(directory), channelLimit: 3)
        let other = LogProbe(settings(directory), channelLimit: 3)
        let first = other.append(draft("x", "1")).id!
        _ = try sleeper.look(look)
        _ = other.append(draft("x", "2"))
        _ = other.outcome(of: other.send([], dropping: ["x"]))
        for channel in ["y", "z", "w"] { _ = other.append(draft(channel, "new")) }
        // It is unknown which channels have lost something: everything begins anew, and the log says so.
        guard case .resumed(let state)? = try sleeper.look(look).first else {
            Issue.record("it was passed over")
            return
        }
        #expect(state.forgottenThrough == Offset(3))
        #expect(other.read(["x"], .after(first.offset)).gap == .trimmed)
        #expect(other.read(["y"], .after(Offset(3))).gap == nil)
        #expect(try sleeper.look(look).isEmpty)
        other.stop()
    }

    @Test func `a publish that was refused made channels and forgot others`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), channelLimit: 3)
        probe.append(draft("a", "1"), draft("b", "2"), draft("c", "3"))
        _ = probe.outcome(of: probe.send([], dropping: ["a"]))
        let before = probe.channels()?.entries.map(\.name.text)
        #expect(before == ["a", "b", "c"])
        // Only one of the three may be forgotten, and the first new channel would have its place.
        let outcome = probe.outcome(
            of: probe.send(
                [draft("d", "x"), draft("b", "x"), draft("e", "x")],
                dropping: ["b"],
                key: IdempotencyKey(publisher: "p", key: "k"),
                quota: PublisherQuota(publisher: "p", limits: .of(messages: 5))
            )
        )
        #expect(outcome == .noMoreChannels)
        #expect(probe.channels()?.entries.map(\.name.text) == before)
        #expect(probe.read(["b"], .first).messages.map(\.text) == ["2"])
        // The floor of the forgotten has not risen.
        #expect(probe.read(["never"], .after(.start)).gap == nil)
        // A channel of the publish itself is not forgotten for its others.
        #expect(probe.append(draft("d", "x"), draft("a", "x")) == .noMoreChannels)
        #expect(probe.append(draft("d", "x")).id?.offset == Offset(5))
        #expect(probe.channels()?.entries.map(\.name.text) == ["b", "c", "d"])
        probe.stop()
        #expect(try rowCount("keys", directory.path + "/bus") == 0)
        #expect(try rowCount("quotas", directory.path + "/bus") == 0)
        #expect(try countsAgree(directory.path + "/bus"))
    }
}

extension QuotaLimits {
    static func of(messages: Int) -> QuotaLimits {
        var limits = QuotaLimits()
        limits.messages = messages
        return limits
    }
}
