internal import Channels
internal import System

/// The history of a log that was a bus of its own.
package struct EngineHistory: Equatable, Sendable {
    /// Its newest offset.
    package var head: Int64
    /// Oldest first.
    package var epochs: [EngineEpoch]

    package init(head: Int64, epochs: [EngineEpoch]) {
        (self.head, self.epochs) = (head, epochs)
    }
}

extension EngineAdministration {
    /// Makes a machine's history that of the site, and the machine its first member; returns where its log goes on.
    ///
    /// The engine refuses if the site has a history or another machine. After an ambiguous failure, the same call
    /// returns the outcome of the first attempt.
    package static func adopt(
        _ options: String,
        schema: String,
        site: String,
        machine: String,
        machineName: String,
        history: EngineHistory,
        hostMilliseconds: Int64 = 5000
    ) throws(EngineError) -> EnginePosition {
        try connected(options, schema, hostMilliseconds) { connection throws(PostgresError) in
            let deadline = MonotonicClock.milliseconds() + hostMilliseconds
            try readCommitted(connection, deadline)
            let chain = try connection.run(
                "SELECT \(schema).adopt($1, $2, $3, $4, $5, $6, $7)",
                [
                    .text(site), .text(machine), .text(machineName), .integer(history.head),
                    .texts(history.epochs.map(\.epoch.name)),
                    .integers(history.epochs.map(\.start)),
                    .integers(history.epochs.map { $0.told ?? -1 }),
                ],
                deadline: deadline
            ).bytes(0, 0)
            return EnginePosition(seq: 0, chain: chain)
        }
    }
}
