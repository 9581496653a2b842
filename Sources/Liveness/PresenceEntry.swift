internal import Channels

/// A member on a channel.
struct MemberKey: Hashable, Comparable {
    let channel: ChannelName
    let member: Member

    /// An order that is the same in every process and run: what is gone through decides what is told first.
    static func < (a: MemberKey, b: MemberKey) -> Bool {
        (a.channel.text, a.member.topic) < (b.channel.text, b.member.topic)
    }
}

/// What makes a member present on behalf of one subscriber of this process.
struct Lease: Sendable {
    /// The number of held requests.
    var held = 0
    /// The end of the grace period.
    var until: Int64 = .min
    /// The arrival of its newest request, by the clock that leaving uses.
    var cameAt: Int64 = 0
}

/// All that is known of a member of a channel.
struct PresenceEntry: Sendable {
    /// The leases of this process; the sum of their held requests; and the end of the last of their grace periods.
    var leases: [Presence.Subscriber: Lease] = [:]
    var held = 0
    var graceEnd: Int64 = .min
    /// The leases of other processes with the time until which each is valid, and the last of these times.
    var heard: [Presence.Subscriber: Int64] = [:]
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

    /// When the entry is examined next.
    ///
    /// - Parameters:
    ///   - isUnreported: whether its event waits to be reported already.
    ///   - isTold: whether its leases are announced to other processes.
    func nextLook(isUnreported: Bool, isTold: Bool, now: Int64) -> Int64 {
        var at = Int64.max
        if !isUnreported, isJoinDue(now) != nil { at = max(now, askedUntil) }
        for end in [graceEnd, heardEnd, patientUntil] where end > now { at = min(at, end) }
        if isTold, isLeased(now) { at = min(at, max(now, tellAt)) }
        if !counts(now) { at = min(at, max(now, touched + Self.forgetMilliseconds)) }
        return at
    }

    /// How long a member that left is remembered, so that an older announcement of another process does not make it
    /// join again.
    static let forgetMilliseconds: Int64 = 60_000
}
