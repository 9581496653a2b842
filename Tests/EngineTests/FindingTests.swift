import Harness
import Testing

@testable import Engine

/// What `holdfast check` says of the engine.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct FindingTests {
    private func findings(_ options: String) -> [EngineFinding] {
        EngineAdministration.findings(options, schema: "holdfast", hostMilliseconds: 20_000)
    }

    private func expectProblem(
        _ sentence: String,
        _ options: String,
        location: SourceLocation = #_sourceLocation
    ) {
        let found = findings(options)
        #expect(found.count == 1, sourceLocation: location)
        #expect(
            found.first?.description.contains(sentence) == true && found.first?.isProblem == true,
            "\(found)",
            sourceLocation: location
        )
    }

    @Test func `a server that loses what it acknowledged is a problem`() throws {
        let site = try Site(
            settings: ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        )
        let found = findings(site.server.options)
        #expect(found.map(\.isProblem) == [true, true, false])
        for (finding, name) in zip(found, ["fsync", "full_page_writes", "synchronous_commit"]) {
            #expect(finding.description.contains("\(name) = off"))
        }
    }

    @Test func `a standby takes no writes`() throws {
        let site = try Site()
        let standby = try site.server.standby("s")
        expectProblem("is a standby", standby.options)
        expectProblem("is a standby", standby.options + " target_session_attrs=any")
        // With the primary among the hosts all is well.
        let both = "host=\(standby.path),\(site.server.path) dbname=postgres user=postgres"
        #expect(findings(both) == [])
    }

    @Test func `rights, schema and format`() throws {
        let site = try Site()
        #expect(findings(site.server.options) == [])
        try site.server.sql("CREATE ROLE stranger LOGIN")
        let stranger = "host=\(site.server.path) dbname=postgres user=stranger"
        expectProblem("GRANT holdfast_machine", stranger)
        try site.server.sql("GRANT holdfast_machine TO stranger")
        #expect(findings(stranger) == [])
        try site.server.sql("UPDATE holdfast.site SET format = 99")
        expectProblem("format 99", site.server.options)
        try site.server.sql("DROP SCHEMA holdfast CASCADE")
        expectProblem("no bus in schema holdfast", site.server.options)
        site.server.stop()
        #expect(findings(site.server.options).map(\.isProblem) == [true])
    }

    @Test func `a schema without one of its functions was said to be whole`() throws {
        let site = try Site()
        for (what, name) in [
            ("FUNCTION holdfast.publish_bytes", "function publish_bytes"),
            ("FUNCTION holdfast.publish(text, jsonb, text, int, text, text)", "function publish"),
            ("FUNCTION holdfast.timeline", "function timeline"),
            ("FUNCTION holdfast.tend", "function tend"), ("TABLE holdfast.outbox", "table outbox"),
            ("VIEW holdfast.head CASCADE", "view head"),
        ] {
            try site.server.sql("DROP \(what)")
            expectProblem(name, site.server.options)
        }
    }

    @Test func `what SQL published waited unseen while no machine ran`() throws {
        let site = try Site()
        try site.server.sql(
            """
            SELECT holdfast.publish('a', '1') FROM generate_series(1, 3);
            UPDATE holdfast.outbox SET at = at - 120000
            """
        )
        let found = findings(site.server.options)
        #expect(found.map(\.isProblem) == [false])
        #expect(found.first?.description.contains("about 3 messages") == true, "\(found)")
        let status = try EngineAdministration.status(site.server.options, schema: "holdfast")
        #expect(status.backlog.messages == 3 && status.backlog.milliseconds >= 120_000)
    }

    @Test(.enabled(if: PgBouncer.isUsable))
    func `a proxy that pools transactions is told from one that pools sessions`() throws {
        let site = try Site()
        let sessions = try PgBouncer(
            directory: site.directory,
            server: site.server,
            mode: "session"
        )
        #expect(findings(sessions.options) == [])
        let transactions = try PgBouncer(
            directory: site.directory,
            server: site.server,
            mode: "transaction"
        )
        expectProblem("pools transactions", transactions.options)
        // Other commands meet the same, and only named the statement.
        for state in ["26000", "42P05"] {
            let error = EngineError(.server(state: state, "prepared statement"), schema: "holdfast")
            #expect("\(error)".contains("pools transactions"))
        }
    }
}
