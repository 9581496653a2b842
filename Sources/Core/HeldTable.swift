internal import FastCGI
internal import Liveness

/// All held requests of the process, in one flat table.
///
/// A held request is what is needed to answer it and no more: 24 bytes here, 12 in the deadline wheel, and an entry in
/// the connection table. It is found in three ways: by interest (a message came), by connection (the client left, or
/// the web server aborted), and by deadline (the wheel). It ends exactly once: `remove` takes it out, and a slot that
/// is not in the table cannot be taken out again.
struct HeldTable {
    /// A place in the table; free again after `remove`.
    typealias Slot = Int32

    enum Kind: UInt8 {
        /// Ends with its answer.
        case poll
        /// The same, whose headers went out when the hold began; only the rest is left to send.
        case begunPoll
        /// The same, with blanks since then.
        case probedPoll
        /// Continues after a message; of a web server.
        case stream
        /// The same, of a client of the bus socket.
        case lines

        var isStream: Bool { self == .stream || self == .lines }
    }

    struct Held {
        /// The connection's place.
        var connection: Int32
        var requestID: RequestID
        /// The kind, and in the lowest bit whether the connection is kept.
        private var marks: UInt8
        let frontEnd: ProbePolicy.Place
        /// In the audience.
        var interest: Int32
        fileprivate var nextOfInterest: Slot = -1
        fileprivate var previousOfInterest: Slot = -1
        fileprivate var nextOfConnection: Slot = -1

        init(
            connection: Int32,
            requestID: RequestID,
            keepConnection: Bool,
            kind: Kind,
            frontEnd: ProbePolicy.Place = 0,
            interest: Int32
        ) {
            self.connection = connection
            self.requestID = requestID
            marks = kind.rawValue << 1 | (keepConnection ? 1 : 0)
            self.frontEnd = frontEnd
            self.interest = interest
        }

        var keepConnection: Bool { marks & 1 == 1 }
        /// The initializer wrote one of its values.
        var kind: Kind { Kind(rawValue: marks >> 1) ?? .poll }
    }

    private var slots: ContiguousArray<Held> = []
    private var free: ContiguousArray<Slot> = []
    private var firstOfInterest: ContiguousArray<Slot> = []
    private(set) var count = 0

    /// - Parameter room: for this many at first. Room that is not used yet takes no memory, whereas a table that grows
    ///   leaves its former memory behind.
    init(room: Int = 0) { slots.reserveCapacity(room) }

    subscript(slot: Slot) -> Held { slots[Int(slot)] }

    var isEmpty: Bool { count == 0 && free.count == slots.count }

    /// Adds a held request; `firstOfConnection` is the head of its connection's list.
    mutating func insert(_ held: Held, firstOfConnection: inout Slot) -> Slot {
        while firstOfInterest.count <= Int(held.interest) { firstOfInterest.append(-1) }
        let slot: Slot
        if let place = free.popLast() {
            slot = place
            slots[Int(slot)] = held
        } else {
            slot = Slot(slots.count)
            slots.append(held)
        }
        let first = firstOfInterest[Int(held.interest)]
        slots[Int(slot)].nextOfInterest = first
        if first >= 0 { slots[Int(first)].previousOfInterest = slot }
        firstOfInterest[Int(held.interest)] = slot
        slots[Int(slot)].nextOfConnection = firstOfConnection
        firstOfConnection = slot
        count += 1
        return slot
    }

    /// Takes a held request out. A connection holds few requests, so its list is walked.
    mutating func remove(_ slot: Slot, firstOfConnection: inout Slot) {
        let held = slots[Int(slot)]
        precondition(held.connection >= 0, "a held request ends once")
        if held.previousOfInterest >= 0 {
            slots[Int(held.previousOfInterest)].nextOfInterest = held.nextOfInterest
        } else {
            firstOfInterest[Int(held.interest)] = held.nextOfInterest
        }
        if held.nextOfInterest >= 0 {
            slots[Int(held.nextOfInterest)].previousOfInterest = held.previousOfInterest
        }
        if firstOfConnection == slot {
            firstOfConnection = held.nextOfConnection
        } else {
            var at = firstOfConnection
            while slots[Int(at)].nextOfConnection != slot { at = slots[Int(at)].nextOfConnection }
            slots[Int(at)].nextOfConnection = held.nextOfConnection
        }
        slots[Int(slot)].connection = -1
        free.append(slot)
        count -= 1
    }

    /// One of the holds of this interest, or nil.
    func first(ofInterest interest: Int32) -> Slot? {
        guard Int(interest) < firstOfInterest.count else { return nil }
        let slot = firstOfInterest[Int(interest)]
        return slot >= 0 ? slot : nil
    }

    /// The next hold of the same interest, or nil. A loop that removes slots asks before it removes.
    func next(ofInterest slot: Slot) -> Slot? {
        let next = slots[Int(slot)].nextOfInterest
        return next >= 0 ? next : nil
    }

    /// The next older hold of the same connection, or nil; likewise.
    func next(ofConnection slot: Slot) -> Slot? {
        let next = slots[Int(slot)].nextOfConnection
        return next >= 0 ? next : nil
    }
}
