/// Why PostgreSQL could not be reached, or what it refused.
package enum PostgresError: Error, Equatable, CustomStringConvertible {
    /// libpq is missing, or cannot read the connection string.
    case library(String)
    /// There is no connection, or no longer one. The statement under way may have been done.
    case connection(String)
    /// No answer in time, in a sentence; the connection is closed. The statement under way may have been done, or may
    /// still be.
    case timedOut(String)
    /// The server refused, with the SQLSTATE; nothing was done.
    case server(state: String, String)
    /// The statement was done, but the server warned, for example that it did not wait for a standby.
    case doubtful
    /// The answer does not have the form that the schema's functions return.
    case malformed

    package var description: String {
        switch self {
        case .library(let sentence): sentence
        case .connection(let sentence): sentence
        case .timedOut(let sentence): sentence
        case .server(let state, let sentence): "\(sentence) (SQLSTATE \(state))"
        case .doubtful: "PostgreSQL committed with a warning, perhaps without a standby"
        case .malformed: "the engine's schema answers in a form that this holdfast does not know"
        }
    }

    /// Whether the statement under way may have been done although it failed.
    package var isAmbiguous: Bool {
        switch self {
        case .connection, .timedOut, .doubtful, .malformed: true
        case .library: false
        // The server is being stopped, or ended the session: perhaps after the commit.
        case .server(let state, _): state.hasPrefix("57P") || state.hasPrefix("08")
        }
    }
}
