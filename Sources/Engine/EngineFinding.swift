internal import System

/// A finding of `holdfast check` about the engine.
package struct EngineFinding: Equatable, Sendable, CustomStringConvertible {
    package var description: String
    /// Machines cannot work with it, or what is acknowledged may be lost; otherwise it is only worth knowing.
    package var isProblem = true
}

extension EngineAdministration {
    /// - Parameter hostMilliseconds: how long each host, and each question, may take.
    package static func findings(
        _ options: String,
        schema: String,
        hostMilliseconds: Int64 = 5000
    ) -> [EngineFinding] {
        do throws(EngineError) {
            return try connected(options, schema, hostMilliseconds) {
                connection throws(PostgresError) in
                try findings(connection, options, schema, hostMilliseconds)
            }
        } catch {
            let sentence =
                switch error {
                case .postgres(.connection(let sentence)):
                    refusal(options, hostMilliseconds).map { "\($0) (\(sentence))" } ?? sentence
                default: "\(error)"
                }
            return [EngineFinding(description: sentence)]
        }
    }

    private static func findings(
        _ connection: PostgresConnection,
        _ options: String,
        _ schema: String,
        _ hostMilliseconds: Int64
    ) throws(PostgresError) -> [EngineFinding] {
        var deadline: Int64 { MonotonicClock.milliseconds() + hostMilliseconds * 2 }
        func setting(_ name: String) throws(PostgresError) -> String {
            try connection.run("SELECT current_setting($1)", [.text(name)], deadline: deadline)
                .text(0, 0)
        }
        if try connection.run("SELECT pg_is_in_recovery()", deadline: deadline).integer(0, 0) != 0 {
            return [EngineFinding(description: standby)]
        }
        if try poolsTransactions(options, hostMilliseconds) {
            return [EngineFinding(description: pooling)]
        }
        let missing = try missingParts(connection, schema, deadline).map {
            EngineFinding(description: $0)
        }
        let status: EngineSiteStatus
        do throws(PostgresError) {
            status = try Self.status(on: connection, schema: schema, deadline: deadline)
        } catch {
            if let missing { return [missing] }
            throw error
        }
        guard status.format == EngineSchema.format else {
            return [EngineFinding(description: "\(EngineError.format(status.format))")]
        }
        if let missing { return [missing] }
        var found: [EngineFinding] = []
        for (name, loss) in [
            ("fsync", "what was acknowledged is lost when the server loses power"),
            ("full_page_writes", "the server's files may be damaged when it loses power"),
        ] where try setting(name) == "off" {
            found.append(EngineFinding(description: "PostgreSQL has \(name) = off: \(loss)"))
        }
        if try setting("synchronous_commit") == "off" {
            found.append(
                EngineFinding(
                    description:
                        "PostgreSQL has synchronous_commit = off: what SQL publishes may be lost when the server crashes; "
                        + "what machines publish is not, since their appends wait for the disk nevertheless",
                    isProblem: false
                )
            )
        }
        let (count, age) = status.backlog
        if count > 0, age > 60_000 {
            found.append(
                EngineFinding(
                    description:
                        "about \(count) messages that SQL published wait to be taken, the oldest for \(age / 60_000) min: "
                        + "a running machine takes them",
                    isProblem: false
                )
            )
        }
        return found
    }

    /// What a schema lacks, as a sentence; nil if that is nothing, or all of it.
    ///
    /// Without one of its functions, most of the bus works, until something calls it.
    private static func missingParts(
        _ connection: PostgresConnection,
        _ schema: String,
        _ deadline: Int64
    ) throws(PostgresError) -> String? {
        let rows = try connection.run(
            """
            SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = to_regnamespace($1)
            UNION ALL
            SELECT CASE relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || relname FROM pg_class
            WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'v')
            """,
            [.text(schema)],
            deadline: deadline
        )
        var missing = EngineSchema.objects
        for row in 0..<rows.count {
            let name = try rows.text(row, 0)
            if let at = missing.firstIndex(of: name) { missing.remove(at: at) }
        }
        guard !missing.isEmpty, missing.count < EngineSchema.objects.count else { return nil }
        return
            "schema \(schema) lacks \(missing.prefix(5).joined(separator: ", "))"
            + (missing.count > 5 ? " and \(missing.count - 5) more" : "")
            + ": holdfast engine init prints how each is made"
    }

    private static let standby =
        "the server is a standby, which takes no writes; name the host of the primary in postgresql, too"

    private static let readOnly =
        "the server takes no writes from this role, because default_transaction_read_only is on"

    static let pooling =
        "connections lead through a proxy that pools transactions, behind which the server may change unnoticed and "
        + "notifications do not arrive: connect to PostgreSQL itself, or let the proxy pool sessions"

    /// Why a server that accepts connections takes no writes.
    private static func refusal(_ options: String, _ hostMilliseconds: Int64) -> String? {
        do throws(PostgresError) {
            let found = try PostgresConnection.connect(
                options,
                hostMilliseconds: hostMilliseconds,
                takesWrites: false
            ).run(
                "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'",
                deadline: MonotonicClock.milliseconds() + hostMilliseconds
            )
            if try found.integer(0, 0) != 0 { return standby }
            return try found.integer(0, 1) != 0 ? readOnly : nil
        } catch {
            return nil
        }
    }

    /// Whether a setting of one connection is visible in another one, or gone from it while the other one has a
    /// transaction.
    private static func poolsTransactions(
        _ options: String,
        _ hostMilliseconds: Int64
    ) throws(PostgresError) -> Bool {
        func connect() throws(PostgresError) -> PostgresConnection {
            try PostgresConnection.connect(options, hostMilliseconds: hostMilliseconds)
        }
        func mark(_ connection: PostgresConnection) throws(PostgresError) -> String {
            try connection.run(
                "SELECT coalesce(current_setting('holdfast.session', true), '')",
                deadline: MonotonicClock.milliseconds() + hostMilliseconds
            ).text(0, 0)
        }
        let own = "\(UInt64.random(in: 1...UInt64.max))"
        let one = try connect()
        let other = try connect()
        let deadline = MonotonicClock.milliseconds() + hostMilliseconds
        try one.runScript("SET holdfast.session = '\(own)'", deadline: deadline)
        try other.runScript("BEGIN", deadline: deadline)
        if try mark(other) == own { return true }
        do throws(PostgresError) {
            return try mark(one) != own
        } catch .timedOut {
            // The other one has the only connection to the server.
            return true
        }
    }
}
