internal import System

/// What `holdfast engine` does in a database, with the rights of who runs it.
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

    /// Makes a machine a member; returns the site's id.
    package static func join(
        _ options: String,
        schema: String,
        machine: String,
        machineName: String,
        hostMilliseconds: Int64 = 5000
    ) throws(EngineError) -> String {
        do throws(PostgresError) {
            let connection = try PostgresConnection.connect(
                options,
                hostMilliseconds: hostMilliseconds
            )
            return try connection.run(
                "SELECT \(schema).enlist($1, $2)",
                [.text(machine), .text(machineName)],
                deadline: MonotonicClock.milliseconds() + hostMilliseconds
            ).text(0, 0)
        } catch {
            throw EngineError(error, schema: schema)
        }
    }
}
