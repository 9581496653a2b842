import Channels
import Foundation
import Glibc
import Testing

@testable import Bus

/// Appends that are committed by the thread that has them.
@Suite struct AppendAtOnceTests {
    private let directory = TemporaryDirectory(in: "/dev/shm")

    /// A log that has nothing left to do since its opening, so that appends are committed at once.
    private func settled(_ settings: BusSettings) throws -> LogProbe {
        let probe = LogProbe(settings, retention: keep(count: 100_000), appendsAtOnce: true)
        try settle(probe)
        return probe
    }

    private func settle(_ probe: LogProbe) throws {
        try eventually("an append at once") { isCommittedHere(probe, [draft("settling", "")]) }
    }

    /// Appends; whether that was committed by this thread, which it is not while chores are due.
    private func isCommittedHere(_ probe: LogProbe, _ drafts: [Draft], dropping: [String] = [])
        -> Bool
    {
        let ticket = probe.send(drafts, dropping: dropping)
        _ = probe.outcome(of: ticket)
        return probe.now.tellers[ticket].map { pthread_equal($0, pthread_self()) != 0 } ?? false
    }

    @Test func `in memory, an append is committed when the call returns`() throws {
        let probe = try settled(settings(directory))
        try eventually("an append that is told when the call returns") {
            let before = probe.now.head.value
            let ticket = probe.send([draft("a", "one"), draft("b", "two")])
            let told = probe.now
            guard let id = told.outcomes[ticket]?.id else {
                // Chores were due.
                _ = probe.outcome(of: ticket)
                return false
            }
            #expect(id.offset.value == before + 1)
            #expect(told.live.map(\.text).suffix(2) == ["one", "two"])
            return true
        }
        #expect(probe.read(["a", "b"], .first).messages.map(\.text).suffix(2) == ["one", "two"])
        probe.stop()
    }

    @Test func `a few appends share a commit`() throws {
        let probe = try settled(settings(directory))
        try eventually("one commit of five") {
            let before = probe.log.statistics.commits
            let tickets = probe.sendTogether((0..<5).map { draft("a", "\($0)") })
            let ids = tickets.map { probe.outcome(of: $0).id?.offset.value ?? 0 }
            #expect(ids == Array(ids[0]..<ids[0] + 5))
            return probe.log.statistics.commits == before + 1
        }
        probe.stop()
    }

    @Test func `on a disk, the writer thread commits`() {
        let onDisk = TemporaryDirectory()
        let probe = LogProbe(settings(onDisk), appendsAtOnce: true)
        for number in 0..<20 { #expect(!isCommittedHere(probe, [draft("a", "\(number)")])) }
        probe.stop()
    }

    /// The gate of a bus directory, closed from outside.
    private struct Gate {
        private let descriptor: Int32

        init(_ settings: BusSettings) {
            descriptor = Glibc.open(settings.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            _ = flock(descriptor, LOCK_EX)
        }

        func open() { close(descriptor) }
    }

    @Test func `while another process is inside the gate, the call does not wait`() throws {
        let probe = try settled(settings(directory))
        let gate = Gate(settings(directory))
        let tickets = (0..<3).map { probe.send([draft("a", "\($0)")]) }
        #expect(tickets.allSatisfy { probe.now.outcomes[$0] == nil })
        gate.open()
        let ids = tickets.map { probe.outcome(of: $0).id?.offset.value ?? 0 }
        #expect(ids == ids.sorted() && !ids.contains(0))
        probe.stop()
    }

    @Test func `another program that writes delays the append, and no thread but the writer's`()
        throws
    {
        let probe = try settled(settings(directory))
        let other = try Database(path: settings(directory).directory + "/log.sqlite", .readWrite)
        try other.execute("BEGIN IMMEDIATE")
        let ticket = probe.send([draft("a", "one")])
        #expect(probe.now.outcomes[ticket] == nil)
        try other.execute("ROLLBACK")
        #expect(probe.outcome(of: ticket).id != nil)
        probe.stop()
    }

    @Test func `what was posted before is committed before`() throws {
        let probe = try settled(settings(directory))
        var tickets: [UInt64] = []
        for round in 0..<500 {
            for number in 0..<round % 4 {
                tickets.append(probe.send([draft("a", "\(number)")], atOnce: false))
            }
            tickets.append(probe.send([draft("a", "at once")]))
        }
        let ids = tickets.map { probe.outcome(of: $0).id?.offset.value ?? 0 }
        #expect(ids == Array(ids[0]..<ids[0] + Int64(tickets.count)))
        probe.stop()
    }

    @Test func `threads that append at once and threads that post share one order`() throws {
        let probe = try settled(settings(directory))
        let before = probe.now.live.count
        let group = DispatchGroup()
        for thread in 0..<4 {
            group.enter()
            Thread {
                for number in 0..<300 {
                    let ticket = probe.send(
                        [draft("t\(thread)", "\(number)")],
                        atOnce: thread % 2 == 0
                    )
                    if number % 7 == 0 { _ = probe.outcome(of: ticket) }
                }
                group.leave()
            }.start()
        }
        group.wait()
        probe.wait("all of them") { $0.live.count == before + 1200 }
        for thread in 0..<4 {
            let texts = probe.now.live.filter { $0.channel.text == "t\(thread)" }.map(\.text)
            #expect(texts == (0..<300).map(String.init))
        }
        probe.stop()
    }

    @Test func `the write-ahead log is emptied as for the writer thread`() throws {
        let probe = try settled(settings(directory))
        for number in 0..<2000 {
            #expect(probe.append(draft("a", "\(number)")).id != nil)
        }
        let statistics = probe.log.statistics
        #expect(statistics.checkpoints > 0)
        #expect(statistics.walBytes < 8 << 20)
        probe.stop()
        #expect(try integrity(settings(directory).directory) == "ok")
        #expect(try countsAgree(settings(directory).directory))
    }

    @Test func `what lasts long is left to the writer thread`() throws {
        let probe = LogProbe(
            settings(directory),
            retention: { $0.text == "a" ? keep(count: 1000)($0) : keep(count: 4)($0) },
            appendsAtOnce: true
        )
        try settle(probe)
        #expect(!isCommittedHere(probe, [draft("b", String(repeating: "x", count: 65_537))]))
        #expect(!isCommittedHere(probe, [], dropping: ["b"]))
        #expect(!isCommittedHere(probe, (0..<65).map { draft("b", "\($0)") }))
        // One message of the other channel is trimmed for each that comes, and many of this one at once.
        for number in 0..<10 { #expect(probe.append(draft("b", "\(number)")).id != nil) }
        try eventually("a small trim") { isCommittedHere(probe, [draft("b", "one more")]) }
        #expect(probe.read(["b"], .first).messages.count == 4)
        for number in 0..<1125 { #expect(probe.append(draft("a", "\(number)")).id != nil) }
        try settle(probe)
        #expect(!isCommittedHere(probe, [draft("a", "the first beyond the bound")]))
        #expect(probe.read(["a"], .first, limit: 2000).messages.count == 1000)
        probe.stop()
    }

    @Test func `forgetting channels, and trimming many, is left to the writer thread`() throws {
        let probe = LogProbe(
            settings(directory),
            channelLimit: 64,
            retention: keep(count: 8),
            appendsAtOnce: true
        )
        try settle(probe)
        let names = (0..<63).map { "a/\($0)" }
        // Chores are due now and then, and may trim before: so several times in a row.
        try eventually("trims that are left to the writer thread") {
            try (0..<5).allSatisfy { _ in
                _ = probe.outcome(of: probe.send(names.map { draft($0, "x") }))
                try settle(probe)
                // Two messages of each are beyond the bounds then.
                return !isCommittedHere(probe, names.prefix(40).map { draft($0, "x") })
            }
        }
        for name in names { _ = probe.outcome(of: probe.send([], dropping: [name])) }
        for number in 0..<5 {
            try settle(probe)
            #expect(!isCommittedHere(probe, [draft("b/\(number)", "one channel too many")]))
        }
        probe.stop()
    }

    @Test func `a log whose files were removed is opened anew for the append`() throws {
        let probe = try settled(settings(directory))
        let epoch = try #require(probe.now.epochs?.current)
        for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
            try FileManager.default.removeItem(atPath: settings(directory).directory + "/" + name)
        }
        let id = probe.append(draft("a", "one")).id
        #expect(id != nil && id?.epoch != epoch)
        #expect(probe.now.opened.count == 2)
        probe.stop()
    }

    @Test func `a full log is trimmed for the append, and what fits nowhere is refused`() throws {
        var settings = settings(directory)
        settings.maxBytes = 1 << 20
        let probe = try settled(settings)
        for number in 0..<600 {
            let text = "\(number) " + String(repeating: "x", count: 3000)
            guard probe.append(draft("c\(number % 5)", text)).id != nil else {
                Issue.record("append \(number) was refused")
                break
            }
        }
        #expect(probe.log.statistics.diskFull > 0)
        #expect(probe.append(draft("big", String(repeating: "x", count: 2 << 20))) == .full)
        #expect(probe.append(draft("small", "x")).id != nil)
        probe.stop()
        #expect(try integrity(settings.directory) == "ok")
    }

    @Test func `a log that has ended answers nothing, and stays closed`() throws {
        let probe = try settled(settings(directory))
        probe.stop()
        let head = probe.now.head
        let ticket = probe.send([draft("a", "late")])
        #expect(probe.now.outcomes[ticket] == nil)
        #expect(probe.now.head == head)
    }
}
