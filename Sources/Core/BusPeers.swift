internal import DequeModule
internal import Endpoint

/// A client of the bus socket: its identity, its unread commands, and the answers it is owed.
///
/// Answers go out in the order of the commands, although the log may return their outcomes in another order: each
/// command has a place in a queue, which is sent as far as it is filled from the front.
final class BusPeer {
    let identity: LocalPeer
    var reader = BusReader()
    /// Answers from the first that has not gone out on; nil while it is not known.
    private var answers: Deque<[UInt8]?> = []
    private var sent = 0
    /// A command that waits until everything before it is answered, because its answer is outside the order of
    /// commands.
    var deferred: BusReader.Piece?
    /// Nothing more is read: the next answer is the last one.
    var isEnding = false
    /// Bytes have come that were not parsed to the end: complete commands may be among them.
    var hasUnlooked = false
    /// Its sending side is closed: no more bytes will come.
    var hasEnded = false
    /// Whether it has, or is about to have, a subscription.
    var isSubscribed = false
    /// The `hello` of its subscription has not gone out; commands wait for that.
    var isGreeting = false
    /// It was not read from, although there may be something to read.
    var isPaused = false
    /// The command that has begun and not ended, as the shell was told of it.
    var unfinished: (bytes: Int, line: Int)?

    init(_ identity: LocalPeer) { self.identity = identity }

    /// Commands that may wait for their outcome at a time; more are not read.
    static let outstandingLimit = 256
    /// A peer with this many unread bytes of answers is not read from either.
    static let unsentLimit: Int32 = 65_536

    var outstanding: Int { answers.count }

    func mayGoOn(unsent: Int32) -> Bool {
        !isEnding && !isGreeting && deferred == nil && outstanding < Self.outstandingLimit
            && unsent < Self.unsentLimit
    }

    /// Whether all its commands are answered.
    var isIdle: Bool {
        answers.isEmpty && deferred == nil && !isGreeting && (isEnding || !hasUnlooked)
    }

    /// A place for the answer to the next command.
    func place() -> Int {
        answers.append(nil)
        return sent + answers.count - 1
    }

    /// Fills a place.
    ///
    /// - Returns: all answers that are next in the order, taken out.
    func fill(_ place: Int, _ answer: [UInt8]) -> [UInt8] {
        answers[place - sent] = answer
        var bytes: [UInt8] = []
        while let first = answers.first, let answer = first {
            bytes += answer
            answers.removeFirst()
            sent += 1
        }
        return bytes
    }
}

/// All clients of the bus socket.
struct BusPeers {
    private var table: [Int32: BusPeer] = [:]
    private var ids: [Int32: ConnectionID] = [:]

    var isEmpty: Bool { table.isEmpty }

    mutating func add(_ connection: ConnectionID, _ peer: BusPeer) {
        table[connection.index] = peer
        ids[connection.index] = connection
    }

    mutating func remove(_ connection: ConnectionID) {
        table[connection.index] = nil
        ids[connection.index] = nil
    }

    /// Nil for a web server's. The caller knows that the connection is open.
    subscript(connection: ConnectionID) -> BusPeer? { table[connection.index] }

    func identity(_ index: Int32) -> LocalPeer? { table[index]?.identity }

    /// All of them, in a deterministic order.
    var all: [ConnectionID] { ids.values.sorted { $0.index < $1.index } }

    /// Whether everything that was begun for them is answered.
    var areSettled: Bool {
        table.values.allSatisfy { $0.outstanding == 0 && $0.deferred == nil }
    }
}
