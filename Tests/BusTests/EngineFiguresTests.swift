import Bus
import Channels
import Foundation
import Harness
import Testing

/// What a machine of a site knows of itself and of the others.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct EngineFiguresTests {
    private func figures(_ probe: LogProbe) throws -> EngineFigures {
        try #require(probe.log.engineFigures)
    }

    /// Waits until a process knows it; returns what it knows then.
    @discardableResult
    private func eventuallyKnown(
        _ what: String,
        by probe: LogProbe,
        _ holds: (EngineFigures) throws -> Bool
    ) throws -> EngineFigures {
        var known = try figures(probe)
        try eventually(what) {
            known = try figures(probe)
            return try holds(known)
        }
        return known
    }

    /// A machine that has had the message "1", and whose processes do not apply while the lock is held.
    private func stuckMachine(_ site: EngineSite, _ other: LogProbe, maxLagSeconds: Int) throws -> (
        settings: BusSettings, lock: HeldLock
    ) {
        var settings = try site.machine("stuck")
        settings.engine?.maxLagSeconds = maxLagSeconds
        other.publish(draft("a", "1"))
        let probe = site.start(settings)
        probe.wait(for: "1")
        probe.stop()
        return (settings, try HeldLock(settings.directory + "/apply"))
    }

    /// A machine that was not told what became of what it published, in a site whose commits are withheld.
    private func inDoubt(_ site: EngineSite) throws -> LogProbe {
        let one = site.start(try site.machine("1"))
        one.publish(draft("a", "before"))
        try site.server.withholdCommits()
        try eventually("an outcome is unknown") {
            #expect(one.append(draft("a", "unknown")) == .unavailable)
            return try figures(one).counters.unknown > 0
        }
        return one
    }

    @Test func `a bus of its own has none`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        #expect(probe.log.engineFigures == nil)
        probe.stop()
    }

    @Test func `the process that applies knows the engine's head, its own, and the machines`()
        throws
    {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        one.publish(draft("a", "1"))
        one.publish(draft("a", "2"), draft("a", "3"))
        two.wait(for: "3")
        let head = try site.head
        let known = try eventuallyKnown("it is up to date, and knows both", by: two) {
            $0.applied == head && $0.head == head && $0.machines.count == 2
                && $0.lagMilliseconds == 0
        }
        #expect(known.canPublish && known.canFollow == true && known.lagGroups == 0)
        #expect(known.machine == "2" && known.siteName == "site")
        #expect(known.machines.map(\.id) == ["1", "2"] && known.machinesAway == 0)
        #expect(known.counters.groups == 0 && known.counters.messagesApplied == 3)
        // More where a slow machine made the publisher repeat one.
        #expect(try figures(one).counters.groups >= 2)
        #expect(known.epoch == two.now.epochs?.current.description)
        one.stop()
        two.stop()
    }

    @Test func `a machine is not ready while it lags, and is again when it is up to date`() throws {
        let site = try EngineSite()
        let other = site.start(try site.machine("other"))
        let (settings, lock) = try stuckMachine(site, other, maxLagSeconds: 1)
        // Its own processes publish, and none applies.
        let probe = site.start(settings)
        try eventuallyKnown("it is up to date", by: probe) { $0.lagMilliseconds == 0 }
        other.publish(draft("a", "2"))
        probe.wait("it lags") { $0.engine.last == .lagging }
        let behind = try eventuallyKnown("the head is known", by: probe) {
            try $0.head == site.head
        }
        #expect(behind.lagMilliseconds.map { $0 > 1000 } == true)
        #expect(behind.canPublish && behind.canFollow == nil && behind.applied == nil)
        probe.wait("it is said") {
            $0.notices.contains { $0.contains("more than max_lag (1 s)") }
        }
        lock.release()
        probe.wait(for: "2")
        probe.wait("it is up to date again") { $0.engine.last == .some(nil) }
        probe.wait("that is said, too") {
            $0.notices.contains { $0.contains("is up to date again") }
        }
        let after = try eventuallyKnown("it applies", by: probe) { $0.canFollow == true }
        #expect(after.lagGroups == 0)
        probe.stop()
        other.stop()
    }

    @Test func `a machine that was away lags after its start, whatever the bound`() throws {
        let site = try EngineSite()
        let other = site.start(try site.machine("other"))
        let (settings, lock) = try stuckMachine(site, other, maxLagSeconds: 3600)
        other.publish(draft("a", "2"))
        let probe = site.start(settings)
        try eventuallyKnown("it is behind", by: probe) { $0.lagMilliseconds != nil }
        #expect(probe.now.engine.last == .catchingUp)
        lock.release()
        probe.wait(for: "2")
        probe.wait("it is up to date") { $0.engine.last == .some(nil) }
        probe.stop()
        other.stop()
    }

    @Test func `within the bound a machine that is behind stays ready`() throws {
        let site = try EngineSite()
        let other = site.start(try site.machine("other"))
        let (settings, lock) = try stuckMachine(site, other, maxLagSeconds: 3600)
        let probe = site.start(settings)
        try eventuallyKnown("it is up to date", by: probe) { $0.lagMilliseconds == 0 }
        other.publish(draft("a", "2"))
        try eventuallyKnown("it is behind", by: probe) { ($0.lagMilliseconds ?? 0) > 0 }
        #expect(probe.now.engine.last == .some(nil))
        lock.release()
        try eventuallyKnown("it is up to date", by: probe) { $0.lagMilliseconds == 0 }
        probe.stop()
        other.stop()
    }

    @Test func `lost answers, unknown outcomes and refusals are counted apart`() throws {
        let site = try EngineSite()
        let one = try inDoubt(site)
        // Until an attempt is cut off in time for another one.
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append%'"
        try eventually("a group is repeated") {
            let ticket = one.send([draft("a", "repeated")])
            try eventually("it is given up") {
                try site.server.sql("SELECT count(pg_terminate_backend(pid)) \(waiting)")
                return one.now.outcomes[ticket] != nil
            }
            return try figures(one).counters.repeats > 0
        }
        try site.server.releaseCommits()
        one.publish(draft("a", "after"))
        #expect(try figures(one).counters.reconnections > 0)
        site.server.stop()
        try eventually("a publication is refused") {
            _ = one.append(draft("a", "refused"))
            return try figures(one).counters.refused > 0
        }
        #expect(try !figures(one).canPublish)
        try eventuallyKnown("it lags", by: one) { ($0.lagMilliseconds ?? 0) > 0 }
        try site.server.start()
        try eventuallyKnown("it is back", by: one) { $0.canPublish && $0.lagMilliseconds == 0 }
        one.publish(draft("a", "again"))
        one.stop()
    }

    @Test func `a process is not ready before the engine has answered it`() throws {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let before = site.start(settings)
        before.publish(draft("a", "1"))
        before.wait("it is ready") { $0.engine.last == .some(nil) }
        before.stop()
        // A server that listens there, and never answers.
        var silent = settings
        let place = try site.directory.makeDirectory("silent", mode: 0o755)
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) {
            $0.copyBytes(from: "\(place)/.s.PGSQL.5432".utf8)
        }
        let isListening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                    && listen(listener, 16) == 0
            }
        }
        #expect(isListening)
        silent.engine?.postgresql = "host=\(place) dbname=postgres user=postgres"
        let probe = site.start(silent)
        // From the moment at which its log can be read.
        #expect((probe.now.engine.last ?? nil) != nil)
        #expect(try !figures(probe).canPublish && figures(probe).canFollow != true)
        probe.stop()
    }

    @Test func `a machine where an append failed is ready again, although nothing is published`()
        throws
    {
        let site = try EngineSite()
        let one = site.start(try site.machine("1"))
        one.publish(draft("a", "before"))
        // A statement that an administrator runs, say; all that only read go on.
        let (user, table) = ("application_name = 'administrator'", "holdfast.site")
        let lock = try ChildProcess(
            "\(PostgreSQL.programs)/psql",
            [
                "-X", "-q", "-d",
                "host=\(site.server.path) user=postgres dbname=postgres application_name=administrator",
                "-c", "BEGIN; LOCK TABLE \(table) IN EXCLUSIVE MODE; SELECT pg_sleep(3600)",
            ],
            name: "administrator",
            directory: site.directory
        )
        try eventually("it is locked") {
            try site.server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE \(user) AND wait_event = 'PgSleep'"
            ) == "1"
        }
        #expect(one.append(draft("a", "refused")) == .unavailable)
        one.wait("it is not ready") { $0.engine.last == .publishing }
        try site.server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \(user)"
        )
        try lock.wait()
        one.wait("it is ready") { $0.engine.last == .some(nil) }
        one.publish(draft("a", "after"))
        one.stop()
    }

    @Test
    func `a machine was ready although nothing could be committed, because nothing was published`()
        throws
    {
        let site = try EngineSite()
        let settings = try site.machine("1")
        let one = site.start(settings)
        one.wait("it is ready") { $0.engine.last == .some(nil) }
        // All that only read go on, and whatever need not wait for a standby.
        try site.server.withholdCommits()
        one.wait("it is not ready") { $0.engine.last == .publishing }
        let next = site.start(settings)
        next.wait("it is not ready") { $0.engine.last == .publishing }
        #expect(!next.now.engine.contains(nil))
        try site.server.releaseCommits()
        for probe in [one, next] { probe.wait("it is ready") { $0.engine.last == .some(nil) } }
        #expect(one.now.notices.count { $0.contains("accepts publications again") } == 1)
        one.stop()
        next.stop()
    }

    @Test func `a connection alone does not say that publishing works`() throws {
        let site = try EngineSite()
        let one = try inDoubt(site)
        one.wait("it is not ready") { $0.engine.last == .publishing }
        let told = one.now.engine.count
        let reconnections = try figures(one).counters.reconnections
        try eventuallyKnown("it has connected again", by: one) {
            $0.counters.reconnections > reconnections
        }
        let asked = try figures(one).lagMilliseconds
        #expect(asked != nil && one.now.engine.count == told)
        try site.server.releaseCommits()
        one.wait("it is ready") { $0.engine.last == .some(nil) }
        one.stop()
    }

    @Test func `epochs, losses and logs that began anew are counted by the process that applies`()
        throws
    {
        let site = try EngineSite()
        let (one, two) = (site.start(try site.machine("1")), site.start(try site.machine("2")))
        one.publish(draft("a", "kept"))
        two.wait(for: "kept")
        try site.server.sql("UPDATE holdfast.epochs SET system = 'another'")
        let third = site.start(try site.machine("3"))
        third.publish(draft("a", "later"))
        try eventuallyKnown("an epoch without a loss", by: two) { $0.counters.epochs == 1 }
        #expect(try figures(two).counters.losses == 0)
        let seq = try site.head
        one.publish(draft("a", "lost"))
        two.wait(for: "lost")
        try site.lose(after: seq)
        two.publish(draft("a", "next"))
        for probe in [one, two] {
            try eventuallyKnown("a loss", by: probe) { $0.counters.losses == 1 }
            try eventuallyKnown("it is up to date", by: probe) {
                try $0.applied == site.head && $0.lagMilliseconds == 0
            }
        }
        let gone = site.start(try site.machine("4"))
        gone.wait(for: "next")
        gone.stop()
        one.publish(draft("a", "5"))
        let kept = try site.head
        one.publish(draft("a", "6"))
        try site.server.sql("DELETE FROM holdfast.log WHERE seq < \(kept)")
        let back = site.start(try site.machine("4"))
        back.wait(for: "6")
        try eventuallyKnown("its log began anew", by: back) { $0.counters.restarts == 1 }
        for probe in [one, two, third, back] { probe.stop() }
    }

    @Test func `a process that begins to apply does not report how far it was before others did`()
        throws
    {
        let site = try EngineSite()
        let other = site.start(try site.machine("other"))
        let settings = try site.machine("1")
        let first = site.start(settings)
        other.publish(draft("a", "1"))
        first.wait(for: "1")
        let next = site.start(settings)
        next.wait(for: "1")
        other.publish(draft("a", "2"))
        next.wait(for: "2")
        let head = try site.head
        try eventuallyKnown("the head is known", by: next) { $0.head == head }
        site.server.stop()
        first.stop()
        // It has not been able to ask.
        let begins = try eventuallyKnown("it applies", by: next) { $0.canFollow != nil }
        #expect(begins.applied == nil && begins.lagGroups == nil)
        try site.server.start()
        let known = try eventuallyKnown("it knows how far it is", by: next) { $0.applied != nil }
        #expect(known.applied == head)
        next.stop()
        other.stop()
    }

    @Test func `a machine that is not heard of is away`() throws {
        let site = try EngineSite()
        _ = try site.machine("gone")
        try site.server.sql("UPDATE holdfast.machines SET seen = now() - interval '2 minutes'")
        let one = site.start(try site.machine("1"))
        let known = try eventuallyKnown("both are known", by: one) { $0.machines.count == 2 }
        #expect(known.machinesAway == 1)
        one.stop()
    }
}
