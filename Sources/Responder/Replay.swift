internal import Channels
internal import Endpoint
internal import Liveness

/// A stream that is not live yet, or not any more: it reads the log forwards until it stands at its end.
///
/// It reads a bounded piece, sends it, and goes on when the peer has taken it. When a piece ends at the log's head, the
/// stream joins those who wait for what is committed, in the same step, so that nothing comes between.
final class Replay {
    enum Position {
        /// As the subscriber said it; not looked at yet.
        case start(PollStart)
        case cursor(Cursor)
    }

    /// What streams over HTTP have besides.
    struct Web {
        let origin: Poll.Origin
        let frontEnd: ProbePolicy.Place
        /// Monotonic milliseconds of its end.
        let endsAt: Int64
    }

    let requester: Requester
    /// Of the connection.
    let generation: UInt32
    let stream: StreamSubscription
    let web: Web?
    /// What goes out before the greeting.
    let head: [UInt8]
    var position: Position
    /// Whether the `hello` went out.
    var isGreeted: Bool
    /// Where his presence is counted by this stream.
    var attended: [ChannelName] = []
    /// To be told before the next message.
    var owedGap: GapReason?
    var told = ToldMarks()
    /// Which of all it is; given by the table.
    fileprivate(set) var number: UInt64 = 0
    /// Waits for the log's reader, or for the peer to take what was sent.
    var isWaiting = false

    /// - Parameter head: of a stream that has not been greeted yet; nil for one that goes on.
    init(
        _ stream: StreamSubscription,
        at position: Position,
        _ requester: Requester,
        generation: UInt32,
        web: Web?,
        head: [UInt8]?
    ) {
        self.stream = stream
        self.web = web
        self.head = head ?? []
        self.position = position
        self.requester = requester
        self.generation = generation
        isGreeted = head == nil
    }

    /// As far as it has come; nil where it has not begun at a cursor.
    var cursor: Cursor? {
        switch position {
        case .cursor(let cursor), .start(.cursor(let cursor)): cursor
        case .start: nil
        }
    }

    /// Bytes of bodies, and messages, in one piece.
    static let pieceBytes = 131_072
    static let pieceMessages = 256
}

/// Streams that are not live, by connection. Reactor thread only.
struct ReplayTable {
    private var byConnection: [Int32: [Replay]] = [:]
    private var bySubscriber: [UInt64: [Replay]] = [:]
    private var lastNumber: UInt64 = 0
    private(set) var count = 0

    func of(_ connection: Int32) -> [Replay] { byConnection[connection] ?? [] }

    func of(subscriber: UInt64) -> [Replay] { bySubscriber[subscriber] ?? [] }

    var all: [Replay] { byConnection.values.flatMap { $0 } }

    /// Looked for only where a bound is reached.
    var oldest: Replay? { all.min { $0.number < $1.number } }

    func count(ofAddress address: UInt64) -> Int {
        count == 0 ? 0 : all.count { $0.web?.origin.address == address }
    }

    func oldest(ofAddress address: UInt64) -> Replay? {
        all.filter { $0.web?.origin.address == address }.min { $0.number < $1.number }
    }

    mutating func add(_ replay: Replay) {
        lastNumber += 1
        replay.number = lastNumber
        byConnection[replay.requester.connection, default: []].append(replay)
        if let subscriber = replay.web?.origin.subscriber {
            bySubscriber[subscriber, default: []].append(replay)
        }
        count += 1
    }

    /// - Returns: whether it was there.
    mutating func remove(_ replay: Replay) -> Bool {
        let connection = replay.requester.connection
        guard let at = byConnection[connection]?.firstIndex(where: { $0 === replay }) else {
            return false
        }
        byConnection[connection]?.remove(at: at)
        count -= 1
        if byConnection[connection]?.isEmpty == true { byConnection[connection] = nil }
        if let subscriber = replay.web?.origin.subscriber {
            bySubscriber[subscriber]?.removeAll { $0 === replay }
            if bySubscriber[subscriber]?.isEmpty == true { bySubscriber[subscriber] = nil }
        }
        return true
    }
}
