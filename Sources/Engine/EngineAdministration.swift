internal import System

/// A site, for operators.
package struct EngineSiteStatus: Sendable {
    package var site: String
    package var name: String
    package var format: Int64
    package var head: EngineHead
    /// About how many messages SQL published that no machine has taken yet, and how long the oldest has waited.
    package var backlog: (messages: Int64, milliseconds: Int64)
    package var machines: [EngineMachine]
    /// Where the history ends that the site adopted; 0: it adopted none, or the place is no longer known here.
    var adopted: Int64

    /// Whether it would adopt the history of this machine (`engine.sql`): nothing was published, and no other machine
    /// is a member.
    package func hasNoHistory(butFor machine: String) -> Bool {
        head.offset == adopted && machines.allSatisfy { $0.id == machine }
    }
}

package struct EngineMachine: Sendable {
    package var id: String
    package var name: String
    /// The newest entry that it had when it last reported.
    package var applied: Int64
    /// How many entries it lacked then.
    package var behind: Int64
    package var seenMillisecondsAgo: Int64

    /// A machine that works reports every five seconds.
    package static let awayMilliseconds: Int64 = 60_000

    /// From what `members` in engine.sql returns.
    static func all(_ rows: PostgresRows) throws(PostgresError) -> [EngineMachine] {
        var machines: [EngineMachine] = []
        for row in 0..<rows.count {
            machines.append(
                EngineMachine(
                    id: try rows.text(row, 0),
                    name: try rows.text(row, 1),
                    applied: try rows.integer(row, 2),
                    behind: try rows.integer(row, 3),
                    seenMillisecondsAgo: try rows.integer(row, 4)
                )
            )
        }
        return machines
    }
}

/// What `holdfast engine` does in a database, with the rights of the user that runs it.
package enum EngineAdministration {
    /// Makes the schema; runs as one transaction.
    package static func create(
        _ options: String,
        schema: String,
        name: String,
        hostMilliseconds: Int64 = 5000
    ) throws(PostgresError) {
        let connection = try PostgresConnection.connect(options, hostMilliseconds: hostMilliseconds)
        try connection.runScript(
            EngineSchema.script(schema: schema, name: name),
            deadline: MonotonicClock.milliseconds() + 60_000
        )
    }

    /// The site, the end of its log, and its machines.
    package static func status(
        _ options: String,
        schema: String,
        hostMilliseconds: Int64 = 5000
    ) throws(EngineError) -> EngineSiteStatus {
        let deadline = MonotonicClock.milliseconds() + hostMilliseconds * 2
        return try connected(options, schema, hostMilliseconds) {
            connection throws(PostgresError) in
            try status(on: connection, schema: schema, deadline: deadline)
        }
    }

    static func status(
        on connection: PostgresConnection,
        schema: String,
        deadline: Int64
    ) throws(PostgresError) -> EngineSiteStatus {
        func ask(_ function: String, _ values: [PostgresValue]) throws(PostgresError)
            -> PostgresRows
        {
            try connection.run(
                "SELECT * FROM \(schema).\(function)",
                values,
                deadline: deadline
            )
        }
        let site = try ask("identify()", [])
        let id = try site.text(0, 0)
        let head = try ask("look($1)", [.text(id)])
        let members = try ask("members($1)", [.text(id)])
        let backlog = try ask("backlog($1)", [.text(id)])
        let anchor = try ask("anchor($1)", [.text(id)])
        return EngineSiteStatus(
            site: id,
            name: try site.text(0, 1),
            format: try site.integer(0, 2),
            head: EngineHead(
                seq: try head.integer(0, 0),
                offset: try head.integer(0, 1),
                epoch: try head.text(0, 4),
                ageMilliseconds: max(0, try head.integer(0, 3) - head.integer(0, 2)),
                hasOutbox: try head.integer(0, 5) != 0
            ),
            backlog: (try backlog.integer(0, 0), try backlog.integer(0, 1)),
            machines: try EngineMachine.all(members),
            adopted: try anchor.integer(0, 0) == 0 ? anchor.integer(0, 2) : 0
        )
    }

    /// Removes a machine; returns whether it was a member.
    package static func leave(
        _ options: String,
        schema: String,
        site: String,
        machine: String,
        hostMilliseconds: Int64 = 5000
    ) throws(EngineError) -> Bool {
        try connected(options, schema, hostMilliseconds) { connection throws(PostgresError) in
            try connection.run(
                "SELECT \(schema).dismiss($1, $2)",
                [.text(site), .text(machine)],
                deadline: MonotonicClock.milliseconds() + hostMilliseconds
            ).integer(0, 0) != 0
        }
    }

    /// Begins an epoch that tells all readers of a gap, whatever they know.
    package static func beginEpoch(
        _ options: String,
        schema: String,
        hostMilliseconds: Int64 = 5000
    ) throws(EngineError) -> String {
        try connected(options, schema, hostMilliseconds) { connection throws(PostgresError) in
            let deadline = MonotonicClock.milliseconds() + hostMilliseconds * 2
            try readCommitted(connection, deadline)
            func ask(_ sql: String, _ values: [PostgresValue]) throws(PostgresError) -> String {
                try connection.run(sql, values, deadline: deadline).text(0, 0)
            }
            let site = try ask("SELECT id FROM \(schema).identify()", [])
            _ = try connection.run(
                "SELECT \(schema).fork($1, $2, $3, $4)",
                [.text(site), .integer(.max), .text(""), .integer(.max)],
                deadline: deadline
            )
            return try ask("SELECT epoch FROM \(schema).look($1)", [.text(site)])
        }
    }

    /// Makes a machine a member; returns the site's id.
    package static func join(
        _ options: String,
        schema: String,
        machine: String,
        machineName: String,
        hostMilliseconds: Int64 = 5000
    ) throws(EngineError) -> String {
        try connected(options, schema, hostMilliseconds) { connection throws(PostgresError) in
            try connection.run(
                "SELECT \(schema).enlist($1, $2)",
                [.text(machine), .text(machineName)],
                deadline: MonotonicClock.milliseconds() + hostMilliseconds
            ).text(0, 0)
        }
    }

    /// What takes the lock of the log demands this of its transactions (HF005), whatever the role has.
    static func readCommitted(_ connection: PostgresConnection, _ deadline: Int64)
        throws(PostgresError)
    {
        try connection.runScript(
            "SET default_transaction_isolation = 'read committed'",
            deadline: deadline
        )
    }

    /// Connects and runs the body; its errors are reported as those of the schema.
    static func connected<Outcome>(
        _ options: String,
        _ schema: String,
        _ hostMilliseconds: Int64,
        _ body: (PostgresConnection) throws(PostgresError) -> Outcome
    ) throws(EngineError) -> Outcome {
        do throws(PostgresError) {
            return try body(
                PostgresConnection.connect(options, hostMilliseconds: hostMilliseconds)
            )
        } catch {
            throw EngineError(error, schema: schema)
        }
    }
}
