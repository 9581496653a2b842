/// What the core keeps for one connection; the table is indexed by the shell's place for it.
struct Connection {
    fileprivate(set) var generation: UInt32 = 0
    /// Newest of its held requests in the held table, or -1.
    fileprivate(set) var newestHold: HeldTable.Slot = -1
    /// Counts its requests: a poll that the log kept waiting may have been overtaken by a newer one.
    fileprivate(set) var requests: UInt32 = 0
    /// Bytes that the peer has not taken yet, as the shell last reported.
    fileprivate(set) var unsent: Int32 = 0
    /// Requests and commands that wait for the log or for other processes.
    fileprivate(set) var waiting: UInt16 = 0
    /// Streams of it that read the log.
    fileprivate(set) var replays: UInt16 = 0
    fileprivate(set) var flags: Flags = []

    struct Flags: OptionSet {
        let rawValue: UInt8

        /// Neither shell nor core has given it up.
        static let open = Flags(rawValue: 1)
        /// Close it once idle: the web server asked for one request only, or has closed its sending side.
        static let closesWhenIdle = Flags(rawValue: 2)
        /// The peer asked about multiplexing, so that a second request says nothing about the first.
        static let mayMultiplex = Flags(rawValue: 4)
        /// The peer has closed its sending side: no client waits behind it for a message.
        static let peerEnded = Flags(rawValue: 8)
        /// A client of the bus socket; the rest of what is known of it is in `BusPeers`.
        static let bus = Flags(rawValue: 16)
        /// Whole requests wait for their turn, in `Turns`.
        static let queues = Flags(rawValue: 32)
        /// It is on the agenda of the next turn.
        static let goesOn = Flags(rawValue: 64)
    }

    var isOpen: Bool { flags.contains(.open) }
    /// Nothing of it is held, waits or queues. For a bus client, `BusPeer.isIdle` counts as well.
    var isIdle: Bool {
        newestHold < 0 && waiting == 0 && replays == 0 && !flags.contains(.queues)
    }
}

/// All connections by their places.
struct Connections {
    private var table: ContiguousArray<Connection> = []
    /// Those that are open.
    private(set) var count = 0

    /// - Parameter room: as in `HeldTable`.
    init(room: Int) { table.reserveCapacity(room) }

    /// - Parameter requests: those that it has sent to another process.
    mutating func open(_ id: ConnectionID, flags: Connection.Flags, requests: UInt32 = 0) {
        while table.count <= Int(id.index) { table.append(Connection()) }
        table[Int(id.index)] = Connection(
            generation: id.generation,
            requests: requests,
            flags: flags.union(.open)
        )
        count += 1
    }

    /// Gives it up: it has nothing any more, and its place stays free until another connection gets it.
    mutating func close(_ id: ConnectionID) {
        table[Int(id.index)] = Connection(generation: id.generation)
        count -= 1
    }

    /// Whether this connection has the place now and is open.
    func isOpen(_ id: ConnectionID) -> Bool {
        Int(id.index) < table.count && table[Int(id.index)].generation == id.generation
            && table[Int(id.index)].isOpen
    }

    /// The connection that has this place now.
    func id(_ index: Int32) -> ConnectionID {
        ConnectionID(index: index, generation: table[Int(index)].generation)
    }

    subscript(index: Int32) -> Connection { table[Int(index)] }

    subscript(id: ConnectionID) -> Connection { table[Int(id.index)] }

    // MARK: What happens to one

    /// The head of its list in the held table, which alone changes it.
    subscript(newestHoldOf index: Int32) -> HeldTable.Slot {
        get { table[Int(index)].newestHold }
        _modify { yield &table[Int(index)].newestHold }
    }

    mutating func unsent(_ id: ConnectionID, bytes: Int) {
        table[Int(id.index)].unsent = Int32(clamping: bytes)
    }

    mutating func closeWhenIdle(_ id: ConnectionID) {
        table[Int(id.index)].flags.insert(.closesWhenIdle)
    }

    mutating func peerEnded(_ id: ConnectionID) {
        table[Int(id.index)].flags.formUnion([.closesWhenIdle, .peerEnded])
    }

    mutating func multiplex(_ id: ConnectionID) {
        table[Int(id.index)].flags.insert(.mayMultiplex)
    }

    /// A request of it begins.
    ///
    /// - Returns: its number among those of the connection.
    mutating func count(_ id: ConnectionID) -> UInt32 {
        table[Int(id.index)].requests &+= 1
        return table[Int(id.index)].requests
    }

    /// One more request or command of it waits.
    mutating func wait(_ id: ConnectionID) { table[Int(id.index)].waiting += 1 }

    /// One of them waits no more.
    mutating func settle(_ id: ConnectionID) { table[Int(id.index)].waiting -= 1 }

    /// One more stream of it reads the log.
    mutating func addReplay(_ id: ConnectionID) { table[Int(id.index)].replays += 1 }

    mutating func removeReplay(_ id: ConnectionID) { table[Int(id.index)].replays -= 1 }

    mutating func queue(_ id: ConnectionID) { table[Int(id.index)].flags.insert(.queues) }

    /// None of its requests queues any more.
    ///
    /// - Returns: whether one has.
    @discardableResult
    mutating func endQueue(_ id: ConnectionID) -> Bool {
        table[Int(id.index)].flags.remove(.queues) != nil
    }

    /// It is on the agenda from now on.
    ///
    /// - Returns: false if it was there already.
    mutating func schedule(_ id: ConnectionID) -> Bool {
        table[Int(id.index)].flags.insert(.goesOn).inserted
    }

    /// It is not on the agenda any more.
    mutating func unschedule(_ id: ConnectionID) {
        table[Int(id.index)].flags.remove(.goesOn)
    }
}
