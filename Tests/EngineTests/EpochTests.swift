import Channels
import Engine
import Harness
import Testing

@Suite(.enabled(if: PostgreSQL.isUsable)) struct EngineEpochTests {
    @Test func `a promoted standby begins an epoch that lost nothing`() throws {
        let directory = try TestDirectory()
        let primary = try PostgreSQL(
            directory: directory,
            name: "p",
            settings: ["synchronous_standby_names=ANY 1 (s, t)"]
        )
        // Nothing is committed before a standby is there.
        let standbys = [try primary.standby("s"), try primary.standby("t")]
        let all =
            "host=\(primary.path),\(standbys[0].path),\(standbys[1].path) "
            + "dbname=postgres user=postgres"
        try EngineAdministration.create(all, schema: "holdfast", name: "x")
        let id = try EngineAdministration.join(
            all,
            schema: "holdfast",
            machine: "one",
            machineName: "host"
        )
        let identity = EngineIdentity(
            schema: "holdfast",
            site: id,
            machine: "one",
            keepMilliseconds: 3_600_000
        )
        func connect() throws -> EngineSession {
            try EngineSession(all, identity, hostMilliseconds: 20_000, deadline: soon)
        }
        let before = try connect()
        let receipt = try append(before, "1")
        try primary.killAll()
        // Either of them may lack the newest; one has it.
        let positions = try standbys.map { try $0.sql("SELECT pg_last_wal_receive_lsn()") }
        let newer = try standbys[0].sql(
            "SELECT '\(positions[0])'::pg_lsn >= '\(positions[1])'::pg_lsn"
        )
        let successor = standbys[newer == "t" ? 0 : 1]
        try standbys[newer == "t" ? 1 : 0].follow(successor)
        try successor.sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (s, t)'")
        try successor.promote()
        let after = try connect()
        #expect(after.host == (newer == "t" ? 1 : 2))
        let groups = try after.read(after: receipt.position, deadline: soon).groups
        guard case .epoch(let epoch)? = groups.first?.content else {
            Issue.record("no epoch: \(groups)")
            return
        }
        #expect(epoch.start == 2)
        // Nothing at or above the start had been told.
        #expect(epoch.told == 1)
        #expect(try append(after, "2").base == 2)
        // Once for each failover.
        _ = try connect()
        #expect(try after.read(after: receipt.position, deadline: soon).groups.count == 2)
    }

    @Test func `a machine that knows more than the engine is told, and one epoch begins`() throws {
        let site = try Site()
        let session = try site.session()
        let start = try session.anchor(deadline: soon).position
        let kept = try append(session, "kept").position
        let receipt = try append(session, "lost")
        let (lost, at) = (receipt.position, receipt.at)
        try site.server.sql("DELETE FROM holdfast.log WHERE seq = \(lost.seq)")
        #expect(throws: EngineError.forked) { try session.read(after: lost, deadline: soon) }
        #expect(throws: EngineError.forked) {
            try session.append(
                gid: gid(),
                known: lost,
                parts: [try part([text("a", "x")])],
                deadline: soon
            )
        }
        // Also when the log has grown again.
        let other = try append(session, "other").position
        #expect(other.seq == lost.seq)
        #expect(throws: EngineError.forked) { try session.read(after: lost, deadline: soon) }
        let common = try session.common([start, kept, lost], deadline: soon)
        #expect(common == kept.seq)
        let before = try session.look(deadline: soon).epoch
        try session.fork(.after(kept.seq), newest: at, deadline: soon)
        // Each machine that has seen what is lost reports it.
        try session.fork(.after(kept.seq), newest: at, deadline: soon)
        try session.fork(.inEpoch(before), newest: at, deadline: soon)
        let groups = try session.read(after: kept, deadline: soon).groups
        #expect(groups.count == 2)
        guard case .epoch(let epoch)? = groups.last?.content else {
            Issue.record("no epoch: \(groups)")
            return
        }
        #expect(epoch.start == 3)
        #expect(epoch.told == 3)
        #expect(try session.anchor(deadline: soon).epochs.count == 1)
        // What was appended after that, as by a former primary that went on, is another loss.
        try session.fork(.after(kept.seq), newest: at + 3_600_000, deadline: soon)
        #expect(try session.read(after: kept, deadline: soon).groups.count == 3)
        // So is one of something that was appended behind it, also in an epoch that is lost itself.
        let now = try session.look(deadline: soon).epoch
        try session.fork(.inEpoch(now), newest: at, deadline: soon)
        #expect(try session.read(after: kept, deadline: soon).groups.count == 4)
        try session.fork(.inEpoch("lost"), newest: at, deadline: soon)
        #expect(try session.read(after: kept, deadline: soon).groups.count == 5)
    }

    @Test func `a server that changed under a session went on in the old epoch`() throws {
        let site = try Site()
        let session = try site.session()
        let before = try append(session, "before")
        try site.server.sql("UPDATE holdfast.epochs SET timeline = timeline + 1")
        let after = try append(session, "after")
        #expect(after.base == 2)
        #expect(after.position.seq == before.position.seq + 2)
        #expect(after.epoch != before.epoch)
    }

    @Test func `an emptied, dropped or foreign schema is never taken for the site`() throws {
        let site = try Site()
        let session = try site.session()
        #expect(throws: EngineError.noMember) { try site.session("stranger") }
        try site.server.sql("UPDATE holdfast.site SET id = 'other'")
        #expect(throws: EngineError.self) { try append(session, "x") }
        try site.server.sql("UPDATE holdfast.site SET id = '\(site.id)'")
        #expect(try append(session, "1").base == 1)
        try site.server.sql("TRUNCATE holdfast.site, holdfast.log, holdfast.epochs")
        for attempt in 0..<3 {
            if attempt == 1 { try site.server.sql("DROP SCHEMA holdfast CASCADE") }
            if attempt == 2 { try site.server.sql("CREATE SCHEMA holdfast") }
            let error = #expect(throws: EngineError.self) { try append(session, "x") }
            guard case .otherSite? = error else {
                Issue.record("\(attempt): \(String(describing: error))")
                continue
            }
        }
    }

    @Test func `a second bus in the same schema is refused, and another schema has its own`() throws
    {
        let site = try Site()
        #expect(throws: PostgresError.self) {
            try EngineAdministration.create(site.server.options, schema: "holdfast", name: "x")
        }
        try site.server.sql("CREATE SCHEMA other; CREATE TABLE other.a (); CREATE SCHEMA second")
        #expect(throws: PostgresError.self) {
            try EngineAdministration.create(site.server.options, schema: "other", name: "x")
        }
        // Whatever the name has in it.
        let name = "$do$ 'x' \\' $$"
        try EngineAdministration.create(site.server.options, schema: "second", name: name)
        let status = try EngineAdministration.status(site.server.options, schema: "second")
        #expect(status.name == name)
        let ids = try ["holdfast", "second"].map {
            try EngineAdministration.join(
                site.server.options,
                schema: $0,
                machine: "m",
                machineName: "m"
            )
        }
        #expect(ids[0] != ids[1])
    }

    @Test func `old groups and keys go, and one group stays as the place to begin`() throws {
        let site = try Site()
        let session = try site.session()
        let first = try append(session, "1").position
        var keyed = try part([text("a", "2")])
        (keyed.scope, keyed.digest) = ([1], [1])
        let second = try session.append(gid: gid(), known: .none, parts: [keyed], deadline: soon)
        try site.server.sql(
            "UPDATE holdfast.log SET at = at - 3700000; UPDATE holdfast.keys SET at = 0"
        )
        let third = try append(session, "3").position
        try session.tend(applied: third.seq, by: "p", deadline: soon)
        let anchor = try session.anchor(deadline: soon)
        #expect(anchor.position == second.position)
        #expect(anchor.head == 2)
        let rest = try session.read(after: anchor.position, deadline: soon).groups
        #expect(rest.map(\.messages) == [["3"]])
        #expect(throws: EngineError.away) { try session.read(after: first, deadline: soon) }
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.keys") == "0")
        #expect(try site.server.sql("SELECT applied FROM holdfast.machines") == "\(third.seq)")
    }

    @Test func `the roll tells when each machine was here, and up to where its log lacks messages`()
        throws
    {
        let site = try Site()
        try Site.join(site.server, "two")
        let (one, two) = (try site.session(), try site.session("two"))
        _ = try one.callRoll(lacking: 7, deadline: soon)
        let before = try two.callRoll(lacking: 0, deadline: soon)
        #expect(before.map(\.machine) == ["one", "two"] && before.map(\.lacking) == [7, 0])
        // A machine that only looks has not reported; one that tends its log has.
        #expect(try two.callRoll(lacking: 0, deadline: soon) == before)
        try one.tend(applied: 0, by: "p", deadline: soon)
        let after = try two.callRoll(lacking: 3, deadline: soon)
        #expect(after[0].seen > before[0].seen && after[1].seen == before[1].seen)
        #expect(after.map(\.lacking) == [7, 3])
    }

    @Test func `an engine that does not answer costs the deadline, and closes the connection`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        try site.server.withholdCommits()
        let error = #expect(throws: EngineError.self) {
            try session.append(
                gid: gid(),
                known: .none,
                parts: [try part([text("a", "x")])],
                deadline: soon - 29_000
            )
        }
        #expect(error?.isAmbiguous == true)
        #expect(!session.isOpen)
        #expect(throws: EngineError.self) {
            try EngineSession(
                "host=\(site.directory.path)/nothing dbname=x",
                EngineIdentity(
                    schema: "holdfast",
                    site: site.id,
                    machine: "one",
                    keepMilliseconds: 0
                ),
                hostMilliseconds: 1000,
                deadline: soon
            )
        }
    }
}
