import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// Machines that share a bus: the events that SeveralMachinesTests and the model leave out.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct SiteEventsTests {
    @Test func `a machine that is cut off serves what it has, and catches up without a gap`() throws
    {
        let site = try EngineSite()
        try site.server.sql("CREATE ROLE far LOGIN; GRANT holdfast_machine TO far")
        let one = site.start(try site.machine("1"))
        var settings = try site.machine("2")
        settings.engine?.postgresql = "host=\(site.server.path) dbname=postgres user=far"
        let far = site.start(settings)
        let id = try #require(one.publish(draft("a", "before")).id)
        far.wait(for: "before")
        try site.server.sql(
            """
            ALTER ROLE far NOLOGIN;
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'far'
            """
        )
        far.wait("the loss is told") {
            $0.engine.last == .publishing || $0.engine.last == .following
        }
        let texts = (0..<20).map(String.init)
        for text in texts { one.publish(draft("a", text)) }
        #expect(far.read(["a"], .first).messages.map(\.text) == ["before"])
        #expect(far.append(draft("a", "refused")) == .unavailable)
        try site.server.sql("ALTER ROLE far LOGIN")
        far.wait(for: "19")
        let page = far.read(["a"], .after(id.offset))
        #expect(page.gap == nil)
        #expect(page.messages.map(\.text) == texts)
        #expect(far.now.opened.count == 1)
        #expect(far.now.epochs == one.now.epochs)
        one.stop()
        far.stop()
    }

    @Test func `a new machine has the long history from a backup of another one's log`() throws {
        let site = try EngineSite()
        let machine = try site.machine("1")
        let one = site.start(machine)
        let id = try #require(one.publish(draft("a", "1")).id)
        for text in ["2", "3"] { one.publish(draft("a", text)) }
        let filled = try site.machine("2")
        try LogFiles.backUp(machine, to: filled.directory + "/log.sqlite")
        try site.server.sql("DELETE FROM holdfast.log WHERE seq < \(try site.head)")
        one.publish(draft("a", "4"))
        let two = site.start(filled)
        let three = site.start(try site.machine("3"))
        for probe in [two, three] { probe.wait(for: "4") }
        #expect(two.everything(["a"]) == one.everything(["a"]))
        #expect(two.read(["a"], .after(id.offset)).gap == nil)
        // Without it, there is what the engine keeps, and a gap.
        #expect(three.read(["a"], .after(id.offset)).gap == .trimmed)
        #expect(three.read(["a"], .first).messages.map(\.text) == ["4"])
        for probe in [one, two, three] {
            #expect(probe.now.epochs?.verdict(on: id, head: probe.now.head) == .valid(id.offset))
            probe.stop()
        }
    }

    @Test func `retention differs by machine, and each tells its own gaps`() throws {
        let site = try EngineSite()
        func start(_ name: String, _ count: Int) throws -> LogProbe {
            let probe = LogProbe(
                try site.machine(name),
                retention: keep(count: count),
                start: false
            )
            probe.log.start()
            probe.wait("opened") { !$0.opened.isEmpty }
            return probe
        }
        let (few, many) = (try start("1", 2), try start("2", 1000))
        let texts = (1...5).map(String.init)
        for text in texts { few.publish(draft("a", text)) }
        for probe in [few, many] { probe.wait(for: "5") }
        try eventually("trimmed") { few.read(["a"], .first).messages.count == 2 }
        let page = few.read(["a"], .after(Offset(1)))
        #expect(page.gap == .trimmed)
        #expect(page.messages.map(\.text) == ["4", "5"])
        #expect(few.read(["a"], .after(Offset(3))).gap == nil)
        #expect(many.read(["a"], .first).messages.map(\.text) == texts)
        #expect(many.read(["a"], .after(Offset(1))).gap == nil)
        #expect(many.everything(["a"]).suffix(2) == few.everything(["a"])[...])
        few.stop()
        many.stop()
    }

    @Test func `clocks differ, and a time to live counts on each machine from the arrival`() throws
    {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        // Years behind.
        let clock = GivenClock()
        let behind = LogProbe(try site.machine("2"), clocks: clock.clocks(), start: false)
        behind.log.start()
        behind.wait("opened") { !$0.opened.isEmpty }
        behind.publish(draft("a", "mortal", ttl: 10_000), draft("a", "immortal"))
        for probe in [one, behind] { probe.wait(for: "immortal") }
        func messages(_ probe: LogProbe) -> [Message] { probe.read(["a"], .first).messages }
        // When it was published is said by the engine, to all.
        #expect(messages(one).count == 2)
        #expect(messages(one).map(\.timeMilliseconds) == messages(behind).map(\.timeMilliseconds))
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        #expect(messages(one).allSatisfy { abs($0.timeMilliseconds - now) < 3_600_000 })
        clock.advance(seconds: 5000)
        #expect(messages(behind).map(\.text) == ["mortal", "immortal"])
        clock.advance(seconds: 6000)
        #expect(messages(behind).map(\.text) == ["immortal"])
        #expect(messages(one).map(\.text) == ["mortal", "immortal"])
        one.stop()
        behind.stop()
    }

    @Test func `a time to live goes on in the engine, for a machine that gets the message late`()
        throws
    {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        one.publish(draft("a", "mortal", ttl: 1000), draft("a", "immortal"))
        // 500 seconds later, by the engine's clock.
        try site.server.sql(
            """
            CREATE OR REPLACE FUNCTION holdfast.clock() RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog
            AS 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + 500000'
            """
        )
        let clock = GivenClock()
        let late = LogProbe(try site.machine("2"), clocks: clock.clocks(), start: false)
        late.log.start()
        late.wait(for: "immortal")
        func texts() -> [String] { late.read(["a"], .first).messages.map(\.text) }
        #expect(texts() == ["mortal", "immortal"])
        clock.advance(seconds: 300)
        #expect(texts() == ["mortal", "immortal"])
        clock.advance(seconds: 300)
        #expect(texts() == ["immortal"])
        one.stop()
        late.stop()
    }

    @Test func `a phantom commit is delivered early, and told of when it is lost`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        one.publish(draft("a", "kept"))
        two.wait(for: "kept")
        let seq = try site.head
        try site.server.withholdCommits()
        let ticket = one.send([draft("a", "phantom")])
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append%'"
        try eventually("the commit waits") {
            try site.server.sql("SELECT count(*) > 0 \(waiting)") == "t"
        }
        // Its backend ends, so that it is committed here although no standby has it.
        try site.server.sql("SELECT pg_terminate_backend(pid) \(waiting)")
        for probe in [one, two] { probe.wait(for: "phantom") }
        #expect(one.outcome(of: ticket) == .unavailable)
        let phantom = try #require(two.read(["a"], .first).messages.last?.id)
        try site.server.releaseCommits()
        try site.lose(after: seq)
        one.publish(draft("a", "next"))
        for probe in [one, two] {
            probe.wait(for: "next")
            try eventually("it is gone") {
                probe.read(["a"], .first).messages.map(\.text) == ["kept", "next"]
            }
            probe.wait("who saw the phantom is told") { now in
                guard case .restarted? = now.epochs?.verdict(on: phantom, head: now.head) else {
                    return false
                }
                return true
            }
            probe.stop()
        }
    }

    /// What this row of the table cannot do: the machines and the engine have nothing that says so.
    @Test func `all machines and the engine set back together can't be told`() throws {
        let site = try EngineSite()
        let machines = [try site.machine("1"), try site.machine("2")]
        var probes = machines.map { site.start($0) }
        probes[0].publish(draft("a", "kept"))
        probes[1].wait(for: "kept")
        let seq = try site.head
        for machine in machines { try LogFiles.backUp(machine, to: machine.directory + ".copy") }
        let lost = try #require(probes[0].publish(draft("a", "lost")).id)
        for probe in probes {
            probe.wait(for: "lost")
            probe.stop()
        }
        try site.lose(after: seq)
        for machine in machines {
            for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake"] {
                try? FileManager.default.removeItem(atPath: "\(machine.directory)/\(name)")
            }
            try FileManager.default.moveItem(
                atPath: machine.directory + ".copy",
                toPath: machine.directory + "/log.sqlite"
            )
        }
        probes = machines.map { site.start($0) }
        for probe in probes {
            #expect(probe.now.epochs?.verdict(on: lost, head: probe.now.head) == .future)
        }
        let next = try #require(probes[0].publish(draft("a", "next")).id)
        #expect(next == lost)
        for probe in probes {
            probe.wait(for: "next")
            #expect(!probe.now.notices.contains { $0.contains("has lost") })
            probe.stop()
        }
    }
}
