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
    private(set) var owedGap: GapReason?
    /// Where it stood before the gap that is owed.
    private var beforeGap: Cursor?
    private(set) var told = ToldMarks()
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

    /// Where its client goes on if it ends now: as far as it has come, but before a gap that it has not been told of, so
    /// that it is told then; nil where it has not begun at a cursor.
    var cursor: Cursor? {
        if let beforeGap { return beforeGap }
        return switch position {
        case .cursor(let cursor), .start(.cursor(let cursor)): cursor
        case .start: nil
        }
    }

    /// The offset after which it goes on in the log as it is now. What is missing there is owed to it from now on.
    func place(of cursor: Cursor, in epochs: EpochHistory, head: Offset) -> Offset {
        let (gap, offset): (GapReason, Offset)
        switch epochs.verdict(on: cursor, head: head) {
        case .valid(let offset): return offset
        case .restarted(let resume): (gap, offset) = (.restarted, resume)
        case .future: (gap, offset) = (.future, head)
        }
        owe(gap, resumed: Cursor(epoch: epochs.current, offset: offset))
        return offset
    }

    /// It stands in another log than the one that it has read: what it was told of marks there says nothing here, where
    /// the same offsets are given out again.
    func owe(_ gap: GapReason, resumed: Cursor) {
        beforeGap = cursor
        owedGap = gap
        position = .cursor(resumed)
        told = ToldMarks()
    }

    /// What to send of a piece that was read, with the gap that is to be told before it.
    func piece(of reading: HistoryReading) -> HistoryReading {
        let piece = stream.fitting(told.withoutPassed(reading), bytes: Self.pieceBytes)
        let untold = told.take(piece)
        return piece.told(of: owedGap ?? untold)
    }

    /// Everything up to this cursor goes out, and the gap before it.
    func advanced(to cursor: Cursor) {
        position = .cursor(cursor)
        (owedGap, beforeGap) = (nil, nil)
    }

    /// Bytes as they are sent, and messages, in one piece: no more is made before the peer has taken it.
    static let pieceBytes = 65_536
    static let pieceMessages = 256
}

/// Streams that are not live: by connection, and for each owner of a bound in the order they came. Reactor thread only.
struct ReplayTable {
    /// In the order they came, so that one is found by its number.
    private struct Line {
        var replays: [Replay] = []

        mutating func remove(_ replay: Replay) {
            var (low, high) = (0, replays.count)
            while low < high {
                let middle = (low + high) / 2
                if replays[middle].number < replay.number {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            if low < replays.count, replays[low] === replay { replays.remove(at: low) }
        }
    }

    private var everybody = Line()
    private var byConnection: [Int32: Line] = [:]
    private var bySubscriber: [UInt64: Line] = [:]
    private var byAddress: [UInt64: Line] = [:]
    private var lastNumber: UInt64 = 0

    var count: Int { everybody.replays.count }
    var all: [Replay] { everybody.replays }
    var oldest: Replay? { everybody.replays.first }

    func of(_ connection: Int32) -> [Replay] { byConnection[connection]?.replays ?? [] }

    func of(subscriber: UInt64) -> [Replay] { bySubscriber[subscriber]?.replays ?? [] }

    func count(ofAddress address: UInt64) -> Int { byAddress[address]?.replays.count ?? 0 }

    func oldest(ofAddress address: UInt64) -> Replay? { byAddress[address]?.replays.first }

    mutating func add(_ replay: Replay) {
        lastNumber += 1
        replay.number = lastNumber
        everybody.replays.append(replay)
        byConnection[replay.requester.connection, default: Line()].replays.append(replay)
        if let subscriber = replay.web?.origin.subscriber {
            bySubscriber[subscriber, default: Line()].replays.append(replay)
        }
        if let address = replay.web?.origin.address {
            byAddress[address, default: Line()].replays.append(replay)
        }
    }

    /// - Returns: whether it was there.
    @discardableResult
    mutating func remove(_ replay: Replay) -> Bool {
        let connection = replay.requester.connection
        guard of(connection).contains(where: { $0 === replay }) else { return false }
        everybody.remove(replay)
        Self.remove(replay, from: &byConnection, connection)
        if let subscriber = replay.web?.origin.subscriber {
            Self.remove(replay, from: &bySubscriber, subscriber)
        }
        if let address = replay.web?.origin.address {
            Self.remove(replay, from: &byAddress, address)
        }
        return true
    }

    private static func remove<Key>(_ replay: Replay, from lines: inout [Key: Line], _ key: Key) {
        lines[key]?.remove(replay)
        if lines[key]?.replays.isEmpty == true { lines[key] = nil }
    }
}
