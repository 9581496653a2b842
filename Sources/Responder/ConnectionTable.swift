internal import Core
internal import FastCGI
internal import Glibc
internal import Reactor
internal import System

/// The connections of web servers and of clients of the bus socket: accepted, watched, read from, framed and closed here.
///
/// A connection that is given up is marked, so that nothing more is read from it or sent to it; `closeMarked` alone closes
/// those that end, at the end of the turn. The core interprets the bytes.
/// Reactor thread only.
@safe final class ConnectionTable {
    private let epoll: Epoll
    let bounds: Bounds
    /// The limits of requests that begin from now on.
    private(set) var limits: FramingLimits
    /// Of all connections on which nothing is unfinished: their input is complete requests, as a rule.
    private var assembler: RequestAssembler
    /// By descriptor.
    private var connections: ContiguousArray<Record> = []
    private var marked: [Int32] = []
    /// Those that the core must be told of.
    private var lost: [(id: ConnectionID, loss: Loss)] = []
    private var readAgain: [ConnectionID] = []
    private var unfinished = UnfinishedInput()
    private let output = Output()
    /// The number of open descriptors, including the marked ones.
    private(set) var webCount = 0
    private(set) var busCount = 0
    private var markedWebCount = 0
    private var idleSearch = IdleSearch()
    private var spare = SpareDescriptor()
    private let input = InputBuffer()

    init(_ limits: FramingLimits, _ bounds: Bounds, epoll: Epoll) {
        self.limits = limits
        assembler = RequestAssembler(limits: limits)
        self.bounds = bounds
        self.epoll = epoll
        connections.reserveCapacity(min(bounds.web, Core.firstRoom))
    }

    /// The ini file was read again.
    func apply(_ limits: FramingLimits) {
        self.limits = limits
        assembler = RequestAssembler(limits: limits)
    }

    var isEmpty: Bool { webCount + busCount == 0 }

    /// Whether a web server's connection has a place now.
    var hasPlace: Bool { webCount < bounds.web }

    /// Whether all places are taken, even without the connections that end in this turn: then no idle connection is
    /// kept.
    var isCrowded: Bool { webCount - markedWebCount >= bounds.web }

    /// Whether it exists and is not given up. Asked where a connection may have been given up since it was named: by what was
    /// read from it or sent to it in this turn, or, of a stored name, in a turn before. What is asked about a connection in
    /// one turn is true of one that was given up in it, whose descriptor is still its own.
    func isOpen(_ id: ConnectionID) -> Bool {
        guard Int(id.index) < connections.count else { return false }
        let connection = connections[Int(id.index)]
        return connection.generation == id.generation && connection.flags.contains(.open)
            && !connection.flags.contains(.marked)
    }

    func isBusSocket(_ id: ConnectionID) -> Bool {
        connections[Int(id.index)].flags.contains(.busSocket)
    }

    /// The open connection with this descriptor.
    func connection(_ index: Int32) -> ConnectionID? {
        guard Int(index) < connections.count else { return nil }
        let id = ConnectionID(index: index, generation: connections[Int(index)].generation)
        return isOpen(id) ? id : nil
    }

    /// All open connections.
    var all: [ConnectionID] { (0..<Int32(connections.count)).compactMap(connection) }

    // MARK: Accepting

    /// Takes over a connected stream socket.
    func add(_ descriptor: Int32, isBusSocket: Bool) -> ConnectionID {
        while connections.count <= Int(descriptor) { connections.append(Record()) }
        connections[Int(descriptor)].flags = isBusSocket ? [.open, .busSocket] : [.open, .isUsed]
        if isBusSocket { busCount += 1 } else { webCount += 1 }
        return ConnectionID(
            index: descriptor,
            generation: connections[Int(descriptor)].generation
        )
    }

    /// As `SpareDescriptor.turnAway`.
    func turnAway(from listener: Int32) -> Bool { spare.turnAway(from: listener) }

    func keepSpare() { spare.restore() }

    // MARK: Watching

    /// Makes epoll watch the connection, if it does not yet.
    func watch(_ id: ConnectionID) throws(SystemError) {
        guard isOpen(id), !connections[Int(id.index)].flags.contains(.watched) else { return }
        try epoll.add(id.index, generation: id.generation, watched(id))
        connections[Int(id.index)].flags.insert(.watched)
    }

    /// Sets whether epoll reports that the peer has room.
    func setSending(_ id: ConnectionID, _ isSending: Bool) throws(SystemError) {
        guard connections[Int(id.index)].flags.contains(.sending) != isSending else { return }
        if isSending {
            connections[Int(id.index)].flags.insert(.sending)
        } else {
            connections[Int(id.index)].flags.remove(.sending)
        }
        guard connections[Int(id.index)].flags.contains(.watched) else { return try watch(id) }
        try epoll.change(id.index, generation: id.generation, watched(id))
    }

    private func watched(_ id: ConnectionID) -> WatchedEvents {
        connections[Int(id.index)].flags.contains(.sending)
            ? Self.readingAndSending : Self.reading
    }

    /// Made once: generic code of the library combines sets of options.
    private static let reading: WatchedEvents = [.read, .peerClosed, .edge]
    private static let readingAndSending: WatchedEvents = reading.union(.write)

    // MARK: Reading

    /// As `InputBuffer.receive`.
    func receive(_ id: ConnectionID) -> (Transfer, UnsafeRawBufferPointer) {
        unsafe input.receive(from: id.index)
    }

    /// Continues to read from this peer in the next turn.
    func readLater(_ id: ConnectionID) {
        guard !connections[Int(id.index)].flags.contains(.readAgain) else { return }
        connections[Int(id.index)].flags.insert(.readAgain)
        readAgain.append(id)
    }

    var hasMoreInput: Bool { !readAgain.isEmpty }

    /// Connections with more input than one turn's share.
    func takeReadAgain() -> [ConnectionID] {
        let ids = readAgain.filter(isOpen)
        readAgain = []
        for id in ids { connections[Int(id.index)].flags.remove(.readAgain) }
        return ids
    }

    /// Frames received bytes and passes on each event. An idle connection keeps no assembler.
    ///
    /// - Parameters:
    ///   - judge: decides on a request whose body has not arrived yet.
    ///   - each: called for each complete event.
    func frame(
        _ id: ConnectionID,
        _ bytes: UnsafeRawBufferPointer,
        now: Int64,
        judge: (FramedRequest) -> BodyVerdict,
        each: (FramingEvent) -> Void
    ) {
        if var begun = unfinished.takeAssembler(id.index) {
            unsafe receive(bytes, id, by: &begun, judge, each)
            return keep(begun, id, now: now)
        }
        unsafe receive(bytes, id, by: &assembler, judge, each)
        if assembler.restart() {
            unfinished.keepNothing(id.index)
        } else {
            let begun = assembler
            assembler = RequestAssembler(limits: limits)
            keep(begun, id, now: now)
        }
    }

    private func receive(
        _ bytes: UnsafeRawBufferPointer,
        _ id: ConnectionID,
        by assembler: inout RequestAssembler,
        _ judge: (FramedRequest) -> BodyVerdict,
        _ each: (FramingEvent) -> Void
    ) {
        unsafe assembler.receive(
            bytes,
            judge: { isOpen(id) ? judge($0) : .answered },
            each: { if isOpen(id) { each($0) } }
        )
    }

    /// The assembler has received what there was.
    private func keep(_ assembler: consuming RequestAssembler, _ id: ConnectionID, now: Int64) {
        guard isOpen(id) else { return }
        let place = Int(id.index)
        if assembler.isPassingOver {
            connections[place].flags.insert(.passingOver)
        } else if connections[place].flags.contains(.passingOver) {
            connections[place].flags.remove(.passingOver)
            connections[place].flags.insert(.passedOver)
        }
        unfinished.keep(assembler, id.index, now: now)
    }

    /// Whether the rest of a request that was answered early has arrived since the last call.
    func takePassedOver(_ id: ConnectionID) -> Bool {
        connections[Int(id.index)].flags.remove(.passedOver) != nil
    }

    /// Whether a part of a request has arrived and the rest is awaited.
    func isReceiving(_ id: ConnectionID) -> Bool { unfinished.isReceiving(id.index) }

    /// The peer sends nothing more: what is incomplete remains incomplete.
    func endReading(_ id: ConnectionID) {
        connections[Int(id.index)].flags.remove(.passingOver)
        unfinished.stopReceiving(id.index)
    }

    /// Records that a request has arrived.
    func used(_ id: ConnectionID) {
        connections[Int(id.index)].flags.formUnion([.hasAsked, .isUsed])
    }

    // MARK: Sending

    /// As `Output.send`.
    func send(_ bytes: [UInt8], to id: ConnectionID, limit: Int?) -> Output.Sent {
        output.send(bytes, to: id.index, limit: limit, now: MonotonicClock.milliseconds())
    }

    /// As `Output.flush`.
    func flush(_ id: ConnectionID) -> Output.Sent {
        output.flush(id.index, now: MonotonicClock.milliseconds())
    }

    /// The memory of what no peer has taken yet, and whether there is any.
    var unsentBytes: Int { output.bytes }
    var hasUnsent: Bool { output.isWaiting }

    /// The number of bytes that a peer has not taken, and whether there are any.
    func unsentBytes(of id: ConnectionID) -> Int { output.unsentBytes(of: id.index) }
    func hasUnsent(_ id: ConnectionID) -> Bool { !output.isEmpty(id.index) }

    /// As `Output.relieve`.
    func relieve(limit: Int) -> [ConnectionID] {
        output.relieve(limit: limit).compactMap(connection)
    }

    /// As `Output.stuck` and `Output.mostStuck`.
    func stuck(milliseconds: Int64, now: Int64) -> [ConnectionID] {
        output.stuck(milliseconds: milliseconds, now: now).compactMap(connection)
    }

    func mostStuck(milliseconds: Int64, now: Int64) -> ConnectionID? {
        output.mostStuck(milliseconds: milliseconds, now: now).flatMap(connection)
    }

    // MARK: Handing over

    func handed(_ id: ConnectionID) -> HandedShellConnection {
        let flags = connections[Int(id.index)].flags
        let table = Handed(
            hasAsked: flags.contains(.hasAsked),
            isPassingOver: flags.contains(.passingOver),
            input: unfinished.handed(id.index)
        )
        return HandedShellConnection(table: table, output: output.handed(id.index))
    }

    /// Takes over a connection of another process; it is not watched yet.
    func resume(_ descriptor: Int32, isBusSocket: Bool, _ handed: HandedShellConnection)
        -> ConnectionID
    {
        let id = add(descriptor, isBusSocket: isBusSocket)
        if handed.table.hasAsked { used(id) }
        if handed.table.isPassingOver { connections[Int(id.index)].flags.insert(.passingOver) }
        if let input = handed.table.input { unfinished.resume(input, id.index) }
        if let unsent = handed.output { output.resume(unsent, id.index) }
        return id
    }

    // MARK: Unfinished requests

    /// The memory of all requests that are incomplete or wait for their turn.
    var unfinishedBytes: Int { unfinished.bytes }

    /// Whether any request or command is incomplete.
    var hasUnfinished: Bool { !unfinished.isEmpty }

    /// Records what the core keeps of this peer's input.
    func account(_ id: ConnectionID, _ kept: Kept, now: Int64) {
        if isOpen(id) { unfinished.keep(kept, id.index, now: now) }
    }

    /// As `UnfinishedInput.oldest`.
    func oldestUnfinished(milliseconds: Int64, holdingMemory: Bool, now: Int64) -> ConnectionID? {
        unfinished.oldest(milliseconds: milliseconds, holdingMemory: holdingMemory, now: now)
            .flatMap(connection)
    }

    /// Connections whose unfinished request or command began longer ago than this.
    func overdue(milliseconds: Int64, now: Int64) -> [ConnectionID] {
        unfinished.overdue(milliseconds: milliseconds, now: now).compactMap(connection)
    }

    /// Discards a connection's unfinished requests and skips the rest of them.
    ///
    /// - Returns: the requests, which must be answered now.
    func giveUpUnfinished(_ id: ConnectionID) -> [(id: RequestID, keepConnection: Bool)] {
        let requests = unfinished.giveUp(id.index)
        if !requests.isEmpty { connections[Int(id.index)].flags.insert(.passingOver) }
        return requests
    }

    /// Discards what is not needed any more.
    ///
    /// - Returns: whether memory became free.
    func tidy() -> Bool { unfinished.tidy() }

    // MARK: Idle connections

    /// Whether nothing on it is incomplete, in either direction.
    func isIdle(_ id: ConnectionID) -> Bool {
        isOpen(id) && !connections[Int(id.index)].flags.contains(.passingOver)
            && unfinished.isEmpty(id.index) && output.isEmpty(id.index)
    }

    /// Notes that a kept connection has become idle.
    func noteIdle() { idleSearch.begin() }

    /// Approximately the least recently used idle connection of a web server: those that were used since the search last
    /// passed are skipped once. A web server's pool uses the newest first, so the others are not about to be used.
    ///
    /// - Parameter isKept: whether a connection is idle for the caller, too.
    func leastUsed(where isKept: (ConnectionID) -> Bool) -> ConnectionID? {
        let found = idleSearch.next(among: connections.count) { place in
            let flags = connections[place].flags
            guard let id = connection(Int32(place)), !flags.contains(.busSocket), isIdle(id),
                !flags.contains(.readAgain), isKept(id)
            else { return false }
            // A new connection has some time for its first request.
            if flags.contains(.hasAsked) { connections[place].flags.remove(.isUsed) }
            return !flags.contains(.isUsed)
        }
        return found.flatMap { connection(Int32($0)) }
    }

    /// New connections without a request have had their time.
    func stopAwaitingFirstRequests() {
        for place in connections.indices where !connections[place].flags.contains(.hasAsked) {
            connections[place].flags.remove(.isUsed)
        }
        idleSearch.begin()
    }

    // MARK: Closing

    /// Gives a connection up; it is closed at the end of the turn.
    ///
    /// - Parameters:
    ///   - loss: what the core is told; nil if the core decided it, or does not know the connection.
    ///   - atOnce: tells the peer now, because it may be about to send a request.
    /// - Returns: false if it was given up already.
    @discardableResult
    func mark(_ id: ConnectionID, _ loss: Loss?, atOnce: Bool = false) -> Bool {
        guard isOpen(id) else {
            if loss == nil { lost.removeAll { $0.id == id } }
            return false
        }
        if let loss { lost.append((id, loss)) }
        if atOnce { shutdown(id.index, Int32(SHUT_RDWR)) }
        connections[Int(id.index)].flags.insert(.marked)
        if !connections[Int(id.index)].flags.contains(.busSocket) { markedWebCount += 1 }
        unfinished.removeAll(id.index)
        output.discard(id.index)
        marked.append(id.index)
        return true
    }

    var hasMarked: Bool { !marked.isEmpty }

    /// The connections given up since the last call that the core must be told of.
    func takeLost() -> [(id: ConnectionID, loss: Loss)] {
        guard !lost.isEmpty else { return [] }
        defer { lost = [] }
        return lost
    }

    /// Closes the connections that were given up. No other function ends one.
    ///
    /// - Returns: whether there were any.
    @discardableResult
    func closeMarked() -> Bool {
        guard !marked.isEmpty else { return false }
        for index in marked {
            close(index)
            let connection = connections[Int(index)]
            if connection.flags.contains(.busSocket) { busCount -= 1 } else { webCount -= 1 }
            connections[Int(index)] = Record(generation: connection.generation &+ 1)
        }
        markedWebCount = 0
        marked.removeAll(keepingCapacity: true)
        return true
    }

    /// Another process has all connections now: closes them here, which does not end them.
    func letGo() {
        for id in all { close(id.index) }
        connections = []
        (webCount, busCount) = (0, 0)
    }
}
