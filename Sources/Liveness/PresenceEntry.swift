internal import Channels

/// A member on a channel.
struct MemberKey: Hashable, Comparable {
    let channel: ChannelName
    let member: Member

    /// An order that is the same in every process and run: events are reported in the order in which members are
    /// visited.
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

    func isValid(_ now: Int64) -> Bool { held > 0 || until > now }
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
    /// When it joined.
    var timeMilliseconds: Int64 = 0
    /// If several machines share the log: those that have the member, by the event. The first one reports when it no
    /// longer has it.
    var machines: [MachineID] = []
    /// Those that had it by events before, of which the machine that told the newest one did not know: where a member
    /// comes to two machines at once, each tells that it is there alone; and one is told again while it comes to another.
    var rivals: [MachineID] = []
    /// The newest event does not follow the one that was known before. A leave that follows that one may be on its way, so
    /// until this time no other is reported, for the log would take both.
    var unsettledUntil: Int64 = .min
    /// The offset up to which a machine's log lacked events when this one was told again or did not have to be; once
    /// for each, whatever the outcome.
    var toldThrough = Offset.start
    /// The log was given an event, and gets it again only after this time.
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

    func isHere(_ now: Int64) -> Bool { isExpected(now) || unsettledUntil > now }

    /// Some process has a lease, or is about to announce one.
    func isExpected(_ now: Int64) -> Bool {
        isLeased(now) || max(patientUntil, heardEnd) > now
    }

    func counts(_ now: Int64) -> Bool { isPresent || isHere(now) }

    /// The event that the log lacks, if any. A process reports its own members, and the leave of those for whom no
    /// process has a lease.
    func change(_ now: Int64, _ site: SiteMachines?) -> PresenceChange? {
        if let site { return change(now, site) }
        if isLeased(now) { return isPresent ? nil : .join([]) }
        return isPresent && !isHere(now) ? .leave : nil
    }

    /// The same if several machines share the log: each judges its own members.
    ///
    /// A machine also adds itself to the machines that have a member when it has the member, too. Only the first of
    /// them removes itself when it no longer has the member: so a client that moves to and fro costs few events, and
    /// the next machine that becomes the first judges in its turn. A machine that the engine has lost is removed by
    /// others.
    private func change(_ now: Int64, _ site: SiteMachines) -> PresenceChange? {
        if isLeased(now) {
            if !isPresent { return .join([site.own]) }
            if !machines.contains(site.own) {
                let others = (machines + rivals).filter { $0 != site.own && !site.hasLost($0) }
                return .join(others + [site.own])
            }
        } else if isPresent, !isHere(now) {
            let others = (machines + rivals).drop { $0 == site.own || site.hasLost($0) }
            if others.isEmpty { return .leave }
            if others.first != machines.first {
                return .join(others.filter { $0 != site.own && !site.hasLost($0) })
            }
        }
        // Some machine's log lacks the event: the first machine tells it again, or any that knows it if the first does
        // not.
        guard isPresent, let event, event.offset <= site.lacking, toldThrough != site.lacking,
            let first = machines.first, first == site.own || !site.has(event.offset, at: first)
        else { return nil }
        return .join(machines)
    }

    var leaseCount: Int { leases.count + heard.count }

    /// When the entry is examined next.
    ///
    /// - Parameters:
    ///   - isUnreported: whether its event waits to be reported already.
    ///   - isTold: whether its leases are announced to other processes.
    func nextLook(isUnreported: Bool, isTold: Bool, _ site: SiteMachines?, now: Int64) -> Int64 {
        var at = Int64.max
        if !isUnreported, change(now, site) != nil { at = max(now, askedUntil) }
        for end in [graceEnd, heardEnd, patientUntil, unsettledUntil] where end > now {
            at = min(at, end)
        }
        if isTold, isLeased(now) { at = min(at, max(now, tellAt)) }
        if !counts(now) { at = min(at, max(now, touched + Self.forgetMilliseconds)) }
        return at
    }

    /// How long a member that left is remembered, so that an older announcement of another process does not make it
    /// join again.
    static let forgetMilliseconds: Int64 = 60_000
}

/// What the log is to be told of a member.
enum PresenceChange: Equatable {
    /// It is present; on these machines if several share the log.
    case join([MachineID])
    case leave
}
