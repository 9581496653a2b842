import Bus
import Channels
import Foundation
import Testing

@Suite struct LogTests {
    @Test func `what is appended is told, read again, and found by its id`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let first = probe.append(draft("a", "one"))
        let both = probe.append(draft("a", "two"), draft("b", "three"))
        #expect(probe.now.live.map(\.text) == ["one", "two", "three"])
        guard case .committed(let ids) = both else {
            Issue.record("not committed")
            return
        }
        #expect(ids.map(\.offset.value) == [2, 3])
        #expect(probe.message(ids[1])?.text == "three")
        #expect(probe.message(Cursor(epoch: Epoch("foreign")!, offset: Offset(1))) == nil)
        #expect(probe.message(Cursor(epoch: ids[0].epoch, offset: Offset(9))) == nil)
        #expect(first.id?.offset == Offset(1))
        let reading = probe.read(["a"], .after(.start))
        #expect(reading.messages.map(\.text) == ["one", "two"])
        #expect(reading.scanned == Offset(3))
        #expect(reading.newest == Offset(2))
        #expect(reading.gap == nil && !reading.more)
        probe.stop()
    }

    @Test func `history obeys its start and its limits`() {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        let probe = LogProbe(settings(directory), clocks: clock.clocks())
        for number in 1...6 {
            probe.append(draft(number % 2 == 1 ? "odd" : "even", "\(number)"))
            clock.advance(seconds: 10)
        }
        let cases: [(HistoryStart, Int, Int, [String], Int64, Bool)] = [
            (.after(.start), 100, 1000, ["1", "2", "3", "4", "5", "6"], 6, false),
            (.after(Offset(4)), 100, 1000, ["5", "6"], 6, false),
            (.after(Offset(6)), 100, 1000, [], 6, false),
            (.after(Offset(1)), 2, 1000, ["2", "3"], 3, true),
            (.after(Offset(4)), 2, 1000, ["5", "6"], 6, false),
            (.after(.start), 100, 2, ["1", "2"], 2, true),
            (.after(.start), 100, 0, ["1"], 1, true),
            (.first, 3, 1000, ["1", "2", "3"], 3, true),
            (.last(1), 100, 1000, ["5", "6"], 6, false),
            (.last(2), 3, 1000, ["3", "4", "5"], 5, true),
            (.last(0), 3, 1000, [], 6, false),
            (.age(milliseconds: 25_000), 100, 1000, ["5", "6"], 6, false),
            (.newest, 100, 1000, [], 6, false),
        ]
        for (start, limit, bytes, texts, scanned, more) in cases {
            let reading = probe.read(["odd", "even"], start, limit: limit, bytes: bytes)
            #expect(reading.messages.map(\.text) == texts, "\(start)")
            #expect(reading.scanned == Offset(scanned), "\(start)")
            #expect(reading.more == more, "\(start)")
            #expect(reading.newest == Offset(6))
        }
        #expect(probe.read(["odd"], .newest).newest == Offset(5))
        #expect(probe.read(["unknown"], .newest).newest == .start)
        probe.stop()
    }

    @Test func `a clean restart keeps messages, epoch and cursors`() {
        let directory = TemporaryDirectory()
        var first = LogProbe(settings(directory))
        let id = first.append(draft("a", "kept")).id
        let epoch = first.now.epochs?.current
        first.stop()
        first = LogProbe(settings(directory))
        #expect(first.now.epochs?.current == epoch)
        #expect(first.now.epochs?.stretches.count == 1)
        #expect(first.now.opened[0].messages.map(\.text) == ["kept"])
        #expect(first.now.opened[0].messages.first?.id == id)
        #expect(first.append(draft("a", "next")).id?.offset == Offset(2))
        #expect(first.read(["a"], .after(Offset(1))).gap == nil)
        first.stop()
    }

    @Test func `a topic's new message takes the place of the old one without a gap`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1", topic: "t"))
        probe.append(draft("a", "2", topic: "u"))
        probe.append(draft("b", "3", topic: "t"))
        probe.append(draft("a", "4", topic: "t"))
        let reading = probe.read(["a", "b"], .after(.start))
        #expect(reading.messages.map(\.text) == ["2", "3", "4"])
        #expect(reading.gap == nil)
        #expect(probe.now.live.map(\.text) == ["1", "2", "3", "4"])
        probe.stop()
    }

    @Test func `an idempotency key answers the first result for five minutes`() {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        var probe = LogProbe(settings(directory), clocks: clock.clocks())
        let key = IdempotencyKey(publisher: "p", key: "k")
        let first = probe.append(draft("a", "x"), draft("b", "y"), key: key)
        guard case .committed(let ids) = first else {
            Issue.record("not committed")
            return
        }
        #expect(probe.append(draft("a", "x"), draft("b", "y"), key: key) == .repeated(ids: ids))
        #expect(probe.append(draft("a", "x"), draft("b", "z"), key: key) == .conflict)
        #expect(probe.append(draft("a", "x", ttl: 1), draft("b", "y"), key: key) == .conflict)
        // Another publisher, other channels: another request.
        let others = [
            probe.append(
                draft("a", "x"),
                draft("b", "y"),
                key: IdempotencyKey(publisher: "q", key: "k")
            ),
            probe.append(draft("a", "x"), key: key),
        ]
        for other in others {
            if case .committed = other { continue }
            Issue.record("\(other)")
        }
        probe.stop()
        clock.advance(seconds: 299)
        probe = LogProbe(settings(directory), clocks: clock.clocks())
        #expect(probe.append(draft("a", "x"), draft("b", "y"), key: key) == .repeated(ids: ids))
        clock.advance(seconds: 2)
        if case .committed(let later) = probe.append(draft("a", "x"), draft("b", "y"), key: key) {
            #expect(later != ids)
        } else {
            Issue.record("the key was remembered for too long")
        }
        probe.stop()
    }

    @Test func `only the newest messages within the bounds come with the opening`() {
        let directory = TemporaryDirectory()
        var small = settings(directory)
        var probe = LogProbe(small)
        for number in 1...20 { probe.append(draft("a", "message \(number)")) }
        probe.stop()
        small.memoryMessages = 5
        probe = LogProbe(small)
        #expect(probe.now.opened[0].floor == Offset(15))
        #expect(probe.now.opened[0].messages.map(\.offset.value) == [16, 17, 18, 19, 20])
        probe.stop()
        small.memoryBytes = 21
        probe = LogProbe(small)
        #expect(probe.now.opened[0].floor == Offset(18))
        #expect(probe.now.opened[0].messages.map(\.offset.value) == [19, 20])
        probe.stop()
    }

    @Test func `stopping commits and answers what is queued`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let tickets = (1...500).map { probe.send([draft("a", "\($0)")]) }
        probe.stop()
        let told = probe.now
        for ticket in tickets {
            guard case .committed = told.outcomes[ticket] else {
                Issue.record("append \(ticket) was not committed")
                return
            }
        }
        #expect(told.live.map(\.text) == (1...500).map { "\($0)" })
    }

    @Test func `files and directory have the modes that a group needs`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "x"))
        let path = directory.path + "/bus"
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o2770)
        for file in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake", "reserve"] {
            #expect(stat(path + "/" + file, &status) == 0, "\(file)")
            #expect(status.st_mode & 0o7777 == 0o660, "\(file)")
        }
        probe.stop()
    }

    @Test func `a database of another program is refused, and left alone`() throws {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        probe.stop()
        let path = directory.path + "/bus/log.sqlite"
        try FileManager.default.removeItem(atPath: path)
        try makeForeignDatabase(path)
        probe = LogProbe(settings(directory))
        #expect(probe.now.unavailable.first?.contains("another program") == true)
        #expect(probe.append(draft("a", "x")) == .unavailable)
        probe.stop()
    }
}
