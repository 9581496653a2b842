package import Channels

/// The members of all channels. Pure: time is passed in as milliseconds of a clock that never goes back and is the same
/// for all processes of the machine.
///
/// A member is present while it has a lease: a held request, or one that ended less than the grace period ago, in this
/// process or in another one, which announces it regularly. Joins and leaves are messages in the log, which all
/// processes read in one order; `members(of:)` is the result of these messages. A process that notices a difference
/// between leases and messages appends the missing event, and the log takes it once however many processes notice.
///
/// Only a held request makes a client a member, so members are bounded first by the bounds on held requests, and then
/// by `PresenceBounds`. A member is examined only when something is due for it.
package struct Presence: Sendable {
    /// The hash of a subscriber's id; 0 stands for all without one.
    package typealias Subscriber = UInt64

    private let bounds: PresenceBounds
    private var table: MemberTable
    private var rate: EventRate
    /// The log had no room for another channel's events: until this time it is asked for no further channel.
    private var noRoomUntil: Int64 = .min
    /// Whether the events already in the log are known; nothing is reported before, but leases are announced.
    package private(set) var isLoaded = false
    /// Whether the log lacks events of other machines. Nothing is reported meanwhile, since members judged by old
    /// events may have left, or be on another machine; leases are announced as always.
    package var isBehind = false

    /// How often processes announce their leases to each other.
    package static let tellMilliseconds: Int64 = 8000
    private static let askMilliseconds: Int64 = 5000
    /// How long the log is not asked for new channels after it had no room.
    private static let noRoomMilliseconds: Int64 = 30_000
    /// The most that are examined in one turn, so that publishers get their turn in between.
    private static let turn = 250

    package init(_ bounds: PresenceBounds = PresenceBounds()) {
        self.bounds = bounds
        table = MemberTable(mostAbsent: bounds.members)
        rate = EventRate(bounds)
    }

    package var isEmpty: Bool { table.isEmpty }

    /// The number of members known, including those that have left.
    package var entryCount: Int { table.count }

    /// The number of members that are present, including those of other processes.
    package var counted: Int { table.counted }

    // MARK: Leases of this process

    package enum Attendance {
        /// The channel, or presence as a whole, is full, and this member is not included.
        case leftOut
        /// This process had no lease of the subscriber before: other processes need to be told.
        case new
        case known
    }

    /// Records that a request of the member is held.
    ///
    /// - Parameters:
    ///   - cameAt: when it arrived, by the clock that leaving uses.
    ///   - isFurther: whether the request counts on another channel already. Such a place is given only while half of
    ///     all places are free, so that few requests with many channels do not take them all.
    package mutating func attends(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber?,
        at cameAt: Int64 = 0,
        isFurther: Bool = false,
        _ limits: PresenceLimits,
        now: Int64
    ) -> Attendance {
        let key = MemberKey(channel: channel, member: member)
        let places = isFurther ? bounds.members / 2 : bounds.members
        guard table.leaseCount < bounds.leases, table.mayCount(key, limits, of: places) else {
            return .leftOut
        }
        var isNew = false
        table.change(key, subscriber ?? 0, now) { entry in
            var lease = entry.leases[subscriber ?? 0] ?? Lease()
            isNew = !lease.isValid(now)
            if !entry.isLeased(now) { entry.tellAt = now + Self.tellMilliseconds }
            (lease.held, lease.cameAt) = (lease.held + 1, cameAt)
            entry.leases[subscriber ?? 0] = lease
            entry.held += 1
            entry.patientUntil = .min
            entry.touched = now
        }
        return isNew ? .new : .known
    }

    /// Records a request of the member that could wait, even if it is answered at once: it prolongs a presence.
    ///
    /// - Returns: whether this process had no lease of the subscriber before: other processes need to be told.
    @discardableResult
    package mutating func asked(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber?,
        at cameAt: Int64 = 0,
        _ limits: PresenceLimits,
        now: Int64
    ) -> Bool {
        let key = MemberKey(channel: channel, member: member)
        guard let known = table[key], known.isPresent || known.isLeased(now),
            known.leases[subscriber ?? 0] != nil || table.leaseCount < bounds.leases
        else { return false }
        var isNew = false
        table.change(key, subscriber ?? 0, now) { entry in
            var lease = entry.leases[subscriber ?? 0] ?? Lease()
            isNew = !lease.isValid(now)
            if !entry.isLeased(now) { entry.tellAt = now + Self.tellMilliseconds }
            (lease.until, lease.cameAt) = (now + limits.graceMilliseconds, cameAt)
            entry.leases[subscriber ?? 0] = lease
            entry.graceEnd = max(entry.graceEnd, lease.until)
            entry.touched = now
        }
        return isNew
    }

    /// Records that a held request of the member has ended.
    package mutating func released(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber?,
        _ limits: PresenceLimits?,
        now: Int64
    ) {
        let key = MemberKey(channel: channel, member: member)
        guard var lease = table[key]?.leases[subscriber ?? 0], lease.held > 0 else { return }
        lease.held -= 1
        lease.until = now + (limits?.graceMilliseconds ?? 0)
        table.change(key, subscriber ?? 0, now) { entry in
            entry.leases[subscriber ?? 0] = lease
            entry.held -= 1
            entry.graceEnd = max(entry.graceEnd, lease.until)
            entry.touched = now
        }
    }

    /// Records that the subscriber leaves: its held requests are ended elsewhere, and its grace period is over, here
    /// and in other processes, unless it has come again since.
    package mutating func left(subscriber: Subscriber, at time: Int64 = .max, now: Int64) {
        for key in table.sortedKeys(of: subscriber) {
            guard let entry = table[key], (entry.leases[subscriber]?.cameAt ?? 0) < time else {
                continue
            }
            table.change(key, subscriber, now) { entry in
                if let lease = entry.leases.removeValue(forKey: subscriber) {
                    entry.held -= lease.held
                    entry.graceEnd = entry.leases.values.reduce(.min) { max($0, $1.until) }
                }
                if entry.heard.removeValue(forKey: subscriber) != nil {
                    entry.heardEnd = entry.heard.values.max() ?? .min
                }
                entry.patientUntil = .min
            }
        }
    }

    // MARK: Handing over

    /// The grace periods of this process, for one that takes over, which knows the other members by their held
    /// requests.
    package func graces(now: Int64) -> [Grace] {
        var graces: [Grace] = []
        for key in table.keys(inGraceAt: now) {
            let leases = (table[key]?.leases ?? [:]).sorted { $0.key < $1.key }
            for (subscriber, lease) in leases where lease.until > now {
                graces.append(
                    Grace(
                        channel: key.channel,
                        member: key.member,
                        subscriber: subscriber,
                        until: lease.until,
                        cameAt: lease.cameAt
                    )
                )
            }
        }
        return graces
    }

    /// Takes over a grace period.
    package mutating func resume(_ grace: Grace, _ limits: PresenceLimits, now: Int64) {
        let key = MemberKey(channel: grace.channel, member: grace.member)
        guard table.leaseCount < bounds.leases, table.mayCount(key, limits, of: bounds.members)
        else { return }
        table.change(key, grace.subscriber, now) { entry in
            var lease = entry.leases[grace.subscriber] ?? Lease()
            lease.until = max(lease.until, grace.until)
            lease.cameAt = max(lease.cameAt, grace.cameAt)
            entry.leases[grace.subscriber] = lease
            entry.graceEnd = max(entry.graceEnd, lease.until)
            entry.patientUntil = .min
            entry.touched = now
        }
    }

    // MARK: Other processes

    /// Sets whether there are other processes. New ones are told of all leases of this process.
    package mutating func tellOthers(_ tells: Bool, now: Int64) {
        if tells != table.tellsOthers { table.tellOthers(tells, now: now) }
    }

    /// Records that another process has a lease of the member; it expires unless that process repeats it.
    package mutating func heard(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber,
        _ limits: PresenceLimits,
        now: Int64
    ) {
        let key = MemberKey(channel: channel, member: member)
        guard table.mayCount(key, limits, of: bounds.members) else { return }
        let until = now + limits.graceMilliseconds + 2 * Self.tellMilliseconds
        let hasRoom = table.leaseCount < 2 * bounds.leases || table[key]?.heard[subscriber] != nil
        table.change(key, subscriber, now) { entry in
            entry.touched = now
            guard hasRoom else {
                // The member is present, whichever of its subscribers announced it.
                entry.patientUntil = max(entry.patientUntil, until)
                return
            }
            entry.heard[subscriber] = until
            entry.heardEnd = max(entry.heardEnd, until)
            entry.patientUntil = .min
        }
    }

    // MARK: Other machines

    /// Sets which machines share the log. Until the first call, this machine has it for itself.
    package mutating func know(_ site: SiteMachines, now: Int64) { table.know(site, now: now) }

    // MARK: Events from the log

    /// Forgets all events, because the log was replaced, or this process has just started.
    package mutating func forgetEvents(now: Int64) {
        isLoaded = false
        for key in table.sortedKeys {
            table.change(key, 0, now) { entry in
                (entry.event, entry.isPresent) = (nil, false)
                (entry.machines, entry.rivals, entry.unsettledUntil) = ([], [], .min)
                // Events that were told again may be gone, too.
                entry.toldThrough = .start
            }
        }
    }

    /// Records a join or leave that was committed or found in the history; an event older than the known one changes
    /// nothing.
    ///
    /// - Parameters:
    ///   - machines: those that have the member, where several share the log.
    ///   - timeMilliseconds: when the member joined.
    ///   - isFurther: whether it was there before, as the machine that told it knew.
    package mutating func told(
        _ member: Member,
        on channel: ChannelName,
        isJoin: Bool,
        at machines: [MachineID] = [],
        id: Cursor,
        timeMilliseconds: Int64,
        isFurther: Bool = false,
        _ limits: PresenceLimits?,
        now: Int64
    ) {
        let key = MemberKey(channel: channel, member: member)
        // Whatever their epochs are: between two calls of `forgetEvents`, all events are of one log.
        if let event = table[key]?.event, event.offset >= id.offset { return }
        let site = table.site
        let own = site?.own
        let announcing = table.tellsOthers ? Self.tellMilliseconds : 0
        table.change(key, 0, now) { entry in
            // If the event before names this machine, too, the member was announced since, if it is still present here.
            let isKnown = own.map { entry.isPresent && entry.machines.contains($0) } ?? false
            // The log has an event of a new machine before the engine's list has that machine.
            let isNews = machines.contains {
                !entry.machines.contains($0) && site?.hasLost($0) == true
            }
            // Every further join has the time of the first: one with another time follows another event than the known one.
            let follows = isFurther && timeMilliseconds == entry.timeMilliseconds
            let isRace = isJoin && entry.isPresent && !follows
            entry.rivals =
                isRace ? (entry.machines + entry.rivals).filter { !machines.contains($0) } : []
            (entry.event, entry.isPresent, entry.machines) = (id, isJoin, machines)
            entry.timeMilliseconds = timeMilliseconds
            entry.askedUntil = .min
            entry.touched = now
            // A process with a lease will announce it soon; if none does, the member left unnoticed.
            if isJoin, isNews || !entry.isExpected(now) {
                let usual = (limits?.graceMilliseconds ?? 0) + 2 * Self.tellMilliseconds
                entry.patientUntil = now + (isKnown && !isNews ? announcing : usual)
            }
            if isRace || !isJoin {
                entry.unsettledUntil = isRace ? now + Self.askMilliseconds : .min
            }
        }
        table.setInLog(true, channel)
    }

    /// The log did not take the event, which is then reported later and does not count against the rate.
    ///
    /// - Parameter hasNoPlace: whether the log has no room for another channel, and would have none for others either.
    package mutating func refused(_ event: PresenceEvent, hasNoPlace: Bool, now: Int64) {
        rate.giveBack()
        let key = MemberKey(channel: event.channel, member: event.member)
        if let entry = table[key], entry.toldThrough > .start {
            table.change(key, 0, now) { $0.toldThrough = .start }
        }
        guard hasNoPlace else { return }
        let until = now + Self.noRoomMilliseconds
        noRoomUntil = until
        table.setInLog(false, event.channel)
        guard table[key] != nil else { return }
        table.change(key, 0, now) { $0.askedUntil = until }
    }

    /// Records that all events in the log have been read.
    package mutating func loaded() { isLoaded = true }

    /// The members that are present, in the order in which they joined.
    package func members(of channel: ChannelName) -> [(member: Member, sinceMilliseconds: Int64)] {
        table.members(of: channel)
            .compactMap { member in
                table[MemberKey(channel: channel, member: member)].flatMap { entry in
                    entry.isPresent
                        ? (member: member, sinceMilliseconds: entry.timeMilliseconds) : nil
                }
            }
            .sorted {
                ($0.sinceMilliseconds, $0.member.topic) < ($1.sinceMilliseconds, $1.member.topic)
            }
    }

    // MARK: Due work

    package struct Due {
        /// The events that the log must be given now. Each is repeated if the log has not returned it after a while.
        package fileprivate(set) var events: [PresenceEvent] = []
        /// The leases that must be announced to the other processes.
        package fileprivate(set) var leases:
            [(channel: ChannelName, member: Member, subscriber: Subscriber)] = []
    }

    private var mayReport: Bool { isLoaded && !isBehind }

    /// When something is due next; `.max` if nothing becomes due by itself.
    package var nextLook: Int64 {
        let isReporting = table.hasUnreported && mayReport
        return min(table.nextLook, isReporting ? rate.nextMilliseconds : .max)
    }

    /// Examines the members for which something is due.
    package mutating func due(now: Int64) -> Due {
        var due = Due()
        let isLoaded = isLoaded
        for _ in 0..<Self.turn {
            guard let key = table.takeDue(now: now), let entry = table[key] else { break }
            if entry.change(now, table.site) != nil, entry.askedUntil <= now {
                table.appendUnreported(key)
            }
            table.tidy(key, now)
            let isTelling = table.tellsOthers && entry.tellAt <= now && entry.isLeased(now)
            table.change(key, 0, now) { entry in
                // All in the same second, so that the others receive many at a time.
                if isTelling { entry.tellAt = (now + Self.tellMilliseconds) / 1000 * 1000 }
                // What is still to be read may be older than a leave that was told since.
                if !isLoaded { entry.touched = now }
            }
            if isTelling {
                let leases = (table[key]?.leases ?? [:]).sorted { $0.key < $1.key }
                due.leases += leases.map {
                    (key.channel, key.member, $0.key)
                }
            }
            table.forgetIfAbsent(key, now)
        }
        if mayReport { due.events = takeEvents(now) }
        return due
    }

    /// The events to report now, in the order in which they were noticed.
    private mutating func takeEvents(_ now: Int64) -> [PresenceEvent] {
        var events: [PresenceEvent] = []
        for _ in 0..<Self.turn {
            guard let key = table.firstUnreported else { break }
            guard let entry = table[key], let change = entry.change(now, table.site) else {
                table.removeUnreported(key)
                continue
            }
            let hasPlace = now >= noRoomUntil || table.isInLog(key.channel)
            guard !hasPlace || rate.take(nowMilliseconds: now) else { break }
            table.removeUnreported(key)
            let askedUntil = hasPlace ? now + Self.askMilliseconds : noRoomUntil
            let lacking = table.site?.lacking ?? .start
            table.change(key, 0, now) { entry in
                entry.askedUntil = askedUntil
                if hasPlace { entry.toldThrough = lacking }
            }
            guard hasPlace else { continue }
            events.append(
                PresenceEvent(change, of: key, after: entry, at: table.site?.own, now: now)
            )
        }
        return events
    }
}
