import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// What a review found where several machines are in trouble.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct SeveralMachinesInTroubleTests {
    @Test func `a loss was told once by each process that had seen what was lost`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        one.publish(draft("a", "kept"))
        let seq = try site.head
        one.publish(draft("a", "lost 1"))
        two.publish(draft("a", "lost 2"))
        for probe in [one, two] { probe.wait(for: "lost 2") }
        try site.lose(after: seq)
        // Both publish and follow, and each finds it out by itself.
        one.publish(draft("a", "next 1"))
        two.publish(draft("a", "next 2"))
        for probe in [one, two] {
            probe.wait(for: "next 2")
            probe.wait("the loss is said") { $0.notices.contains { $0.contains("has lost") } }
        }
        let losses = "SELECT count(*) FROM holdfast.epochs WHERE told >= start"
        #expect(try site.server.sql(losses) == "1")
        one.stop()
        two.stop()
        #expect(try site.server.sql(losses) == "1")
    }

    @Test func `a machine that was away for too long was believed what it alone had`() throws {
        let site = try EngineSite()
        let (alone, other) = (try site.machine("1"), try site.machine("2"))
        let (one, two) = (site.start(alone), site.start(other))
        one.publish(draft("a", "kept"))
        two.wait(for: "kept")
        two.stop()
        let seq = try site.head
        one.publish(draft("a", "lost"))
        one.stop()
        // A failover of which no other machine can know that it lost something.
        try site.lose(after: seq)
        try site.server.sql("UPDATE holdfast.epochs SET system = 'another'")
        let third = site.start(other)
        let ids = try ["1", "2", "3"].map { try #require(third.publish(draft("a", $0)).id) }
        let losses = "SELECT count(*) FROM holdfast.epochs WHERE told >= start"
        #expect(try site.server.sql(losses) == "0")
        let newest = try site.head
        try site.server.sql("DELETE FROM holdfast.log WHERE seq < \(newest)")
        let back = site.start(alone)
        third.wait("the loss is told") { told in
            guard case .restarted? = told.epochs?.verdict(on: ids[0], head: told.head) else {
                return false
            }
            return true
        }
        #expect(try site.server.sql(losses) == "1")
        back.publish(draft("a", "4"))
        third.wait(for: "4")
        // Only away: another time nothing is lost.
        back.stop()
        third.publish(draft("a", "5"))
        third.publish(draft("a", "6"))
        try site.server.sql("DELETE FROM holdfast.log WHERE seq < \(try site.head)")
        let again = site.start(alone)
        again.publish(draft("a", "7"))
        third.wait(for: "7")
        #expect(try site.server.sql(losses) == "1")
        again.stop()
        third.stop()
    }

    @Test func `reads waited for the engine where the log had been deleted meanwhile`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let one = site.start(settings)
        one.publish(draft("a", "kept"))
        site.server.stop()
        for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
            try FileManager.default.removeItem(atPath: "\(settings.directory)/\(name)")
        }
        // The first ones may be answered before the writer sees that its files are gone.
        try eventually("reads fail") { one.channels() == nil }
        for _ in 0..<10 { #expect(one.channels() == nil) }
        #expect(one.now.unavailable.last?.contains("PostgreSQL") == true)
        let openings = one.now.opened.count
        try site.server.start()
        one.wait("opened again") { $0.opened.count > openings }
        one.wait(for: "kept")
        one.stop()
    }

    @Test func `many channels at once closed and opened the log for ever`() throws {
        let site = try EngineSite()
        let large = site.start(try site.machine("1"))
        for number in 0..<100 { large.publish(draft("c\(number)", "\(number)")) }
        // One group with more than all places, too.
        let all = (0..<100).map { draft("d\($0)", "all \($0)") }
        let key = IdempotencyKey(publisher: "test", key: "all")
        try eventually("published") { large.outcome(of: large.send(all, key: key)).id != nil }
        large.publish(draft("e", "last"))
        let small = site.start(try site.machine("2"), channelLimit: 64)
        small.wait(for: "last")
        #expect(small.now.unavailable == [])
        #expect(small.read(["e"], .after(Offset(0))).messages.map(\.text) == ["last"])
        #expect(small.read(["c0"], .after(Offset(0))).gap == .trimmed)
        large.stop()
        small.stop()
    }

    @Test func `a machine whose lock could not be had once never followed`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let other = site.start(try site.machine("2"))
        let path = settings.directory + "/apply"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: false
        )
        let one = LogProbe(settings, start: false)
        one.log.start()
        one.wait("it is said") { $0.notices.contains { $0.contains("cannot apply") } }
        one.wait("it is not ready") { $0.engine.contains(.following) }
        try FileManager.default.removeItem(atPath: path)
        other.publish(draft("a", "there"))
        one.wait(for: "there")
        one.stop()
        other.stop()
    }

    @Test func `a dismissed machine went on publishing on its connection`() throws {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        one.publish(draft("a", "1"))
        try site.server.sql("SELECT holdfast.dismiss((SELECT id FROM holdfast.site), '1')")
        try eventually("it is refused") { one.append(draft("a", "2")) == .unavailable }
        one.wait("it is said") { $0.notices.contains { $0.contains("not a member") } }
        two.publish(draft("a", "3"))
        two.wait(for: "3")
        // It does not follow any more, so what it published meanwhile was acknowledged by its commit alone.
        #expect(one.log.stop(patienceMilliseconds: 60_000))
        two.stop()
    }

    @Test func `what SQL published and no machine can append kept a machine from catching up`()
        throws
    {
        let site = try EngineSite()
        let settings = try site.machine("2")
        let (one, two) = (site.start(try site.machine("1")), site.start(settings))
        two.stop()
        one.publish(draft("a", "there"))
        one.stop()
        try site.server.withholdCommits()
        let publish = "SELECT holdfast.publish('a', '1')"
        try site.server.sql("SET synchronous_commit = off; \(publish)")
        let again = site.start(settings)
        again.wait(for: "there")
        try site.server.releaseCommits()
        again.wait(for: "1")
        again.stop()
    }

    @Test func `a log that takes nothing was said to take it again, each second`() throws {
        let site = try EngineSite()
        let settings = try site.machine("2")
        let (one, two) = (site.start(try site.machine("1")), site.start(settings))
        one.publish(draft("a", "1"))
        two.wait(for: "1")
        let unlock = try lockForWriting(settings.directory)
        one.publish(draft("a", "2"))
        one.stop()
        two.wait("it is noticed") { _ in two.log.engineFigures?.canFollow == false }
        // Each attempt begins with reading what it is to apply: the third is behind the end of the second.
        var attempts: Set<String> = []
        try eventually("two more attempts were made") {
            #expect(two.log.engineFigures?.canFollow == false)
            let began = try site.server.sql(
                """
                SELECT query_start FROM pg_stat_activity
                WHERE query LIKE '%.read(%' AND pid <> pg_backend_pid()
                """
            )
            if !began.isEmpty { attempts.insert(began) }
            return attempts.count >= 3
        }
        try unlock()
        two.wait(for: "2")
        two.wait("it is said") { $0.notices.contains { $0.contains("arrives again") } }
        let notices = two.now.notices
        #expect(notices.count { $0.contains("arrives again") } == 1)
        #expect(notices.count { $0.contains("does not take what other machines") } == 1)
        two.stop()
    }

    @Test func `a cursor was refused where the server had closed the connection`() throws {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        one.publish(draft("a", "1"))
        for _ in 0..<5 {
            try site.server.sql(
                """
                SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'holdfast'
                """
            )
            let page = one.read(["a"], .newest, looksAhead: true)
            #expect(page.newest == Offset(1))
        }
        one.stop()
    }
}
