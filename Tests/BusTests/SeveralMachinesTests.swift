import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// Machines that share a bus: each row of the table of events that a log can show by itself.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct SeveralMachinesTests {
    @Test func `what one machine commits is told by all, at the same place`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        guard case .committed(let ids) = one.publish(draft("a", "1"), draft("b", "2", ttl: 99))
        else {
            Issue.record("not committed")
            return
        }
        #expect(ids.map(\.offset) == [Offset(1), Offset(2)])
        two.wait(for: "2")
        guard case .committed(let others) = two.publish(draft("a", "3")) else {
            Issue.record("not committed")
            return
        }
        // A batch is whole, and the machine that published finds it at once.
        #expect(two.read(["a"], .after(ids[0].offset)).messages.map(\.text) == ["3"])
        #expect(others.first?.epoch == ids[0].epoch)
        one.wait(for: "3")
        #expect(one.everything(["a", "b"]) == two.everything(["a", "b"]))
        // Dropped and replaced in the one order.
        #expect(one.publish(dropping: ["a"]) == .committed(ids: []))
        one.publish(draft("b", "4", topic: "t"))
        two.publish(draft("b", "5", topic: "t"))
        one.wait(for: "5")
        #expect(two.everything(["a", "b"]).map { $0.suffix(3) } == ["b 2", "b 5"])
        #expect(one.everything(["a", "b"]) == two.everything(["a", "b"]))
        #expect(two.read(["a"], .after(Offset(3))).gap == .deleted)
        one.stop()
        two.stop()
    }

    @Test func `all processes of a machine publish, and one applies`() throws {
        let site = try EngineSite()
        let machine = try site.machine("1")
        let probes = [site.start(machine), site.start(machine)]
        let other = site.start(try site.machine("2"))
        for number in 0..<20 {
            probes[number % 2].publish(draft("a", "\(number)"))
        }
        other.wait(for: "19")
        let texts = (0..<20).map(String.init)
        for probe in probes + [other] {
            probe.wait(for: "19")
            #expect(probe.read(["a"], .first).messages.map(\.text) == texts)
        }
        // Whichever applied, the other one takes over.
        probes[0].stop()
        other.publish(draft("a", "last"))
        probes[1].wait(for: "last")
        probes[1].stop()
        other.stop()
    }

    @Test func `a key is decided for all machines at once`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        let key = IdempotencyKey(publisher: "p", key: "k")
        let first = one.publish(draft("a", "1"), key: key)
        let second = two.publish(draft("a", "1"), key: key)
        guard case .committed(let ids) = first, case .repeated(let same) = second else {
            Issue.record("\(first), \(second)")
            return
        }
        #expect(ids == same)
        #expect(two.publish(draft("a", "2"), key: key) == .conflict)
        #expect(one.read(["a"], .first).messages.count == 1)
        one.stop()
        two.stop()
    }

    @Test func `a cursor from another machine is judged when all it may know is here`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        for number in 0..<30 {
            let offset = try #require(one.publish(draft("a", "\(number)")).id?.offset)
            let page = two.read(["a"], .newest, looksAhead: true)
            #expect(page.newest >= offset)
            #expect(two.now.head >= offset)
        }
        // Also one of a later epoch.
        try site.server.sql("UPDATE holdfast.epochs SET system = 'another'")
        let third = site.start(try site.machine("3"))
        let id = try #require(third.publish(draft("a", "later")).id)
        _ = two.read(["a"], .newest, looksAhead: true)
        #expect(two.now.epochs?.verdict(on: id, head: two.now.head) == .valid(id.offset))
        for probe in [one, two, third] { probe.stop() }
    }

    @Test func `what SQL commits is told by all machines`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        try site.server.sql(
            """
            BEGIN; SELECT holdfast.publish('a', '"lost"'); ROLLBACK;
            BEGIN; SELECT holdfast.publish('a', '1'); SELECT holdfast.publish('a', '2'); COMMIT
            """
        )
        for probe in [one, two] { probe.wait(for: "2") }
        #expect(one.read(["a"], .first).messages.map(\.text) == ["1", "2"])
        #expect(one.everything(["a"]) == two.everything(["a"]))
        one.stop()
        two.stop()
    }

    @Test func `without the engine publishers are refused and readers are served`() throws {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        one.publish(draft("a", "before"))
        let opened = one.now.opened.count
        site.server.stop()
        #expect(one.append(draft("a", "lost")) == .unavailable)
        #expect(one.read(["a"], .first).messages.map(\.text) == ["before"])
        one.wait("the loss is said") { $0.notices.contains { $0.contains("get 503") } }
        try site.server.start()
        // After two seconds of refusals, publishers are refused at once until there is a connection.
        try eventually("the engine is there") { one.log.engineFigures?.canPublish == true }
        one.publish(draft("a", "after"))
        one.wait("the return is said") { $0.notices.contains { $0.contains("again") } }
        #expect(one.read(["a"], .first).messages.last?.text == "after")
        #expect(one.now.opened.count == opened)
        one.stop()
    }

    @Test func `a connection ended in the commit leaves exactly one message`() throws {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        try site.server.withholdCommits()
        let ticket = one.send([draft("a", "once")])
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append%'"
        try eventually("the commit waits") {
            try site.server.sql("SELECT count(*) > 0 \(waiting)") == "t"
        }
        try site.server.sql("SELECT pg_terminate_backend(pid) \(waiting)")
        try site.server.releaseCommits()
        // Committed, or, where the machine was too slow, unknown; the message is there in both cases.
        let outcome = one.outcome(of: ticket)
        #expect([.unavailable, .committed(ids: outcome.id.map { [$0] } ?? [])].contains(outcome))
        one.wait(for: "once")
        one.publish(draft("a", "next"))
        #expect(one.read(["a"], .first).messages.map(\.text) == ["once", "next"])
        one.stop()
    }

    @Test func `a machine whose log was deleted has it again, under the same epoch`() throws {
        let site = try EngineSite()
        let machine = try site.machine("1")
        let first = site.start(machine)
        let id = try #require(first.publish(draft("a", "1")).id)
        first.publish(draft("a", "2"))
        let before = first.everything(["a"])
        first.stop()
        for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake"] {
            try? FileManager.default.removeItem(atPath: "\(machine.directory)/\(name)")
        }
        let second = site.start(machine)
        second.wait(for: "2")
        #expect(second.everything(["a"]) == before)
        #expect(second.now.epochs?.verdict(on: id, head: second.now.head) == .valid(id.offset))
        #expect(second.read(["a"], .after(id.offset)).gap == nil)
        second.stop()
    }

    @Test func `a machine that was away for longer than groups are kept tells the gap`() throws {
        let site = try EngineSite()
        let (machine, other) = (try site.machine("1"), site.start(try site.machine("2")))
        let first = site.start(machine)
        let id = try #require(first.publish(draft("a", "1")).id)
        first.stop()
        other.publish(draft("a", "2"))
        let seq = try site.head
        other.publish(draft("a", "3"))
        try site.server.sql("DELETE FROM holdfast.log WHERE seq < \(seq)")
        let second = site.start(machine)
        second.wait(for: "3")
        let page = second.read(["a"], .after(id.offset))
        #expect(page.gap == .trimmed)
        #expect(page.messages.map(\.text) == ["3"])
        // No loss that would concern readers that missed nothing.
        let cursor = Cursor(epoch: id.epoch, offset: Offset(2))
        #expect(second.now.epochs?.verdict(on: cursor, head: second.now.head) == .valid(Offset(2)))
        #expect(second.read(["a"], .after(Offset(2))).gap == nil)
        second.stop()
        other.stop()
    }

    @Test func `what a failover loses is removed, and reported once to all that read across it`()
        throws
    {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        let kept = try #require(one.publish(draft("a", "kept")).id)
        two.wait(for: "kept")
        let seq = try site.head
        let lost = try #require(one.publish(draft("a", "lost")).id)
        two.wait(for: "lost")
        try site.lose(after: seq)
        let next = try #require(two.publish(draft("a", "next")).id)
        for probe in [one, two] {
            probe.wait(for: "next")
            probe.wait("a new epoch") { $0.epochs?.current != kept.epoch }
            probe.wait("the loss is said") { $0.notices.contains { $0.contains("has lost") } }
        }
        // Both are done when they are at the end of the engine's log.
        for probe in [one, two] {
            try eventually("applied") { probe.everything(["a"]).count == 2 }
            let now = probe.now
            guard let epochs = now.epochs else { continue }
            for id in [kept, lost] {
                guard case .restarted = epochs.verdict(on: id, head: now.head) else {
                    Issue.record("\(id) is not told of the loss")
                    continue
                }
            }
            #expect(epochs.stretches.filter { $0.told != nil && $0.beganWithLoss }.count == 1)
        }
        #expect(one.read(["a"], .first).messages.map(\.text) == ["kept", "next"])
        #expect(one.everything(["a"]) == two.everything(["a"]))
        #expect(next.offset == lost.offset || next.offset.value > lost.offset.value)
        one.stop()
        two.stop()
    }

    @Test func `an emptied schema stops publishers, and is not made anew`() throws {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        one.publish(draft("a", "1"))
        try site.server.sql(
            "TRUNCATE holdfast.site, holdfast.log, holdfast.epochs, holdfast.keys"
        )
        #expect(one.append(draft("a", "2")) == .unavailable)
        one.wait("it is said") { $0.notices.contains { $0.contains("was emptied") } }
        #expect(one.read(["a"], .first).messages.map(\.text) == ["1"])
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.site") == "0")
        one.stop()
    }

    @Test func `a log of another site is not opened`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let first = site.start(settings)
        first.publish(draft("a", "1"))
        first.stop()
        try EngineMembership(site: "other", machine: "1").write(settings)
        let second = LogProbe(settings)
        #expect(second.now.unavailable.first?.contains("is of site") == true)
        second.stop()
        // Nor by a process that knows of no engine.
        var alone = settings
        alone.engine = nil
        let third = LogProbe(alone)
        #expect(third.now.unavailable.first?.contains("no section [engine]") == true)
        third.stop()
        try site.join(settings, "1")
        let fourth = site.start(settings)
        #expect(fourth.read(["a"], .first).messages.map(\.text) == ["1"])
        fourth.stop()
    }

    @Test func `a machine with room for few channels forgets the quietest and tells the gap`()
        throws
    {
        let site = try EngineSite()
        let large = site.start(try site.machine("1"))
        let small = site.start(try site.machine("2"), channelLimit: 64)
        for number in 0..<80 { large.publish(draft("c\(number)", "\(number)")) }
        small.wait(for: "79")
        #expect(small.read(["c79"], .after(Offset(0))).messages.map(\.text) == ["79"])
        #expect(small.read(["c0"], .after(Offset(0))).gap == .trimmed)
        #expect(large.read(["c0"], .after(Offset(0))).messages.map(\.text) == ["0"])
        large.stop()
        small.stop()
    }

    @Test func `a quota counts on each machine`() throws {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        var limits = QuotaLimits()
        limits.messages = 1
        for attempt in 0..<60 {
            let quota = PublisherQuota(publisher: "\(attempt)", limits: limits)
            let first = one.outcome(of: one.send([draft("a", "1")], quota: quota))
            let second = one.outcome(of: one.send([draft("a", "2")], quota: quota))
            guard case .overQuota = second else {
                Issue.record("\(second)")
                break
            }
            // Where the engine was too slow, another publisher tries.
            if first.id != nil { break }
        }
        one.stop()
    }
}
