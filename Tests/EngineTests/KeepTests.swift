import Engine
import Glibc
import Harness
import System
import Testing

/// What the engine keeps, for how long, and what that costs.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct KeepTests {
    @Test func `a group that the path does not carry in time could never be read`() throws {
        let site = try Site()
        let session = try site.session()
        let start = try session.anchor(deadline: soon).position
        let body = String(repeating: "x", count: SlowPath.bytesPerSecond * 5)
        _ = try append(session, body)
        let path = try SlowPath(site.directory, to: site.server)
        var read: [EngineGroup] = []
        // The answer begins in time on a machine that has time; it cannot end in time on any.
        for _ in 0..<10 where read.isEmpty {
            let slow = try EngineSession(
                path.options,
                EngineIdentity(
                    schema: "holdfast",
                    site: site.id,
                    machine: "one",
                    keepMilliseconds: 3_600_000
                ),
                readsLong: true,
                hostMilliseconds: 20_000,
                deadline: soon
            )
            let deadline = MonotonicClock.milliseconds() + 3000
            read = (try? slow.read(after: start, deadline: deadline).groups) ?? []
        }
        #expect(read.map(\.messages) == [[body]])
    }

    @Test func `a plan from when the log was small read all of the log for each append`() throws {
        let site = try Site()
        for number in 1...5 { _ = try append(try site.session(), "\(number)") }
        try site.server.sql("VACUUM ANALYZE holdfast.log")
        func count(_ column: String) throws -> Int {
            let table = "'holdfast.log'::regclass"
            let sql = "SELECT \(column) FROM pg_stat_user_tables WHERE relid = \(table)"
            return try #require(Int(try site.server.sql(sql)))
        }
        let before = (scans: try count("seq_scan"), finds: try count("idx_scan"))
        do {
            let session = try site.session()
            var known = EnginePosition.none
            for _ in 1...10 {
                known = try session.append(
                    gid: gid(),
                    known: known,
                    parts: [try part([text("a", "x")])],
                    deadline: soon
                ).position
                #expect(try session.read(after: known, deadline: soon).groups.isEmpty)
            }
        }
        // Counted once the session has ended.
        for _ in 0..<300 where try count("idx_scan") < before.finds + 40 { poll(nil, 0, 100) }
        #expect(try count("idx_scan") >= before.finds + 40)
        #expect(try count("seq_scan") == before.scans)
    }

    @Test func `how far behind a machine was is noted when it is seen, and stays so`() throws {
        let site = try Site()
        let one = try site.session()
        func behind(_ machine: String) throws -> Int64? {
            try one.members(deadline: soon).first { $0.id == machine }?.behind
        }
        let first = try append(one, "first").position.seq
        #expect(try behind("one") == 0)
        try Site.join(site.server, "two")
        #expect(try behind("two") == first)
        let two = try site.session("two")
        try two.tend(applied: first, by: "p", deadline: soon)
        _ = try append(one, "second")
        _ = try append(one, "third")
        #expect(try behind("two") == 0)
        try one.tend(applied: first + 1, by: "p", deadline: soon)
        #expect(try behind("one") == 1)
        // It is seen again, before it has applied anything.
        _ = try site.session("two")
        #expect(try behind("two") == 2)
        try Site.join(site.server, "one")
        #expect(try behind("one") == 1)
    }

    @Test func `no more is kept than a number of bytes, but for what is young`() throws {
        let site = try Site()
        let session = try site.session()
        #expect(try site.server.sql("SELECT keep_bytes FROM holdfast.machines") == "4294967296")
        let first = try append(session, "first").position
        for number in 1...20 {
            _ = try append(session, String(repeating: "x", count: 1000) + "\(number)")
        }
        try session.tend(applied: 0, by: "p", deadline: soon)
        #expect(try session.anchor(deadline: soon).position.seq == 0)
        try site.server.sql("UPDATE holdfast.machines SET keep_bytes = 5000")
        try session.tend(applied: 0, by: "p", deadline: soon)
        // A publisher without an answer may still repeat its append.
        #expect(try session.anchor(deadline: soon).position.seq == 0)
        try site.server.sql("UPDATE holdfast.log SET at = at - 61000 WHERE seq <= 17")
        try session.tend(applied: 0, by: "p", deadline: soon)
        let anchor = try session.anchor(deadline: soon)
        // Each takes some 1310 bytes: four that follow are enough, and the one before them is the place to begin.
        #expect(anchor.position.seq == 17)
        #expect(anchor.head == 17)
        #expect(try session.read(after: anchor.position, deadline: soon).groups.count == 4)
        #expect(throws: EngineError.away) { try session.read(after: first, deadline: soon) }
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.log") == "5")
    }

    @Test func `every append left an old version behind, which a long transaction made all pass`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        let report = try PostgresConnection.connect(site.server.options, hostMilliseconds: 20_000)
        try report.runScript(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM holdfast.log",
            deadline: soon
        )
        // Rows, and the transactions that wrote them.
        func versions() throws -> String {
            try site.server.sql(
                """
                SELECT 'site', ctid, xmin FROM holdfast.site UNION ALL SELECT 'kept', ctid, xmin FROM holdfast.kept
                    UNION ALL SELECT 'epochs', ctid, xmin FROM holdfast.epochs
                    UNION ALL SELECT 'machines', ctid, xmin FROM holdfast.machines
                """
            )
        }
        let before = try versions()
        for number in 0..<50 { _ = try append(session, "\(number)") }
        #expect(try versions() == before)
        #expect(try session.look(deadline: soon).offset == 50)
        try report.runScript("COMMIT", deadline: soon)
    }

    @Test
    func `a look passed all that SQL had published, and must not miss what commits late`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        func take() throws -> Int { try takeOutbox(session, most: 2000) }
        func publishMany() throws {
            try site.server.sql(
                "SELECT holdfast.publish('a', '1') FROM generate_series(1, 6000)"
            )
            for _ in 0..<3 { #expect(try take() == 2000) }
        }
        func begin() throws -> Int {
            try session.tend(applied: 0, by: "p", deadline: soon)
            return try #require(Int(try site.server.sql("SELECT outbox FROM holdfast.kept")))
        }
        try publishMany()
        // The server's own transactions count, too.
        try waitUntil("it begins behind what was taken") { try begin() == 6000 }
        let late = try PostgresConnection.connect(site.server.options, hostMilliseconds: 20_000)
        try late.runScript("BEGIN; SELECT holdfast.publish('a', '\"late\"')", deadline: soon)
        try publishMany()
        for _ in 0..<5 { #expect(try begin() == 6000) }
        try late.runScript("COMMIT", deadline: soon)
        try waitUntil("it begins with what came late") { try begin() == 6001 }
        #expect(try session.look(deadline: soon).hasOutbox)
        #expect(try take() == 1)
        #expect(try !session.look(deadline: soon).hasOutbox)
        try publishMany()
        try waitUntil("it begins behind what was taken") { try begin() == 18_001 }
    }

    /// Ten thousand publishers by SQL, while no machine runs and something else changes the database for an hour: groups of
    /// what had waited became slower with each group, until publishing failed.
    @Test func `a long transaction that publishes nothing made each look pass all that was taken`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        let long = try PostgresConnection.connect(site.server.options, hostMilliseconds: 20_000)
        try long.runScript("CREATE TABLE others (number int)", deadline: soon)
        try long.runScript("BEGIN; INSERT INTO others VALUES (1)", deadline: soon)
        // One that does publish, but later; and one that only reads.
        let later = try PostgresConnection.connect(site.server.options, hostMilliseconds: 20_000)
        try later.runScript("BEGIN; INSERT INTO others VALUES (1)", deadline: soon)
        let dump = try PostgresConnection.connect(site.server.options, hostMilliseconds: 20_000)
        try dump.runScript(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM holdfast.outbox",
            deadline: soon
        )
        func begin() throws -> Int {
            try session.tend(applied: 0, by: "p", deadline: soon)
            return try #require(Int(try site.server.sql("SELECT outbox FROM holdfast.kept")))
        }
        func publishMany() throws {
            try site.server.sql(
                "SELECT holdfast.publish('a', '1') FROM generate_series(1, 6000)"
            )
            for _ in 0..<3 { #expect(try takeOutbox(session, most: 2000) == 2000) }
        }
        try publishMany()
        #expect(try begin() == 0)
        #expect(try begin() == 6000)
        // It counts from the time at which it publishes.
        try later.runScript("SELECT holdfast.publish('a', '\"late\"')", deadline: soon)
        try publishMany()
        for _ in 0..<4 { #expect(try begin() == 6000) }
        try later.runScript("COMMIT", deadline: soon)
        #expect(try begin() == 6001)
        #expect(try takeOutbox(session, most: 10) == 1)
        try long.runScript("COMMIT", deadline: soon)
        try dump.runScript("COMMIT", deadline: soon)
    }

    @Test
    func `an append and the tidying of old keys waited for each other`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        for scope in [UInt8(1), 2, 3] {
            var keyed = try part([text("a", "\(scope)")])
            (keyed.scope, keyed.digest) = ([scope], [1])
            _ = try session.append(gid: gid(), known: .none, parts: [keyed], deadline: soon)
        }
        try site.server.sql("UPDATE holdfast.keys SET at = at - 300001")
        let other = try PostgresConnection.connect(site.server.options, hostMilliseconds: 20_000)
        try other.runScript(
            "BEGIN; SELECT FROM holdfast.keys WHERE scope = '\\x02' FOR UPDATE",
            deadline: soon
        )
        try session.tend(applied: 0, by: "p", deadline: soon)
        #expect(try site.server.sql("SELECT scope FROM holdfast.keys") == "\\x02")
        try other.runScript("COMMIT", deadline: soon)
        try session.tend(applied: 0, by: "p", deadline: soon)
        #expect(try site.server.sql("SELECT count(*) FROM holdfast.keys") == "0")
    }

    @Test func `messages of SQL were passed over for ever where their numbers had begun anew`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        // As in a copy of the tables without their sequence.
        try site.server.sql("UPDATE holdfast.kept SET outbox = 9000, outbox_next = 9000")
        try site.server.sql("SELECT holdfast.publish('a', '1')")
        try session.tend(applied: 0, by: "p", deadline: soon)
        #expect(try session.look(deadline: soon).hasOutbox)
        #expect(try takeOutbox(session, most: 10) == 1)
    }
}
