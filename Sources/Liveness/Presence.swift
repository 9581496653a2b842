package import Channels

/// What the ini file says about the presence on a channel.
package struct PresenceLimits: Equatable, Sendable {
    /// How long somebody stays after his last request has ended.
    package var graceMilliseconds: Int64 = 15_000
    package var members = 1000

    package init() {}
}

/// What presence may take of the service in all, so that nobody who comes and goes takes it from the messages: a
/// sixteenth of the log. Further members are served, but not told of; further events are told when there is room again.
package struct PresenceBounds: Equatable, Sendable {
    /// On all channels together.
    package var members = 20_000
    /// Held requests by which they are there, those that have ended within the grace period, and those that others have.
    package var leases = 80_000
    /// Joins and leaves at once, and in the time that a leave is kept.
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

/// Somebody on a channel, by the name that others see.
package struct Member: Hashable, Sendable {
    private let exactName: ExactText
    /// The web server vouches for the name (HOLDFAST_USER, or REMOTE_USER where that is believed); else the client gave it
    /// itself. The same name is two members.
    package let isVerified: Bool

    /// At most `nameByteLimit` bytes, without control characters.
    package var name: String { exactName.text }

    package static let nameByteLimit = 128

    package init(name: String, isVerified: Bool) {
        exactName = ExactText(name)
        self.isVerified = isVerified
    }

    /// One text for both, in which the log replaces a member's earlier event by his newer one.
    package var topic: String { (isVerified ? "user " : "name ") + name }

    /// Nil where it is not one.
    package init?(topic: String) {
        // By bytes: a name may begin with what joins on to the blank before it.
        let isVerified = topic.utf8.starts(with: "user ".utf8)
        guard isVerified || topic.utf8.starts(with: "name ".utf8) else { return nil }
        self.init(
            name: String(topic[topic.utf8.index(topic.startIndex, offsetBy: 5)...]),
            isVerified: isVerified
        )
    }
}

/// That a member came or left, as the log is to be told.
package struct PresenceEvent: Equatable, Sendable {
    package let channel: ChannelName
    package let member: Member
    package let isJoin: Bool
    /// Whoever notices the same change gives it the same key, so that the log takes it once: it names the member's event
    /// before this one, or else the moment, to ten seconds.
    package let key: String

    init(_ channel: ChannelName, _ member: Member, isJoin: Bool, after event: Cursor?, now: Int64) {
        self.channel = channel
        self.member = member
        self.isJoin = isJoin
        let before = event.map { "\($0)" } ?? "none, \(now / 10_000)"
        key = "\(isJoin ? "join" : "leave") after \(before): \(member.topic)"
    }
}

/// Who is on which channel. Pure: time comes in as milliseconds of a clock that does not go back and is the same for all
/// processes of the machine.
///
/// A member is here while he has a lease: a held request, or one that ended less than the grace period ago, in this
/// process or in another one, which says so now and then. That he came or left is a message in the log, which all
/// processes read in one order; `members(of:)` is what these messages make together. A process that notices that the
/// two differ appends what is missing, and the log takes it once however many notice.
///
/// Only a request that is held makes somebody a member: what it costs to be one is bounded by the bounds on held requests
/// first, and then by `PresenceBounds`. Each member is looked at when something of his is due, and else never.
package struct Presence: Sendable {
    /// By a subscriber's id; 0 stands for those without one.
    package typealias Subscriber = UInt64

    private struct Key: Hashable {
        let channel: ChannelName
        let member: Member
    }

    private struct Lease {
        /// Held requests.
        var held = 0
        /// The grace period's end.
        var until: Int64 = .min
        /// When its newest request came, by the clock that leaving goes by.
        var cameAt: Int64 = 0
    }

    private struct Entry {
        /// Of this process; all their held requests; and when the last of their grace periods ends.
        var leases: [Subscriber: Lease] = [:]
        var held = 0
        var graceEnd: Int64 = .min
        /// Of other processes, until when what they said is good; and until when the last of it is.
        var heard: [Subscriber: Int64] = [:]
        var heardEnd: Int64 = .min
        /// Whether the newest event that the log told is a join, and how long he may be unheard of after it.
        var isPresent = false
        var patientUntil: Int64 = .min
        var event: Cursor?
        var timeMilliseconds: Int64 = 0
        /// An event was given to the log, which is asked again after this moment.
        var askedUntil: Int64 = .min
        /// When the other processes are told again.
        var tellAt: Int64 = .min
        /// When he was last here or told of, for forgetting.
        var touched: Int64 = 0
        /// Counted among those who are here.
        var isCounted = false
        /// When he is looked at, as the queue has it.
        var lookAt: Int64 = .max

        func isLeased(_ now: Int64) -> Bool { held > 0 || graceEnd > now }

        func isHere(_ now: Int64) -> Bool {
            isLeased(now) || patientUntil > now || heardEnd > now
        }

        func counts(_ now: Int64) -> Bool { isPresent || isHere(now) }

        /// What the log should be told. A process speaks for those it has itself, and for those whom nobody has any more.
        func isJoinDue(_ now: Int64) -> Bool? {
            if isLeased(now) { return isPresent ? nil : true }
            return isPresent && !isHere(now) ? false : nil
        }

        var leaseCount: Int { leases.count + heard.count }
    }

    private struct Place {
        var members: Set<Member> = []
        /// Those of them who are here.
        var counted = 0
        /// The log has told an event of it, and so has a place for more.
        var isInLog = false
    }

    private let bounds: PresenceBounds
    private var entries: [Key: Entry] = [:]
    private var places: [ChannelName: Place] = [:]
    /// Where a subscriber has leases, in this process or another.
    private var keysOf: [Subscriber: Set<Key>] = [:]
    /// All those who are here, and all leases, of others too.
    package private(set) var counted = 0
    private var leaseCount = 0
    private var queue = DueQueue<Key>()
    /// Those of whom the log has to be told, in the order in which that was noticed. Whoever waits here for his turn keeps
    /// nobody's lease from being told or from ending.
    private var untold = WaitingLine<Key>()
    /// The log had no place for a channel's events: until then it is asked for no further one.
    private var placelessUntil: Int64 = .min
    /// In microseconds: what the events so far have used up, and from when on the next one may be told.
    private var spentUntil: Int64 = .min
    private var tellableAt: Int64 = .min
    /// Whether what the log has told before this process came is known; nothing is said before.
    package private(set) var isLoaded = false
    /// Whether there are other processes, which are told whom this one has.
    private var tellsOthers = false

    /// How often processes tell each other whom they have.
    package static let tellMilliseconds: Int64 = 8000
    /// How long somebody who has left is remembered, so that nobody's older news makes him come again.
    private static let forgetMilliseconds: Int64 = 60_000
    private static let askMilliseconds: Int64 = 5000
    /// How long the log is not asked for places after it had none.
    private static let placelessMilliseconds: Int64 = 30_000
    /// So many are looked at in one turn, so that publishers get theirs between them.
    private static let turn = 250

    package init(_ bounds: PresenceBounds = PresenceBounds()) { self.bounds = bounds }

    package var isEmpty: Bool { entries.isEmpty }

    /// Members on channels that something is known of, also of those who have left.
    package var entryCount: Int { entries.count }

    // MARK: Leases of this process

    package enum Attendance {
        /// The channel, or all, have their full number, and he is not among them.
        case notTold
        /// Nobody here spoke of him before: other processes need to be told.
        case news
        case known
    }

    /// A request of his is held now.
    ///
    /// - Parameters:
    ///   - cameAt: when it came, by the clock that leaving goes by.
    ///   - isFurther: the request is counted on another channel already. Such places are had only while half of all are
    ///     free, so that few requests of many channels do not take them all.
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

    /// A request of his that would wait has come, and may be answered at once: who is there already stays.
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

    /// A held request of his has ended.
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

    /// He said that he leaves: what he still holds is ended by others, and the grace period is over, also that of other
    /// processes. Not where he has come again since.
    package mutating func left(subscriber: Subscriber, at time: Int64 = .max, now: Int64) {
        for key in keysOf[subscriber] ?? [] {
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

    // MARK: What others say

    /// Whether there are others now. Those who have just come are told of all leases of this process.
    package mutating func tellOthers(_ tells: Bool, now: Int64) {
        guard tells != tellsOthers else { return }
        tellsOthers = tells
        guard tells else { return }
        for (key, entry) in entries where entry.isLeased(now) {
            entries[key]?.tellAt = now
            schedule(key, now)
        }
    }

    /// Another process has him. It will say so again, or he is gone.
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
                // He is there, whoever of his says so.
                entry.patientUntil = max(entry.patientUntil, until)
                return
            }
            entry.heard[subscriber] = until
            entry.heardEnd = max(entry.heardEnd, until)
            entry.patientUntil = .min
        }
    }

    // MARK: What the log says

    /// Another log has taken the place of the one before, or this process has just begun.
    package mutating func forgetEvents(now: Int64) {
        isLoaded = false
        for key in Array(entries.keys) {
            change(key, 0, now) { ($0.event, $0.isPresent) = (nil, false) }
        }
    }

    /// A join or a leave was committed, or found in the history; older than what is known, it changes nothing.
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
            // Whoever else has him will say so soon; if nobody does, he left unnoticed.
            if isJoin, !entry.isHere(now) {
                entry.patientUntil =
                    now + (limits?.graceMilliseconds ?? 0) + 2 * Self.tellMilliseconds
            }
        }
        places[channel]?.isInLog = true
    }

    /// The log has not taken the event, which is told later and has used up nothing.
    ///
    /// - Parameter hasNoPlace: it has none for a channel more, and would have none for others either.
    package mutating func refused(_ event: PresenceEvent, hasNoPlace: Bool, now: Int64) {
        spentUntil -= interval
        guard hasNoPlace else { return }
        let until = now + Self.placelessMilliseconds
        placelessUntil = until
        places[event.channel]?.isInLog = false
        let key = Key(channel: event.channel, member: event.member)
        guard entries[key] != nil else { return }
        change(key, 0, now) { $0.askedUntil = until }
    }

    /// All that the log knew has been told.
    package mutating func loaded() { isLoaded = true }

    /// Those who are there, in the order they came.
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

    // MARK: What is due

    package struct Due {
        /// What the log has to be given now. Each is named again if the log has not told it after a while.
        package fileprivate(set) var events: [PresenceEvent] = []
        /// Whom the other processes have to be told of.
        package fileprivate(set) var leases:
            [(channel: ChannelName, member: Member, subscriber: Subscriber)] = []
    }

    /// When to look next; `.max` where nothing is going to be due by itself.
    package var nextLook: Int64 {
        guard isLoaded else { return .max }
        return min(queue.first?.at ?? .max, untold.isEmpty ? .max : tellableAt)
    }

    /// Looks at those of whom something is due.
    package mutating func due(now: Int64) -> Due {
        var due = Due()
        guard isLoaded else { return due }
        for _ in 0..<Self.turn {
            guard let (at, key) = queue.first, at <= now else { break }
            queue.removeFirst()
            // Those that were given an earlier place in the queue, or are gone.
            guard let entry = entries[key], entry.lookAt == at else { continue }
            entries[key]?.lookAt = .max
            if entry.isJoinDue(now) != nil, entry.askedUntil <= now { untold.append(key) }
            tidy(key, now)
            let isTelling = tellsOthers && entry.tellAt <= now && entry.isLeased(now)
            change(key, 0, now) { entry in
                // All in the same second, so that the others hear of many at a time.
                if isTelling { entry.tellAt = (now + Self.tellMilliseconds) / 1000 * 1000 }
            }
            if isTelling {
                due.leases += (entries[key]?.leases ?? [:]).map {
                    (key.channel, key.member, $0.key)
                }
            }
            forgetIfAbsent(key, now)
        }
        due.events = takeEvents(now)
        return due
    }

    /// What is told now of those who wait to be told of: who came first is the first.
    private mutating func takeEvents(_ now: Int64) -> [PresenceEvent] {
        var events: [PresenceEvent] = []
        for _ in 0..<Self.turn {
            guard let key = untold.first else { break }
            guard let entry = entries[key], let isJoin = entry.isJoinDue(now) else {
                untold.remove(key)
                continue
            }
            let hasPlace = now >= placelessUntil || places[key.channel]?.isInLog == true
            guard !hasPlace || mayTell(now) else { break }
            untold.remove(key)
            let askedUntil = hasPlace ? now + Self.askMilliseconds : placelessUntil
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

    /// In microseconds: one event more is told so much later.
    private var interval: Int64 { PresenceBounds.eventsMilliseconds * 1000 / Int64(bounds.events) }

    /// Whether one more event is told now.
    private mutating func mayTell(_ now: Int64) -> Bool {
        let microseconds = now * 1000
        let next = max(spentUntil, microseconds - Int64(bounds.burst) * interval) + interval
        guard next <= microseconds else {
            tellableAt = next / 1000 + 1
            return false
        }
        spentUntil = next
        return true
    }

    // MARK: The table

    /// Whether the member is one of those who are here, or may become one.
    private func mayCount(_ key: Key, _ limits: PresenceLimits, of places: Int) -> Bool {
        if entries[key]?.isCounted == true { return true }
        return counted < places && (self.places[key.channel]?.counted ?? 0) < limits.members
    }

    /// Changes what is known of a member, who is made if need be, and sees to it that he is looked at in time.
    ///
    /// - Parameter subscriber: the one whose lease may come or go by this; 0: nobody's but that of those without an id.
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
        if entry.isJoinDue(now) == nil { untold.remove(key) }
        let look = nextLook(entry, isUntold: untold.contains(key), now)
        if look < entry.lookAt {
            entry.lookAt = look
            queue.insert(key, at: look)
        }
        entries[key] = entry
    }

    private func nextLook(_ entry: Entry, isUntold: Bool, _ now: Int64) -> Int64 {
        var at = Int64.max
        if !isUntold, entry.isJoinDue(now) != nil { at = max(now, entry.askedUntil) }
        for end in [entry.graceEnd, entry.heardEnd, entry.patientUntil] where end > now {
            at = min(at, end)
        }
        if tellsOthers, entry.isLeased(now) { at = min(at, max(now, entry.tellAt)) }
        if !entry.counts(now) { at = min(at, max(now, entry.touched + Self.forgetMilliseconds)) }
        return at
    }

    private mutating func schedule(_ key: Key, _ at: Int64) {
        guard at < entries[key]?.lookAt ?? .min else { return }
        entries[key]?.lookAt = at
        queue.insert(key, at: at)
    }

    /// Takes out what is over.
    private mutating func tidy(_ key: Key, _ now: Int64) {
        guard let entry = entries[key] else { return }
        for (subscriber, lease) in entry.leases where lease.held == 0 && lease.until <= now {
            change(key, subscriber, now) { $0.leases[subscriber] = nil }
        }
        for (subscriber, until) in entry.heard where until <= now {
            change(key, subscriber, now) { $0.heard[subscriber] = nil }
        }
    }

    private mutating func unlink(_ subscriber: Subscriber, _ key: Key) {
        keysOf[subscriber]?.remove(key)
        if keysOf[subscriber]?.isEmpty == true { keysOf[subscriber] = nil }
    }

    /// Forgets who has left a while ago, or where too many have left, at once.
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
