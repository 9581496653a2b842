import Channels
import Engine
import Foundation
import Harness
import System
import Testing

/// Settings of the server, the database or a role that other programs need.
@Suite(.enabled(if: PostgreSQL.isUsable)) struct StrangeSettingsTests {
    /// Options of a role that has a setting.
    private func role(_ site: Site, _ setting: String, group: String = "machine") throws -> String {
        try site.server.sql(
            """
            CREATE ROLE strange LOGIN; GRANT holdfast_\(group) TO strange;
            ALTER ROLE strange SET \(setting)
            """
        )
        return "host=\(site.server.path) dbname=postgres user=strange"
    }

    @Test func `where strings have escapes, SQL could publish on no channel with a short segment`()
        throws
    {
        let site = try Site()
        _ = try role(site, "standard_conforming_strings = off", group: "publisher")
        for channel in ["x", "ab/c", "a.b"] {
            try site.server.sql("SELECT holdfast.publish('\(channel)', '1')", user: "strange")
        }
        #expect(throws: (any Error).self) {
            try site.server.sql("SELECT holdfast.publish('a/..', '1')", user: "strange")
        }
        let session = try site.session()
        let start = try session.anchor(deadline: soon).position
        #expect(try takeOutbox(session, most: 10) == 3)
        let groups = try session.read(after: start, deadline: soon).groups
        #expect(groups.flatMap(\.messages) == ["1", "1", "1"])
    }

    @Test func `where transactions are serializable, no epoch could be begun by an operator`()
        throws
    {
        let site = try Site()
        let options = try role(site, "default_transaction_isolation = serializable")
        let before = try site.session().look(deadline: soon).epoch
        let epoch = try EngineAdministration.beginEpoch(options, schema: "holdfast")
        #expect(epoch != before)
        #expect(try append(try site.session("one", options), "1").epoch == epoch)
    }

    @Test
    func `where warnings are not sent, a commit that did not wait for a standby was acknowledged`()
        throws
    {
        let site = try Site()
        let options = try role(site, "client_min_messages = error")
        let session = try site.session("one", options)
        _ = try append(session, "first")
        try site.server.withholdCommits()
        let cancels = try ChildProcess(
            "\(PostgreSQL.programs)/psql",
            [
                "-X", "-h", site.server.path, "-U", "postgres", "-d", "postgres", "-c",
                """
                DO $$ BEGIN
                    LOOP
                        PERFORM pg_cancel_backend(pid) FROM pg_stat_activity
                            WHERE usename = 'strange' AND wait_event = 'SyncRep';
                        EXIT WHEN FOUND;
                        PERFORM pg_sleep(0.05), pg_stat_clear_snapshot();
                    END LOOP;
                END $$
                """,
            ],
            name: "cancels",
            directory: site.directory
        )
        let error = #expect(throws: EngineError.self) { try append(session, "second") }
        #expect(error?.isAmbiguous == true)
        try cancels.wait()
    }

    /// For example that transaction ids run out, which PostgreSQL says with each transaction from then on.
    @Test func `a warning of another kind was taken for a commit that may be lost`() throws {
        let site = try Site()
        try site.server.sql(
            """
            CREATE OR REPLACE FUNCTION holdfast.hint(what text, entry bytea) RETURNS void
            LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'database must be vacuumed'; END $$
            """
        )
        let session = try site.session()
        #expect(try append(session, "1").count == 1)
        #expect(session.isOpen)
    }

    @Test func `a server that an operator has made read-only is not written to, and says so`()
        throws
    {
        let site = try Site()
        let session = try site.session()
        _ = try append(session, "1")
        try site.server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        try site.server.sql("SELECT pg_reload_conf()")
        try waitUntil("it refuses") {
            do {
                _ = try append(session, "2")
                return false
            } catch let error as EngineError {
                return !error.isAmbiguous && "\(error)".contains("default_transaction_read_only")
            }
        }
        let found = EngineAdministration.findings(site.server.options, schema: "holdfast")
        #expect(found.first?.description.contains("default_transaction_read_only") == true)
        #expect(throws: EngineError.self) { try site.session() }
    }

    @Test func `the name of a site is written as it is, whatever psql's encoding`() throws {
        let site = try Site()
        try site.server.sql("ALTER ROLE postgres SET client_encoding = latin1")
        let path = site.directory.file("init.sql")
        try EngineSchema.script(schema: "other", name: "Zürich")
            .write(toFile: path, atomically: true, encoding: .utf8)
        try site.server.sql("\\i '\(path)'")
        #expect(try site.server.sql("SELECT length(name) FROM other.site") == "6")
    }
}
