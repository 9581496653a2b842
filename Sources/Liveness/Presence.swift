package import Channels

/// What the ini file sets for the presence on a channel.
package struct PresenceLimits: Equatable, Sendable {
    /// How long a member remains present after the end of its last request.
    package var graceMilliseconds: Int64 = 15_000
    package var members = 1000

    package init() {}
}

/// What presence may take of the service in total, so that clients that come and go never displace messages: a
/// sixteenth of the log. Further members are served but not reported; further events are reported when there is room
/// again.
package struct PresenceBounds: Equatable, Sendable {
    /// On all channels together.
    package var members = 20_000
    /// The held requests that make members present, those that ended within the grace period, and those of other
    /// processes.
    package var leases = 80_000
    /// Joins and leaves at a time, and within the time for which a leave is kept.
    package var burst = 5000
    package var events = 20_000
    package static let eventsMilliseconds: Int64 = 600_000

    package init() {}

    /// - Parameter logBytes: the largest size of the log. An event takes about 400 bytes of it.
    package init(logBytes: Int64) {
        let rows = Int(clamping: logBytes / 16 / 400)
        members = min(max(rows / 2, 16), 100_000)
        leases = 4 * members
        burst = max(rows / 8, 16)
        events = max(rows / 2, 64)
    }
}

/// A member of a channel, by the name that others see.
package struct Member: Hashable, Sendable {
    private let exactName: ExactText
    /// Whether the web server vouches for the name (HOLDFAST_USER, or REMOTE_USER where that is believed); otherwise
    /// the client chose it. The same name, verified and not, is two members.
    package let isVerified: Bool

    /// At most `nameByteLimit` bytes, without control characters.
    package var name: String { exactName.text }

    package static let nameByteLimit = 128

    package init(name: String, isVerified: Bool) {
        exactName = ExactText(name)
        self.isVerified = isVerified
    }

    /// Both properties as one text, the topic by which the log replaces a member's earlier event with its newer one.
    package var topic: String { (isVerified ? "user " : "name ") + name }

    /// Nil if it is not such a topic.
    package init?(topic: String) {
        // Compared by bytes: a name may begin with a scalar that combines with the blank before it.
        let isVerified = topic.utf8.starts(with: "user ".utf8)
        guard isVerified || topic.utf8.starts(with: "name ".utf8) else { return nil }
        self.init(
            name: String(topic[topic.utf8.index(topic.startIndex, offsetBy: 5)...]),
            isVerified: isVerified
        )
    }
}

/// A join or a leave, for the log.
package struct PresenceEvent: Equatable, Sendable {
    package let channel: ChannelName
    package let member: Member
    package let isJoin: Bool
    /// Every process that notices the same change gives it the same key, so that the log takes it once: the key names
    /// the member's previous event, or else the time, to ten seconds.
    package let key: String

    init(_ channel: ChannelName, _ member: Member, isJoin: Bool, after event: Cursor?, now: Int64) {
        self.channel = channel
        self.member = member
        self.isJoin = isJoin
        let before = event.map { "\($0)" } ?? "none, \(now / 10_000)"
        key = "\(isJoin ? "join" : "leave") after \(before): \(member.topic)"
    }
}

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

    private struct Key: Hashable, Comparable {
        let channel: ChannelName
        let member: Member

        /// An order that is the same in every process and run: what is gone through decides what is told first.
        static func < (a: Key, b: Key) -> Bool {
            (a.channel.text, a.member.topic) < (b.channel.text, b.member.topic)
        }
    }

    private struct Lease {
        /// The number of held requests.
        var held = 0
        /// The end of the grace period.
        var until: Int64 = .min
        /// The arrival of its newest request, by the clock that leaving uses.
        var cameAt: Int64 = 0
    }

    private struct Entry {
        /// The leases of this process; the sum of their held requests; and the end of the last of their grace periods.
        var leases: [Subscriber: Lease] = [:]
        var held = 0
        var graceEnd: Int64 = .min
        /// The leases of other processes with the time until which each is valid, and the last of these times.
        var heard: [Subscriber: Int64] = [:]
        var heardEnd: Int64 = .min
        /// Whether the newest event in the log is a join, and how long the member may have no lease after it.
        var isPresent = false
        var patientUntil: Int64 = .min
        var event: Cursor?
        var timeMilliseconds: Int64 = 0
        /// An event was given to the log, which is asked again after this time.
        var askedUntil: Int64 = .min
        /// When the lease is announced to the other processes again.
        var tellAt: Int64 = .min
        /// When the member was last present or reported, for forgetting it.
        var touched: Int64 = 0
        /// Whether it counts among the members that are present.
        var isCounted = false
        /// When it is examined next, as the queue has it.
        var checkAt: Int64 = .max

        func isLeased(_ now: Int64) -> Bool { held > 0 || graceEnd > now }

        func isHere(_ now: Int64) -> Bool {
            isLeased(now) || patientUntil > now || heardEnd > now
        }

        func counts(_ now: Int64) -> Bool { isPresent || isHere(now) }

        /// The event that the log lacks: a join (true), a leave (false) or none. A process reports its own members, and
        /// the leave of those for whom no process has a lease.
        func isJoinDue(_ now: Int64) -> Bool? {
            if isLeased(now) { return isPresent ? nil : true }
            return isPresent && !isHere(now) ? false : nil
        }

        var leaseCount: Int { leases.count + heard.count }
    }

    private struct Place {
        var members: Set<Member> = []
        /// The number of them that are present.
        var counted = 0
        /// Whether the log has an event of this channel, and so has room for more.
        var isInLog = false
    }

    private let bounds: PresenceBounds
    private var entries: [Key: Entry] = [:]
    private var places: [ChannelName: Place] = [:]
    /// The keys under which a subscriber has leases, in this process or another.
    private var keysOf: [Subscriber: Set<Key>] = [:]
    /// The numbers of all members that are present and of all leases, including those of other processes.
    package private(set) var counted = 0
    private var leaseCount = 0
    private var queue = DueQueue<Key>()
    /// The members whose events the log lacks, in the order in which that was noticed. Waiting here neither delays the
    /// announcement of leases nor keeps them from ending.
    private var unreported = WaitingLine<Key>()
    /// The log had no room for another channel's events: until this time it is asked for no further channel.
    private var noRoomUntil: Int64 = .min
    /// In microseconds: the time used up by the events so far, and the time at which the next one may be reported.
    private var spentUntil: Int64 = .min
    private var reportableAt: Int64 = .min
    /// Whether the events already in the log are known; nothing is reported before.
    package private(set) var isLoaded = false
    /// Whether there are other processes, to which the leases of this one are announced.
    private var tellsOthers = false

    /// How often processes announce their leases to each other.
    package static let tellMilliseconds: Int64 = 8000
    /// How long a member that left is remembered, so that an older announcement of another process does not make it
    /// join again.
    private static let forgetMilliseconds: Int64 = 60_000
    private static let askMilliseconds: Int64 = 5000
    /// How long the log is not asked for new channels after it had no room.
    private static let noRoomMilliseconds: Int64 = 30_000
    /// The most that are examined in one turn, so that publishers get their turn in between.
    private static let turn = 250

    package init(_ bounds: PresenceBounds = PresenceBounds()) { self.bounds = bounds }

    package var isEmpty: Bool { entries.isEmpty }

    /// The number of members known, including those that have left.
    package var entryCount: Int { entries.count }

    // MARK: Leases of this process

    package enum Attendance {
        /// The channel, or presence as a whole, is full, and this member is not included.
        case notTold
        /// This process had no lease of the member before: other processes need to be told.
        case news
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
        let key = Key(channel: channel, member: member)
        let places = isFurther ? bounds.members / 2 : bounds.members
        guard leaseCount < bounds.leases, mayCount(key, limits, of: places) else {
            return .notTold
        }
        var isNews = false
        change(key, subscriber ?? 0, now) { entry in
            isNews = !entry.isLeased(now)
            var lease = entry.leases[subscriber ?? 0] ?? Lease()
            (lease.held, lease.cameAt) = (lease.held + 1, cameAt)
            entry.leases[subscriber ?? 0] = lease
            entry.held += 1
            entry.patientUntil = .min
            entry.touched = now
            if isNews { entry.tellAt = now + Self.tellMilliseconds }
        }
        return isNews ? .news : .known
    }

    /// Records a request of the member that could wait, even if it is answered at once: it prolongs an existing
    /// presence.
    package mutating func asked(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber?,
        at cameAt: Int64 = 0,
        _ limits: PresenceLimits,
        now: Int64
    ) {
        let key = Key(channel: channel, member: member)
        guard let known = entries[key], known.isPresent || known.isLeased(now),
            known.leases[subscriber ?? 0] != nil || leaseCount < bounds.leases
        else { return }
        change(key, subscriber ?? 0, now) { entry in
            var lease = entry.leases[subscriber ?? 0] ?? Lease()
            (lease.until, lease.cameAt) = (now + limits.graceMilliseconds, cameAt)
            entry.leases[subscriber ?? 0] = lease
            entry.graceEnd = max(entry.graceEnd, lease.until)
            entry.touched = now
        }
    }

    /// Records that a held request of the member has ended.
    package mutating func released(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber?,
        _ limits: PresenceLimits?,
        now: Int64
    ) {
        let key = Key(channel: channel, member: member)
        guard var lease = entries[key]?.leases[subscriber ?? 0], lease.held > 0 else { return }
        lease.held -= 1
        lease.until = now + (limits?.graceMilliseconds ?? 0)
        change(key, subscriber ?? 0, now) { entry in
            entry.leases[subscriber ?? 0] = lease
            entry.held -= 1
            entry.graceEnd = max(entry.graceEnd, lease.until)
            entry.touched = now
        }
    }

    /// Records that the subscriber leaves: its held requests are ended elsewhere, and its grace period is over,
    /// including that in other processes; unless it has come again since.
    package mutating func left(subscriber: Subscriber, at time: Int64 = .max, now: Int64) {
        for key in (keysOf[subscriber] ?? []).sorted() {
            guard let entry = entries[key], (entry.leases[subscriber]?.cameAt ?? 0) < time else {
                continue
            }
            change(key, subscriber, now) { entry in
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

    // MARK: Other processes

    /// Sets whether there are other processes. New ones are told of all leases of this process.
    package mutating func tellOthers(_ tells: Bool, now: Int64) {
        guard tells != tellsOthers else { return }
        tellsOthers = tells
        guard tells else { return }
        for key in entries.keys.sorted() where entries[key]?.isLeased(now) == true {
            entries[key]?.tellAt = now
            schedule(key, now)
        }
    }

    /// Records that another process has a lease of the member; it expires unless that process repeats it.
    package mutating func heard(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber,
        _ limits: PresenceLimits,
        now: Int64
    ) {
        let key = Key(channel: channel, member: member)
        guard mayCount(key, limits, of: bounds.members) else { return }
        let until = now + limits.graceMilliseconds + 2 * Self.tellMilliseconds
        let hasRoom = leaseCount < 2 * bounds.leases || entries[key]?.heard[subscriber] != nil
        change(key, subscriber, now) { entry in
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

    // MARK: Events from the log

    /// Forgets all events, because the log was replaced, or this process has just started.
    package mutating func forgetEvents(now: Int64) {
        isLoaded = false
        for key in entries.keys.sorted() {
            change(key, 0, now) { ($0.event, $0.isPresent) = (nil, false) }
        }
    }

    /// Records a join or leave that was committed or found in the history; an event older than the known one changes
    /// nothing.
    package mutating func told(
        _ member: Member,
        on channel: ChannelName,
        isJoin: Bool,
        id: Cursor,
        timeMilliseconds: Int64,
        _ limits: PresenceLimits?,
        now: Int64
    ) {
        let key = Key(channel: channel, member: member)
        if let event = entries[key]?.event, event.epoch == id.epoch, event.offset >= id.offset {
            return
        }
        change(key, 0, now) { entry in
            (entry.event, entry.isPresent) = (id, isJoin)
            entry.timeMilliseconds = timeMilliseconds
            entry.askedUntil = .min
            entry.touched = now
            // A process with a lease will announce it soon; if none does, the member left unnoticed.
            if isJoin, !entry.isHere(now) {
                entry.patientUntil =
                    now + (limits?.graceMilliseconds ?? 0) + 2 * Self.tellMilliseconds
            }
        }
        places[channel]?.isInLog = true
    }

    /// The log did not take the event, which is then reported later and does not count against the rate.
    ///
    /// - Parameter hasNoPlace: whether the log has no room for another channel, and would have none for others either.
    package mutating func refused(_ event: PresenceEvent, hasNoPlace: Bool, now: Int64) {
        spentUntil -= interval
        guard hasNoPlace else { return }
        let until = now + Self.noRoomMilliseconds
        noRoomUntil = until
        places[event.channel]?.isInLog = false
        let key = Key(channel: event.channel, member: event.member)
        guard entries[key] != nil else { return }
        change(key, 0, now) { $0.askedUntil = until }
    }

    /// Records that all events in the log have been read.
    package mutating func loaded() { isLoaded = true }

    /// The members that are present, in the order in which they joined.
    package func members(of channel: ChannelName) -> [(member: Member, sinceMilliseconds: Int64)] {
        (places[channel]?.members ?? [])
            .compactMap { member in
                entries[Key(channel: channel, member: member)].flatMap { entry in
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

    /// When something is due next; `.max` if nothing becomes due by itself.
    package var nextLook: Int64 {
        guard isLoaded else { return .max }
        return min(queue.first?.at ?? .max, unreported.isEmpty ? .max : reportableAt)
    }

    /// Examines the members for which something is due.
    package mutating func due(now: Int64) -> Due {
        var due = Due()
        guard isLoaded else { return due }
        for _ in 0..<Self.turn {
            guard let (at, key) = queue.first, at <= now else { break }
            queue.removeFirst()
            // Skips members that were given an earlier time, or are gone.
            guard let entry = entries[key], entry.checkAt == at else { continue }
            entries[key]?.checkAt = .max
            if entry.isJoinDue(now) != nil, entry.askedUntil <= now { unreported.append(key) }
            tidy(key, now)
            let isTelling = tellsOthers && entry.tellAt <= now && entry.isLeased(now)
            change(key, 0, now) { entry in
                // All in the same second, so that the others receive many at a time.
                if isTelling { entry.tellAt = (now + Self.tellMilliseconds) / 1000 * 1000 }
            }
            if isTelling {
                let leases = (entries[key]?.leases ?? [:]).sorted { $0.key < $1.key }
                due.leases += leases.map {
                    (key.channel, key.member, $0.key)
                }
            }
            forgetIfAbsent(key, now)
        }
        due.events = takeEvents(now)
        return due
    }

    /// The events to report now, in the order in which they were noticed.
    private mutating func takeEvents(_ now: Int64) -> [PresenceEvent] {
        var events: [PresenceEvent] = []
        for _ in 0..<Self.turn {
            guard let key = unreported.first else { break }
            guard let entry = entries[key], let isJoin = entry.isJoinDue(now) else {
                unreported.remove(key)
                continue
            }
            let hasPlace = now >= noRoomUntil || places[key.channel]?.isInLog == true
            guard !hasPlace || mayReport(now) else { break }
            unreported.remove(key)
            let askedUntil = hasPlace ? now + Self.askMilliseconds : noRoomUntil
            change(key, 0, now) { $0.askedUntil = askedUntil }
            guard hasPlace else { continue }
            events.append(
                PresenceEvent(
                    key.channel,
                    key.member,
                    isJoin: isJoin,
                    after: entry.event,
                    now: now
                )
            )
        }
        return events
    }

    /// The time between two events at the full rate, in microseconds.
    private var interval: Int64 { PresenceBounds.eventsMilliseconds * 1000 / Int64(bounds.events) }

    /// Whether one more event may be reported now; if so, counts it.
    private mutating func mayReport(_ now: Int64) -> Bool {
        let microseconds = now * 1000
        let next = max(spentUntil, microseconds - Int64(bounds.burst) * interval) + interval
        guard next <= microseconds else {
            reportableAt = next / 1000 + 1
            return false
        }
        spentUntil = next
        return true
    }

    // MARK: The table

    /// Whether the member counts as present, or may.
    private func mayCount(_ key: Key, _ limits: PresenceLimits, of places: Int) -> Bool {
        if entries[key]?.isCounted == true { return true }
        return counted < places && (self.places[key.channel]?.counted ?? 0) < limits.members
    }

    /// Changes the entry of a member, creating it if necessary, and schedules its next examination.
    ///
    /// - Parameter subscriber: the one whose lease this may add or remove; 0 for subscribers without an id.
    private mutating func change(
        _ key: Key,
        _ subscriber: Subscriber,
        _ now: Int64,
        _ body: (inout Entry) -> Void
    ) {
        var entry = entries.removeValue(forKey: key) ?? Entry()
        let before = entry.leaseCount
        body(&entry)
        leaseCount += entry.leaseCount - before
        if subscriber != 0 {
            if entry.leases[subscriber] != nil || entry.heard[subscriber] != nil {
                keysOf[subscriber, default: []].insert(key)
            } else {
                unlink(subscriber, key)
            }
        }
        let counts = entry.counts(now)
        places[key.channel, default: Place()].members.insert(key.member)
        if counts != entry.isCounted {
            entry.isCounted = counts
            counted += counts ? 1 : -1
            places[key.channel]?.counted += counts ? 1 : -1
        }
        if entry.isJoinDue(now) == nil { unreported.remove(key) }
        let look = nextLook(entry, isUnreported: unreported.contains(key), now)
        if look < entry.checkAt {
            entry.checkAt = look
            queue.insert(key, at: look)
        }
        entries[key] = entry
    }

    private func nextLook(_ entry: Entry, isUnreported: Bool, _ now: Int64) -> Int64 {
        var at = Int64.max
        if !isUnreported, entry.isJoinDue(now) != nil { at = max(now, entry.askedUntil) }
        for end in [entry.graceEnd, entry.heardEnd, entry.patientUntil] where end > now {
            at = min(at, end)
        }
        if tellsOthers, entry.isLeased(now) { at = min(at, max(now, entry.tellAt)) }
        if !entry.counts(now) { at = min(at, max(now, entry.touched + Self.forgetMilliseconds)) }
        return at
    }

    private mutating func schedule(_ key: Key, _ at: Int64) {
        guard at < entries[key]?.checkAt ?? .min else { return }
        entries[key]?.checkAt = at
        queue.insert(key, at: at)
    }

    /// Removes leases that are over.
    private mutating func tidy(_ key: Key, _ now: Int64) {
        guard let entry = entries[key] else { return }
        for (subscriber, lease) in entry.leases.sorted(by: { $0.key < $1.key })
        where lease.held == 0 && lease.until <= now {
            change(key, subscriber, now) { $0.leases[subscriber] = nil }
        }
        for (subscriber, until) in entry.heard.sorted(by: { $0.key < $1.key })
        where until <= now {
            change(key, subscriber, now) { $0.heard[subscriber] = nil }
        }
    }

    private mutating func unlink(_ subscriber: Subscriber, _ key: Key) {
        keysOf[subscriber]?.remove(key)
        if keysOf[subscriber]?.isEmpty == true { keysOf[subscriber] = nil }
    }

    /// Forgets a member that left a while ago, or at once if too many have left.
    private mutating func forgetIfAbsent(_ key: Key, _ now: Int64) {
        guard let entry = entries[key], !entry.isCounted, entry.leaseCount == 0,
            entry.touched + Self.forgetMilliseconds <= now
                || entries.count - counted > bounds.members
        else { return }
        entries[key] = nil
        places[key.channel]?.members.remove(key.member)
        if places[key.channel]?.members.isEmpty == true { places[key.channel] = nil }
    }
}
