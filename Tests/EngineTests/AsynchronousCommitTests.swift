import Channels
import Engine
import Harness
import Testing

@Suite(.enabled(if: PostgreSQL.isUsable)) struct AsynchronousCommitTests {
    @Test func `an append waits for the standbys although the role commits asynchronously`() throws
    {
        let site = try Site()
        try site.server.sql(
            """
            CREATE ROLE lazy LOGIN; GRANT holdfast_machine TO lazy;
            ALTER ROLE lazy SET synchronous_commit = off
            """
        )
        try site.server.withholdCommits()
        // A session that only reads need not wait.
        let session = try site.session(
            "one",
            "host=\(site.server.path) dbname=postgres user=lazy"
        )
        let error = #expect(throws: EngineError.self) {
            try session.append(
                gid: gid(),
                known: .none,
                parts: [try part([text("a", "x")])],
                deadline: soon - 28_000
            )
        }
        #expect(error?.isAmbiguous == true)
        try waitUntil("its commit waits") {
            try site.server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'lazy' AND wait_event = 'SyncRep'"
            ) == "1"
        }
    }
}
