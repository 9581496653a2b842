/// Why the engine did not do what was asked.
package enum EngineError: Error, Equatable, CustomStringConvertible {
    case postgres(PostgresError)
    /// The caller's position is not in the engine's log: the engine has lost something.
    case forked
    /// The groups after the caller's position are no longer kept.
    case away
    /// The schema is another site's, or was dropped or emptied.
    case otherSite(String)
    /// This machine is not, or no longer, a member of the site.
    case noMember
    /// This machine is not part of a site, or a command that was to change that was interrupted.
    case notJoined(String)
    /// The site has a history, or another machine has joined it.
    case adoptsNothing(String)
    /// The schema is of another release.
    case format(Int64)
    /// The engine's answer does not agree with its own chain of hashes.
    case brokenChain(Int64)

    init(_ error: PostgresError, schema: String) {
        guard case .server(let state, let sentence) = error else {
            self = .postgres(error)
            return
        }
        self =
            switch state {
            case "HF001": .forked
            case "HF002": .away
            case "HF003": .otherSite(sentence)
            case "HF004": .noMember
            case "HF006": .adoptsNothing(sentence)
            // An undefined schema, table or function.
            case "3F000", "42P01", "42883":
                .otherSite(
                    "the database has no bus in schema \(schema), or not all of it (\(sentence)); "
                        + "holdfast engine init makes one where there is nothing"
                )
            default:
                .postgres(
                    .server(
                        state: state,
                        Self.remedy(state, schema).map { "\(sentence); \($0)" } ?? sentence
                    )
                )
            }
    }

    /// What PostgreSQL's sentence does not say.
    private static func remedy(_ state: String, _ schema: String) -> String? {
        switch state {
        // The server has a statement that another session prepared, or lacks one.
        case "26000", "42P05": EngineAdministration.pooling
        case "42501": "GRANT \(schema)_machine to the role that connects"
        case "25006": "the server is a standby, or has default_transaction_read_only = on"
        case "55P03": "another session has locked a table of schema \(schema) (see pg_locks)"
        case "57014":
            "another session may have locked a table of schema \(schema) (see pg_locks), or the server is overloaded"
        default: nil
        }
    }

    package var description: String {
        switch self {
        case .postgres(let error): "\(error)"
        case .forked: "the engine has lost groups that this machine has"
        case .away: "the engine no longer keeps the groups after those that this machine has"
        case .otherSite(let sentence), .adoptsNothing(let sentence), .notJoined(let sentence):
            sentence
        case .noMember:
            "this machine is not a member of the site; holdfast engine join makes it one"
        case .format(let format):
            "the engine's schema has format \(format); this holdfast knows format \(EngineSchema.format)"
        case .brokenChain(let seq):
            "group \(seq) in the engine does not continue its chain of hashes"
        }
    }

    /// Whether an append may have been done although it failed.
    package var isAmbiguous: Bool {
        if case .postgres(let error) = self { error.isAmbiguous } else { false }
    }
}
