internal import Channels
internal import Endpoint

/// Who gets the answer to an entry.
enum Recipient: Equatable {
    case request(RequestAddress)
    /// A client of the bus socket, and the place of this answer in the order of its commands.
    case line(ConnectionID, place: Int)
    /// The subscription of a client of the bus socket.
    case subscription(ConnectionID)
    case pipe(Int)
    /// The core itself asks.
    case core

    var connection: ConnectionID? {
        switch self {
        case .request(let address): address.connection
        case .line(let connection, _), .subscription(let connection): connection
        case .pipe, .core: nil
        }
    }
}

/// A request of a web server, and its number among its connection's requests.
struct Requester {
    let address: RequestAddress
    let ordinal: UInt32
}

/// A question to the log for a poll or a stream. The epoch beside it is that of the question: an answer that comes in
/// another epoch may be about another log.
enum Question {
    /// None yet: it waits for what other processes committed before it came, up to here.
    case head(Offset)
    /// Whether the log is ahead of this process, before a cursor is called unknown.
    case lookAhead
    /// The messages: those after an offset, or those with which it starts (nil). With a gap that the cursor alone
    /// reveals.
    case reading(after: Offset?, gap: GapReason?)

    var isLookAhead: Bool {
        if case .lookAhead = self { true } else { false }
    }
}

extension Poll {
    /// Where its client goes on if it ends while it waits with this question of this epoch; nil for one that starts with
    /// what it has not got yet, or from now on with what is not here yet.
    func position(_ question: Question, _ epoch: Epoch) -> Cursor? {
        switch (start, question) {
        case (.cursor(let cursor), _): cursor
        case (.now, .reading(after: let offset?, _)): Cursor(epoch: epoch, offset: offset)
        case (.now, _), (.history, _): nil
        }
    }
}
