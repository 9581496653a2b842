internal import Channels

/// The members of a channel.
private struct Place: Sendable {
    var members: Set<Member> = []
    /// The number of them that are present.
    var counted = 0
    /// Whether the log has an event of this channel, and so has room for more.
    var isInLog = false
}

/// The members of all channels with what is known of each, and the order in which they are examined.
///
/// An entry is changed by `change` alone, which keeps the sums and the times of examination right.
struct MemberTable: Sendable {
    private var entries: [MemberKey: PresenceEntry] = [:]
    private var places: [ChannelName: Place] = [:]
    /// The keys under which a subscriber has leases, in this process or another.
    private var keysOf: [Presence.Subscriber: Set<MemberKey>] = [:]
    /// The numbers of all members that are present and of all leases, including those of other processes.
    private(set) var counted = 0
    private(set) var leaseCount = 0
    private var queue = DueQueue<MemberKey>()
    /// The members whose events the log lacks, in the order in which that was noticed. Waiting here neither delays the
    /// announcement of leases nor keeps them from ending.
    private var unreported = WaitingLine<MemberKey>()
    /// Whether there are other processes, to which the leases of this one are announced.
    private(set) var tellsOthers = false
    /// Nil: this machine has the log for itself.
    private(set) var site: SiteMachines?
    /// Not more than this many members that have left are remembered.
    private let mostAbsent: Int

    init(mostAbsent: Int) { self.mostAbsent = mostAbsent }

    var isEmpty: Bool { entries.isEmpty }

    /// The number of members known, including those that have left.
    var count: Int { entries.count }

    subscript(key: MemberKey) -> PresenceEntry? { entries[key] }

    /// All members known, in an order that is the same in every process.
    var sortedKeys: [MemberKey] { entries.keys.sorted() }

    /// Those with a grace period of this process that is not over, in that order.
    func keys(inGraceAt now: Int64) -> [MemberKey] {
        entries.filter { $0.value.graceEnd > now }.keys.sorted()
    }

    /// The members that have leases of this subscriber.
    func sortedKeys(of subscriber: Presence.Subscriber) -> [MemberKey] {
        (keysOf[subscriber] ?? []).sorted()
    }

    func members(of channel: ChannelName) -> Set<Member> { places[channel]?.members ?? [] }

    // MARK: The log

    /// Whether the log has an event of this channel, and so has room for more.
    func isInLog(_ channel: ChannelName) -> Bool { places[channel]?.isInLog == true }

    mutating func setInLog(_ isInLog: Bool, _ channel: ChannelName) {
        places[channel]?.isInLog = isInLog
    }

    // MARK: Due work

    /// When the next examination is due; `.max` without one.
    var nextLook: Int64 { queue.first?.at ?? .max }

    /// The next member to examine, which is then no longer due.
    mutating func takeDue(now: Int64) -> MemberKey? {
        while let (at, key) = queue.first, at <= now {
            queue.removeFirst()
            // Skips members that were given an earlier time, or are gone.
            guard entries[key]?.checkAt == at else { continue }
            entries[key]?.checkAt = .max
            return key
        }
        return nil
    }

    var hasUnreported: Bool { !unreported.isEmpty }

    var firstUnreported: MemberKey? { mutating get { unreported.first } }

    mutating func appendUnreported(_ key: MemberKey) { unreported.append(key) }

    mutating func removeUnreported(_ key: MemberKey) { unreported.remove(key) }

    /// Sets whether there are other processes, and makes the announcement of all leases due if there are.
    mutating func tellOthers(_ tells: Bool, now: Int64) {
        tellsOthers = tells
        guard tells else { return }
        for key in sortedKeys where entries[key]?.isLeased(now) == true {
            entries[key]?.tellAt = now
            guard now < entries[key]?.checkAt ?? .min else { continue }
            entries[key]?.checkAt = now
            queue.insert(key, at: now)
        }
    }

    /// Sets which machines share the log, after which any member may have to be examined.
    mutating func know(_ site: SiteMachines, now: Int64) {
        guard site != self.site else { return }
        self.site = site
        for key in sortedKeys { change(key, 0, now) { _ in } }
    }

    // MARK: Entries

    /// Whether the member counts as present, or may.
    func mayCount(_ key: MemberKey, _ limits: PresenceLimits, of places: Int) -> Bool {
        if entries[key]?.isCounted == true { return true }
        return counted < places && (self.places[key.channel]?.counted ?? 0) < limits.members
    }

    /// Changes the entry of a member, creating it if necessary, and schedules its next examination.
    ///
    /// - Parameter subscriber: the one whose lease this may add or remove; 0 for subscribers without an id.
    mutating func change(
        _ key: MemberKey,
        _ subscriber: Presence.Subscriber,
        _ now: Int64,
        _ body: (inout PresenceEntry) -> Void
    ) {
        var entry = entries.removeValue(forKey: key) ?? PresenceEntry()
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
        if entry.change(now, site) == nil { unreported.remove(key) }
        let look = entry.nextLook(
            isUnreported: unreported.contains(key),
            isTold: tellsOthers,
            site,
            now: now
        )
        if look < entry.checkAt {
            entry.checkAt = look
            queue.insert(key, at: look)
        }
        entries[key] = entry
    }

    /// Removes leases that are over.
    mutating func tidy(_ key: MemberKey, _ now: Int64) {
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

    private mutating func unlink(_ subscriber: Presence.Subscriber, _ key: MemberKey) {
        keysOf[subscriber]?.remove(key)
        if keysOf[subscriber]?.isEmpty == true { keysOf[subscriber] = nil }
    }

    /// Forgets a member that left a while ago; at once if too many have left.
    mutating func forgetIfAbsent(_ key: MemberKey, _ now: Int64) {
        guard let entry = entries[key], !entry.isCounted, entry.leaseCount == 0,
            entry.touched + PresenceEntry.forgetMilliseconds <= now
                || entries.count - counted > mostAbsent
        else { return }
        entries[key] = nil
        places[key.channel]?.members.remove(key.member)
        if places[key.channel]?.members.isEmpty == true { places[key.channel] = nil }
    }
}
