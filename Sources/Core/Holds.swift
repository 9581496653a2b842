internal import Channels
internal import Endpoint
internal import FastCGI
internal import Liveness

/// A member's presence on channels for as long as one request is held.
struct Attendance {
    let member: Member
    let channels: [ChannelName]
    let subscriber: UInt64?
}

/// All held requests: one place where a hold enters and one where it leaves the tables in which it is found by
/// interest, by connection, by deadline, by the time of its next probe or heartbeat, and in order of arrival.
struct Holds {
    typealias Slot = HeldTable.Slot
    typealias Held = HeldTable.Held

    /// A request to be held.
    struct Hold {
        let address: RequestAddress
        let kind: HeldTable.Kind
        let frontEnd: ProbePolicy.Place
        let interest: Interest
        /// Nil for a client of the bus socket, whose subscription has no deadline.
        let origin: RequestOrigin?
        let deadline: Int64?
        /// When the next probe or heartbeat is due.
        let probe: Int64?
    }

    /// Of a hold: what a departure from it shows.
    struct Signs {
        let held: Held
        let nextProbe: Int64?
        let messagesAt: Int64
    }

    private var table: HeldTable
    private var audience = Audience<Interest>()
    private var deadlines: DeadlineWheel
    private var probes: DeadlineWheel
    private var arrivals: Arrivals
    private var attendances: [Slot: Attendance] = [:]
    /// Of those that rest on a token or a link.
    private var rights: [Slot: Right] = [:]
    /// Monotonic milliseconds when messages last went to the streams of each interest.
    private var lastMessagesAt: ContiguousArray<Int64> = []

    /// - Parameter room: about how many may be held.
    init(now: Int64, room: Int = 0) {
        table = HeldTable(room: room)
        arrivals = Arrivals(room: room)
        deadlines = DeadlineWheel(now: now, room: room)
        probes = DeadlineWheel(now: now, room: room)
    }

    var count: Int { table.count }
    var interestCount: Int { audience.count }
    var isEmpty: Bool {
        table.isEmpty && audience.isEmpty && deadlines.count == 0 && probes.count == 0
            && attendances.isEmpty && rights.isEmpty && arrivals.isEmpty
    }

    // MARK: Entering and leaving

    /// - Parameter newest: the newest hold of its connection, which it becomes.
    mutating func insert(
        _ hold: borrowing Hold,
        boundsAddresses: Bool,
        newest: inout Slot
    ) -> Slot {
        let interest = audience.join(hold.interest, channels: hold.interest.channels)
        let slot = table.insert(
            Held(
                connection: hold.address.connection.index,
                requestID: hold.address.id,
                keepConnection: hold.address.keepConnection,
                kind: hold.kind,
                frontEnd: hold.frontEnd,
                interest: interest
            ),
            firstOfConnection: &newest
        )
        if let deadline = hold.deadline { deadlines.add(slot, deadline: deadline) }
        if let probe = hold.probe { probes.add(slot, deadline: probe) }
        arrivals.add(slot, hold.origin, boundsAddresses: boundsAddresses)
        if let right = hold.origin?.right { rights[slot] = right }
        return slot
    }

    /// - Parameter newest: the newest hold of its connection.
    /// - Returns: the hold, and the presence that ends with it.
    mutating func remove(_ slot: Slot, newest: inout Slot) -> (Held, Attendance?) {
        let held = table[slot]
        table.remove(slot, firstOfConnection: &newest)
        deadlines.remove(slot)
        probes.remove(slot)
        arrivals.remove(slot)
        if !rights.isEmpty { rights.removeValue(forKey: slot) }
        audience.leave(held.interest)
        return (held, attendances.isEmpty ? nil : attendances.removeValue(forKey: slot))
    }

    // MARK: One hold

    subscript(slot: Slot) -> Held { table[slot] }

    func interest(of slot: Slot) -> Interest { audience[table[slot].interest] }

    func deadline(of slot: Slot) -> Int64? { deadlines.deadline(of: slot) }

    func nextProbe(of slot: Slot) -> Int64? { probes.deadline(of: slot) }

    /// What a departure from it shows.
    func signs(of slot: Slot) -> Signs {
        let held = table[slot]
        return Signs(
            held: held,
            nextProbe: nextProbe(of: slot),
            messagesAt: messagesAt(held.interest)
        )
    }

    mutating func probe(_ slot: Slot, at time: Int64) { probes.add(slot, deadline: time) }

    /// Where it comes from, without its front end.
    func origin(of slot: Slot) -> RequestOrigin {
        var origin = arrivals.origin(of: slot)
        origin.member = attendances[slot]?.member
        origin.right = right(of: slot)
        return origin
    }

    /// The token or link that admits it; nil if it needs none.
    func right(of slot: Slot) -> Right? { rights.isEmpty ? nil : rights[slot] }

    /// Monotonic nanoseconds at which a subscriber's request came.
    func arrival(of slot: Slot) -> Int64 { arrivals.time(of: slot) }

    /// The member that it makes present, and the channels.
    func attendance(of slot: Slot) -> Attendance? { attendances[slot] }

    func next(ofConnection slot: Slot) -> Slot? { table.next(ofConnection: slot) }

    // MARK: By interest

    func interest(_ id: Int32) -> Interest { audience[id] }

    /// An equal list of channels that is in memory already, if one is found at once.
    func shared(_ channels: [ChannelName]) -> [ChannelName] { audience.shared(channels) }

    /// The share of each interest in a batch, in a deterministic order.
    func shares(of batch: CommittedBatch) -> [Audience<Interest>.Share] {
        audience.shares(of: batch).sorted { $0.id < $1.id }
    }

    /// Every interest with holds, in a deterministic order.
    var interests: [Int32] { audience.all.sorted() }

    func interests(in channel: ChannelName) -> [Int32] { audience.interests(in: channel).sorted() }

    func holders(of channel: ChannelName) -> Int { audience.holders(of: channel) }

    var holders: [(channel: ChannelName, count: Int)] {
        audience.holders.sorted { $0.channel.text < $1.channel.text }
    }

    func first(ofInterest interest: Int32) -> Slot? { table.first(ofInterest: interest) }

    func next(ofInterest slot: Slot) -> Slot? { table.next(ofInterest: slot) }

    /// Notes that messages go to the streams of an interest.
    mutating func noteMessages(to interest: Int32, now: Int64) {
        while lastMessagesAt.count <= Int(interest) { lastMessagesAt.append(.min / 2) }
        lastMessagesAt[Int(interest)] = now
    }

    /// When messages last went to the streams of an interest.
    func messagesAt(_ interest: Int32) -> Int64 {
        lastMessagesAt.indices.contains(Int(interest)) ? lastMessagesAt[Int(interest)] : .min / 2
    }

    // MARK: By time

    mutating func takeExpired(now: Int64) -> [Slot] { deadlines.expire(now: now) }

    mutating func takeProbed(now: Int64) -> [Slot] { probes.expire(now: now) }

    /// Monotonic milliseconds of the next deadline or probe; `.max` without one.
    func nextDue(now: Int64) -> Int64 {
        let deadline = deadlines.millisecondsToNext(now: now).map { now + $0 } ?? .max
        let probe = probes.millisecondsToNext(now: now).map { now + $0 } ?? .max
        return min(deadline, probe)
    }

    // MARK: By arrival

    var oldest: Slot? { arrivals.all.oldest }

    /// The rank of each by arrival, by slot.
    var ranks: [Int32] { arrivals.all.ranks }

    func count(ofAddress address: UInt64) -> Int { arrivals.addresses.count(of: address) }

    func oldest(ofAddress address: UInt64) -> Slot? { arrivals.addresses.oldest(of: address) }

    func count(ofSubscriber subscriber: UInt64) -> Int {
        arrivals.subscribers.count(of: subscriber)
    }

    func oldest(ofSubscriber subscriber: UInt64) -> Slot? {
        arrivals.subscribers.oldest(of: subscriber)
    }

    /// A subscriber's holds that came before a time, oldest first.
    func slots(ofSubscriber subscriber: UInt64, before time: Int64) -> [Slot] {
        arrivals.subscribers.slots(of: subscriber).filter { arrivals.time(of: $0) < time }
    }

    // MARK: Presence

    mutating func attend(_ slot: Slot, _ attendance: Attendance) { attendances[slot] = attendance }

    /// Holds by which a member is present.
    var attending: [Slot] { attendances.keys.sorted() }
}
