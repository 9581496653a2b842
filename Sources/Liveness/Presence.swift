package import Channels

/// What the ini file says about the presence on a channel.
package struct PresenceLimits: Equatable, Sendable {
    /// How long somebody stays after his last request has ended.
    package var graceMilliseconds: Int64 = 15_000
    package var members = 1000

    package init() {}
}

/// Somebody on a channel, by the name that others see.
package struct Member: Hashable, Sendable {
    /// At most `nameByteLimit` bytes, without control characters.
    package let name: String
    /// The web server vouches for the name (REMOTE_USER); else the client gave it itself. The same name is two members.
    package let isVerified: Bool

    package static let nameByteLimit = 128

    package init(name: String, isVerified: Bool) {
        self.name = name
        self.isVerified = isVerified
    }

    /// One text for both, in which the log replaces a member's earlier event by his newer one.
    package var topic: String { (isVerified ? "user " : "name ") + name }

    /// Nil where it is not one.
    package init?(topic: String) {
        guard topic.hasPrefix("user ") || topic.hasPrefix("name ") else { return nil }
        self.init(name: String(topic.dropFirst(5)), isVerified: topic.hasPrefix("user "))
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
        var until: Int64 = 0
        /// When its newest request came, by the clock that leaving goes by.
        var cameAt: Int64 = 0
    }

    private struct Entry {
        /// Of this process.
        var leases: [Subscriber: Lease] = [:]
        /// Of other processes, and until when what they said is good.
        var heard: [Subscriber: Int64] = [:]
        /// Whether the newest event that the log told is a join, and how long he may be unheard of after it.
        var isPresent = false
        var patientUntil: Int64 = .min
        var event: Cursor?
        var timeMilliseconds: Int64 = 0
        /// An event was given to the log, which is asked again after this moment.
        var askedUntil: Int64 = .min
        /// When he was last here or told of, for forgetting.
        var touched: Int64 = 0

        func isLeased(_ now: Int64) -> Bool {
            leases.values.contains { $0.held > 0 || $0.until > now }
        }

        func isHere(_ now: Int64) -> Bool {
            isLeased(now) || patientUntil > now || heard.values.contains { $0 > now }
        }

        func counts(_ now: Int64) -> Bool { isPresent || isHere(now) }
    }

    private var entries: [Key: Entry] = [:]
    private var membersOf: [ChannelName: Set<Member>] = [:]
    /// Where a subscriber has leases, in this process or another.
    private var keysOf: [Subscriber: Set<Key>] = [:]
    /// Whether what the log has told before this process came is known; nothing is said before.
    package private(set) var isLoaded = false

    /// How often processes tell each other whom they have.
    package static let tellMilliseconds: Int64 = 4000
    /// Longer than the log remembers keys.
    private static let forgetMilliseconds: Int64 = 600_000
    private static let askMilliseconds: Int64 = 5000

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    // MARK: Leases of this process

    /// A request of his has come. False where the channel has its full number and he is not among them.
    ///
    /// - Parameter cameAt: by the clock that leaving goes by.
    package mutating func came(
        _ member: Member,
        to channel: ChannelName,
        subscriber: Subscriber?,
        at cameAt: Int64 = 0,
        _ limits: PresenceLimits,
        now: Int64
    ) -> Bool {
        let key = Key(channel: channel, member: member)
        guard let place = entry(key, limits, now) else { return false }
        var entry = place
        let until = now + limits.graceMilliseconds
        entry.leases[subscriber ?? 0, default: Lease()].until = until
        entry.leases[subscriber ?? 0]?.cameAt = cameAt
        entry.patientUntil = .min
        entry.touched = now
        put(entry, key, subscriber ?? 0)
        return true
    }

    /// Whether other processes need to be told: nobody here spoke of him before.
    package func isNews(_ member: Member, on channel: ChannelName, now: Int64) -> Bool {
        entries[Key(channel: channel, member: member)]?.isLeased(now) != true
    }

    /// - Returns: false if he is not told of, since the channel was full when he came.
    @discardableResult
    package mutating func held(
        _ member: Member,
        on channel: ChannelName,
        subscriber: Subscriber?
    ) -> Bool {
        let key = Key(channel: channel, member: member)
        guard var entry = entries[key] else { return false }
        entry.leases[subscriber ?? 0, default: Lease()].held += 1
        put(entry, key, subscriber ?? 0)
        return true
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
        guard var lease = entries[key]?.leases[subscriber ?? 0] else { return }
        lease.held = max(0, lease.held - 1)
        lease.until = now + (limits?.graceMilliseconds ?? 0)
        entries[key]?.leases[subscriber ?? 0] = lease
        entries[key]?.touched = now
    }

    /// He said that he leaves: what he still holds is ended by others, and the grace period is over, also that of other
    /// processes. Returns whom that is about: not where he has come again since.
    package mutating func left(
        subscriber: Subscriber,
        at time: Int64 = .max
    ) -> [(channel: ChannelName, member: Member)] {
        let keys = (keysOf[subscriber] ?? []).filter {
            (entries[$0]?.leases[subscriber]?.cameAt ?? 0) < time
        }
        for key in keys {
            entries[key]?.leases[subscriber] = nil
            entries[key]?.heard[subscriber] = nil
            entries[key]?.patientUntil = .min
            unlink(subscriber, key)
        }
        return keys.map { ($0.channel, $0.member) }
    }

    // MARK: What others say

    /// All leases of this process.
    package func leased(
        now: Int64
    ) -> [(channel: ChannelName, member: Member, subscriber: Subscriber)] {
        entries.flatMap { key, entry in
            entry.leases.filter { $0.value.held > 0 || $0.value.until > now }
                .map { (key.channel, key.member, $0.key) }
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
        guard var entry = entry(key, limits, now) else { return }
        entry.heard[subscriber] = now + limits.graceMilliseconds + 2 * Self.tellMilliseconds
        entry.patientUntil = .min
        entry.touched = now
        put(entry, key, subscriber)
    }

    // MARK: What the log says

    /// Another log has taken the place of the one before, or this process has just begun.
    package mutating func forgetEvents() {
        isLoaded = false
        for key in entries.keys {
            entries[key]?.event = nil
            entries[key]?.isPresent = false
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
        var entry = entries[key] ?? Entry()
        if let event = entry.event, event.epoch == id.epoch, event.offset >= id.offset { return }
        entry.event = id
        entry.isPresent = isJoin
        entry.timeMilliseconds = timeMilliseconds
        entry.askedUntil = .min
        entry.touched = now
        // Whoever else has him will say so soon; if nobody does, he left unnoticed.
        if isJoin, !entry.isHere(now) {
            entry.patientUntil = now + (limits?.graceMilliseconds ?? 0) + 2 * Self.tellMilliseconds
        }
        put(entry, key, nil)
    }

    /// All that the log knew has been told.
    package mutating func loaded() { isLoaded = true }

    /// Those who are there, in the order they came.
    package func members(of channel: ChannelName) -> [(member: Member, sinceMilliseconds: Int64)] {
        (membersOf[channel] ?? [])
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

    // MARK: The difference

    /// Events that the log has to be given now. Each is named again if the log has not told it after a while.
    package mutating func due(now: Int64) -> [PresenceEvent] {
        var events: [PresenceEvent] = []
        for key in Array(entries.keys) {
            if let event = due(key.member, on: key.channel, now: now) { events.append(event) }
            tidy(key, now)
        }
        return events
    }

    /// The same about one.
    package mutating func due(
        _ member: Member,
        on channel: ChannelName,
        now: Int64
    ) -> PresenceEvent? {
        let key = Key(channel: channel, member: member)
        guard isLoaded, let entry = entries[key], entry.askedUntil <= now else { return nil }
        let isLeased = entry.isLeased(now)
        // A process speaks for those it has itself, and for those whom nobody has any more.
        guard isLeased && !entry.isPresent || entry.isPresent && !entry.isHere(now) else {
            return nil
        }
        entries[key]?.askedUntil = now + Self.askMilliseconds
        return PresenceEvent(channel, member, isJoin: isLeased, after: entry.event, now: now)
    }

    // MARK: The table

    /// The member's entry, or a new one where the channel has room.
    private mutating func entry(_ key: Key, _ limits: PresenceLimits, _ now: Int64) -> Entry? {
        if let known = entries[key] { return known }
        let all = membersOf[key.channel] ?? []
        guard all.count >= limits.members else { return Entry() }
        func isThere(_ member: Member) -> Bool {
            entries[Key(channel: key.channel, member: member)]?.counts(now) == true
        }
        let absent = all.filter { !isThere($0) }
        guard all.count - absent.count < limits.members else { return nil }
        // Those who have left are remembered for a while, but no more of them than can be there.
        if absent.count >= limits.members {
            for member in absent { forget(Key(channel: key.channel, member: member)) }
        }
        return Entry()
    }

    private mutating func put(_ entry: Entry, _ key: Key, _ subscriber: Subscriber?) {
        if entries.updateValue(entry, forKey: key) == nil {
            membersOf[key.channel, default: []].insert(key.member)
        }
        if let subscriber, subscriber != 0 { keysOf[subscriber, default: []].insert(key) }
    }

    private mutating func tidy(_ key: Key, _ now: Int64) {
        guard let entry = entries[key] else { return }
        for (subscriber, lease) in entry.leases where lease.held == 0 && lease.until <= now {
            entries[key]?.leases[subscriber] = nil
            unlink(subscriber, key)
        }
        for (subscriber, until) in entry.heard where until <= now {
            entries[key]?.heard[subscriber] = nil
            unlink(subscriber, key)
        }
        if !entry.counts(now), now - entry.touched > Self.forgetMilliseconds { forget(key) }
    }

    private mutating func unlink(_ subscriber: Subscriber, _ key: Key) {
        guard entries[key]?.leases[subscriber] == nil, entries[key]?.heard[subscriber] == nil else {
            return
        }
        keysOf[subscriber]?.remove(key)
        if keysOf[subscriber]?.isEmpty == true { keysOf[subscriber] = nil }
    }

    private mutating func forget(_ key: Key) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        for subscriber in Set(entry.leases.keys).union(entry.heard.keys) { unlink(subscriber, key) }
        membersOf[key.channel]?.remove(key.member)
        if membersOf[key.channel]?.isEmpty == true { membersOf[key.channel] = nil }
    }
}
