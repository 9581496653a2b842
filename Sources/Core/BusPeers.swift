internal import DequeModule
internal import Endpoint

/// A client of the bus socket: its identity, its unread commands, and the answers it is owed.
///
/// Answers go out in the order of the commands, although the log may return their outcomes in another order: each
/// command has a place in a queue, which is sent as far as it is filled from the front.
final class BusPeer {
    let identity: LocalPeer
    private var reader = BusReader()
    /// Answers from the first that has not gone out on; nil while it is not known.
    private var answers: Deque<[UInt8]?> = []
    private var sent = 0
    /// A command that waits until everything before it is answered, because its answer is outside the order of
    /// commands.
    private var deferred: BusReader.Piece?
    /// Nothing more is read: the next answer is the last one.
    private var isEnding = false
    /// Bytes have come that were not parsed to the end: complete commands may be among them.
    private(set) var hasUnparsed = false
    /// Its sending side is closed: no more bytes will come.
    private var hasEnded = false
    /// Whether it has, or is about to have, a subscription.
    private(set) var isSubscribed = false
    /// The `hello` of its subscription has not gone out; commands wait for that.
    private var isGreeting = false
    /// It was not read from, although there may be something to read.
    private(set) var isPaused = false
    /// The command that has begun and not ended, as the shell was told of it.
    private(set) var unfinished: (bytes: Int, line: Int)?

    init(_ identity: LocalPeer) { self.identity = identity }

    /// Commands that may wait for their outcome at a time; more are not read.
    static let outstandingLimit = 256
    /// A peer with this many unread bytes of answers is not read from either.
    static let unsentLimit: Int32 = 65_536

    /// Commands that are not answered yet.
    var outstanding: Int { answers.count }

    func mayGoOn(unsent: Int32) -> Bool {
        !isEnding && !isGreeting && deferred == nil && outstanding < Self.outstandingLimit
            && unsent < Self.unsentLimit
    }

    /// Whether all its commands are answered.
    var isIdle: Bool { isSettled && !isGreeting && (isEnding || !hasUnparsed) }

    /// Whether everything that was begun for it is answered.
    var isSettled: Bool { answers.isEmpty && deferred == nil }

    // MARK: Input

    /// Whether it is read from now; if not, it is paused.
    func read(_ mayRead: Bool) -> Bool {
        isPaused = !mayRead
        return mayRead
    }

    func receive(_ bytes: UnsafeRawBufferPointer) {
        unsafe reader.receive(bytes)
        hasUnparsed = true
    }

    /// No more bytes will come. Only when all complete commands are taken is it known which one is incomplete.
    func inputEnded() { (hasEnded, hasUnparsed) = (true, true) }

    /// The next complete command; nil if there is none.
    ///
    /// - Parameter judge: as in `BusReader.next`.
    func next(
        lineLimit: Int,
        bodyLimit: Int,
        judge: ([UInt8]) -> Problem?
    ) -> BusReader.Piece? {
        let piece = reader.next(lineLimit: lineLimit, bodyLimit: bodyLimit, judge: judge)
        if piece == nil { hasUnparsed = false }
        return piece
    }

    /// What is left of a command whose rest will not come, once; for when no complete one is left.
    func takeRest() -> BusReader.Piece? { hasEnded ? reader.end() : nil }

    /// Discards the command that has begun and not ended.
    ///
    /// - Returns: the number of its line; nil if there is none.
    func discardCommand() -> Int? {
        guard let line = reader.unfinishedLine else { return nil }
        reader = BusReader()
        return line
    }

    /// Notes which command has begun and not ended, as the shell is told of it: it counts among the unfinished
    /// requests, in memory and in time. Complete commands that wait for their turn do not: nothing further is read
    /// meanwhile.
    ///
    /// - Returns: whether that has changed.
    func noteUnfinished() -> Bool {
        let isReceiving = !hasUnparsed && !hasEnded && !isEnding
        let line = isReceiving ? reader.unfinishedLine : nil
        let command = line.map { (bytes: reader.byteCount, line: $0) }
        defer { unfinished = command }
        return command?.bytes != unfinished?.bytes || command?.line != unfinished?.line
    }

    // MARK: Commands

    /// A command waits until everything before it is answered.
    func wait(_ command: BusReader.Piece) { deferred = command }

    /// The command that has waited, once everything before it is answered.
    func takeWaiting() -> BusReader.Piece? {
        guard outstanding == 0 else { return nil }
        defer { deferred = nil }
        return deferred
    }

    /// It begins a subscription, whose `hello` follows.
    func subscribe() { (isSubscribed, isGreeting) = (true, true) }

    /// The `hello` has gone out.
    ///
    /// - Returns: false if it had before.
    func greeted() -> Bool {
        defer { isGreeting = false }
        return isGreeting
    }

    /// Nothing more is read.
    func end() { isEnding = true }

    // MARK: Answers

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

    // MARK: Handing over

    /// What another process needs of it; it is settled.
    var handed: HandedConnection.Peer {
        HandedConnection.Peer(
            identity: identity,
            input: reader.handed,
            isEnding: isEnding,
            hasUnparsed: hasUnparsed,
            hasEnded: hasEnded,
            isSubscribed: isSubscribed,
            isGreeting: isGreeting,
            unfinished: unfinished
        )
    }

    /// - Parameter judge: as in `BusReader.next`.
    init(_ handed: HandedConnection.Peer, judge: ([UInt8]) -> Problem?) {
        identity = handed.identity
        reader = BusReader(handed.input, judge: judge)
        isEnding = handed.isEnding
        // The part of a command that has come is counted again in the next turn.
        hasUnparsed = handed.hasUnparsed || !handed.input.bytes.isEmpty || handed.hasEnded
        hasEnded = handed.hasEnded
        isSubscribed = handed.isSubscribed
        isGreeting = handed.isGreeting
        unfinished = handed.unfinished
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
    var areSettled: Bool { table.values.allSatisfy(\.isSettled) }
}
