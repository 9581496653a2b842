internal import Channels
internal import Endpoint
internal import FastCGI
internal import Liveness

/// A stream that is not live, or no longer: it reads the log forwards until it reaches the end.
///
/// It reads a bounded piece, sends it, and goes on when the peer has taken it. When a piece ends at the log's head, the
/// stream joins the holds in the same step, so that nothing comes between.
final class Replay {
    enum Position {
        /// As the subscriber gave it; not judged yet.
        case start(PollStart)
        case cursor(Cursor)
    }

    /// What a stream over HTTP has in addition.
    struct Web {
        let origin: RequestOrigin
        let frontEnd: ProbePolicy.Place
        /// Monotonic milliseconds of its end.
        let endsAt: Int64
    }

    /// Where its bytes go.
    enum Target {
        case web(Requester, Web)
        /// A client of the bus socket.
        case lines(ConnectionID)
    }

    let target: Target
    let stream: StreamSubscription
    /// What is sent before the greeting.
    let head: [UInt8]
    private(set) var position: Position
    /// Whether the `hello` went out.
    private(set) var isGreeted: Bool
    /// The channels on which this stream makes its member present.
    private(set) var attended: [ChannelName] = []
    /// To be reported before the next message.
    private(set) var owedGap: GapReason?
    /// Its position before the gap that is owed.
    private(set) var beforeGap: Cursor?
    private(set) var told = ToldMarks()
    /// Its rank among all; given by the table.
    private(set) var number: UInt64 = 0
    /// The question to the log under way for it.
    private(set) var ticket: Ticket?
    /// Waits for the peer to take what was sent.
    private(set) var isWaiting = false

    /// - Parameter head: for a stream that has not been greeted yet; nil for one that continues.
    init(
        _ stream: StreamSubscription,
        at position: Position,
        _ target: Target,
        head: [UInt8]?
    ) {
        self.stream = stream
        self.target = target
        self.head = head ?? []
        self.position = position
        isGreeted = head == nil
    }

    var connection: ConnectionID {
        switch target {
        case .web(let requester, _): requester.address.connection
        case .lines(let connection): connection
        }
    }

    /// Of a stream over HTTP.
    var web: Web? { if case .web(_, let web) = target { web } else { nil } }

    /// FastCGI's id of a stream over HTTP.
    var id: RequestID? {
        if case .web(let requester, _) = target { requester.address.id } else { nil }
    }

    var recipient: Recipient {
        switch target {
        case .web(let requester, _): .request(requester.address)
        case .lines(let connection): .subscription(connection)
        }
    }

    // MARK: What happens to it

    /// The table gives it its rank.
    func enlisted(as number: UInt64) { self.number = number }

    /// Its member is present on these channels, by it, until `takeAttended`.
    func attends(_ channels: [ChannelName]) { attended = channels }

    /// The channels on which its member is not present by it any more.
    func takeAttended() -> [ChannelName] {
        defer { attended = [] }
        return attended
    }

    /// The `hello` goes out.
    func greeted() { isGreeted = true }

    /// The log is asked for it.
    func asked(_ ticket: Ticket) { self.ticket = ticket }

    /// The question to the log that is not under way for it any more: it has been answered, or nobody needs the answer.
    @discardableResult
    func takeTicket() -> Ticket? {
        defer { ticket = nil }
        return ticket
    }

    /// Whether it waits for the peer from now on.
    func waits(_ isWaiting: Bool) { self.isWaiting = isWaiting }

    // MARK: Reading

    /// What to do next, once the peer has taken everything.
    enum Step {
        /// It begins here and now, and is live.
        case goLive(at: Cursor)
        case ask(HistoryStart, Question)
        case send(HistoryPage)
    }

    /// - Parameters:
    ///   - retention: now on the clock of `Message.expiresMilliseconds`.
    ///   - unissued: see `CursorStart`.
    func next(in tail: borrowing Tail, retention: Int64, unissued: GapReason) -> Step {
        if case .start(let start) = position {
            switch start {
            case .now: return .goLive(at: Cursor(epoch: tail.epochs.current, offset: tail.head))
            case .history(let start): return .ask(start, .reading(after: nil, gap: nil))
            case .cursor(let cursor):
                // Another process may be ahead.
                let start = CursorStart(
                    cursor,
                    in: tail.epochs,
                    head: tail.head,
                    isFinal: false
                )
                if start == .lookAhead { return .ask(.newest, .lookAhead) }
                position = .cursor(cursor)
            }
        }
        guard case .cursor(let cursor) = position else { preconditionFailure("it has begun") }
        let offset = place(of: cursor, in: tail.epochs, head: tail.head, unissued: unissued)
        let page = tail.read(
            stream.channels,
            after: offset,
            messageLimit: Self.pieceMessages,
            byteLimit: Self.pieceBytes,
            now: retention
        )
        return page.map { .send($0) } ?? .ask(.after(offset), .reading(after: offset, gap: nil))
    }

    /// The log was asked whether it has more: the verdict on the cursor is final now.
    func lookedAhead() {
        if case .start(.cursor(let cursor)) = position { position = .cursor(cursor) }
    }

    /// Where its client continues if it ends now: at its position, but before a gap that the client has not been told
    /// of, so that it is told then; nil if the stream has not begun at a cursor.
    var cursor: Cursor? {
        if let beforeGap { return beforeGap }
        return switch position {
        case .cursor(let cursor), .start(.cursor(let cursor)): cursor
        case .start: nil
        }
    }

    /// The offset after which it continues in the log as it is now. A gap for what is missing there is owed to it from
    /// now on.
    ///
    /// While a gap is owed, its client is still before that gap: in a log that is replaced once more, that place is
    /// judged anew, and nothing may be missing there.
    func place(
        of cursor: Cursor,
        in epochs: EpochHistory,
        head: Offset,
        unissued: GapReason = .future
    ) -> Offset {
        let stands = cursor.epoch == epochs.current ? cursor : beforeGap ?? cursor
        guard
            case .after(let offset, let gap) = CursorStart(
                stands,
                in: epochs,
                head: head,
                isFinal: true,
                unissued: unissued
            )
        else { preconditionFailure("the verdict is final") }
        if let gap {
            owe(gap, resumed: Cursor(epoch: epochs.current, offset: offset))
        } else if beforeGap != nil, cursor.epoch != epochs.current {
            advanced(to: stands)
        }
        return offset
    }

    /// Its position is in another log than the one that it has read: the marks it was told of mean nothing here, where
    /// the same offsets are given out again.
    func owe(_ gap: GapReason, resumed: Cursor) {
        beforeGap = cursor
        owedGap = gap
        position = .cursor(resumed)
        told = ToldMarks()
    }

    /// The log went back within its epoch: what it has beyond this, until it has the next epoch, is not what was there.
    ///
    /// - Parameter newest: its end before.
    /// - Returns: whether the stream was beyond it, too, and is owed the gap now.
    func fallsBack(from newest: Cursor, to resumed: Cursor) -> Bool {
        let place: Cursor? =
            switch position {
            case .cursor(let cursor), .start(.cursor(let cursor)): cursor
            case .start: nil
            }
        guard let place, place.epoch == newest.epoch, place.epoch == resumed.epoch,
            resumed.offset < place.offset, place.offset <= newest.offset
        else { return false }
        owe(.restarted, resumed: resumed)
        return true
    }

    /// Takes over what another process owed, and whether it has greeted the client.
    func resume(isGreeted: Bool, owedGap: GapReason?, beforeGap: Cursor?, told: ToldMarks) {
        (self.owedGap, self.beforeGap, self.told) = (owedGap, beforeGap, told)
        self.isGreeted = isGreeted
    }

    /// What to send of a piece that was read, with the gap that is to be reported before it.
    func piece(of page: HistoryPage) -> HistoryPage {
        let piece = stream.fitting(told.withoutPassed(page), bytes: Self.pieceBytes)
        let untold = told.take(piece)
        return piece.with(gap: owedGap ?? untold)
    }

    /// Everything up to this cursor is sent, and the gap before it.
    func advanced(to cursor: Cursor) {
        position = .cursor(cursor)
        (owedGap, beforeGap) = (nil, nil)
    }

    /// Bytes as they are sent, and messages, in one piece: no more is made before the peer has taken it.
    static let pieceBytes = 65_536
    static let pieceMessages = 256
}
