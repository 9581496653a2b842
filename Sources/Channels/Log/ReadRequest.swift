/// A question to the log's reader; its answer has the same ticket.
package enum ReadRequest: Sendable {
    case history(HistoryRequest)
    /// One message by its id; nil if it does not exist (any more).
    case message(ticket: UInt64, Cursor)
    case channels(ticket: UInt64, ChannelSelection)

    package var ticket: UInt64 {
        switch self {
        case .history(let request): request.ticket
        case .message(let ticket, _), .channels(let ticket, _): ticket
        }
    }

    /// The answer if the log cannot be read.
    package var failed: LogEvent {
        switch self {
        case .history(let request): .history(ticket: request.ticket, .failure(.unavailable))
        case .message(let ticket, _): .message(ticket: ticket, .failure(.unavailable))
        case .channels(let ticket, _): .channels(ticket: ticket, .failure(.unavailable))
        }
    }
}

/// A range of the log to be read from the file, for some channels.
package struct HistoryRequest: Sendable {
    package var ticket: UInt64
    package var channels: [ChannelName]
    package var start: HistoryStart
    package var messageLimit: Int
    /// Bytes of bodies; at least one message is always returned.
    package var byteLimit: Int
    /// Whether the events of all that was committed anywhere before now must precede the answer: otherwise nothing is
    /// certain about a cursor from another machine.
    package var looksAhead: Bool

    package init(
        ticket: UInt64,
        channels: [ChannelName],
        start: HistoryStart,
        messageLimit: Int,
        byteLimit: Int,
        looksAhead: Bool = false
    ) {
        self.ticket = ticket
        self.channels = channels
        self.start = start
        self.messageLimit = messageLimit
        self.byteLimit = byteLimit
        self.looksAhead = looksAhead
    }
}
