/// Why PostgreSQL could not be reached, or what it refused.
package enum PostgresError: Error, Equatable, CustomStringConvertible {
    /// libpq is not there, or can't read the connection string.
    case library(String)
    /// There is no connection (any more). What was under way may have been done.
    case connection(String)
    /// No answer in time; the connection is closed. What was under way may have been done, or may still be.
    case timedOut(String)
    /// The server refused, with the SQLSTATE; nothing was done.
    case server(state: String, String)
    /// It was done, but the server warned that it did not wait for a standby, for example.
    case doubtful
    /// The answer has another form than the schema's functions give.
    case malformed

    package var description: String {
        switch self {
        case .library(let sentence): sentence
        case .connection(let sentence): sentence
        case .timedOut(let what): "\(what): no answer in time"
        case .server(let state, let sentence): "\(sentence) (SQLSTATE \(state))"
        case .doubtful: "the server committed with a warning"
        case .malformed: "the engine's schema answers in a form that this holdfast does not know"
        }
    }

    /// Whether what was under way may have been done nevertheless.
    package var isAmbiguous: Bool {
        switch self {
        case .connection, .timedOut, .doubtful, .malformed: true
        case .library: false
        // The server is being stopped, or ended the session: perhaps after the commit.
        case .server(let state, _): state.hasPrefix("57P") || state.hasPrefix("08")
        }
    }
}
