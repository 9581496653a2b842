package import Channels

/// A question to the log's reader, with a ticket that its answer has too.
package enum LogRead: Sendable {
    case history(HistoryRequest)
    /// One message by its id; nil where it is not there (any more).
    case message(ticket: UInt64, Cursor)
    case channels(ticket: UInt64, ChannelSelection)

    package var ticket: UInt64 {
        switch self {
        case .history(let request): request.ticket
        case .message(let ticket, _), .channels(let ticket, _): ticket
        }
    }

    /// What is told where the log can't be read.
    var failed: LogEvent {
        switch self {
        case .history(let request): .history(ticket: request.ticket, .failure(.unavailable))
        case .message(let ticket, _): .message(ticket: ticket, .failure(.unavailable))
        case .channels(let ticket, _): .channels(ticket: ticket, .failure(.unavailable))
        }
    }
}
