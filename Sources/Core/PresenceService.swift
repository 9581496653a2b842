internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness

/// Connects presence with held requests, the log and the other processes; `Liveness.Presence` defines what it means.
struct PresenceService {
    /// A question about presence to the log.
    enum Reading {
        /// The channels with events of presence, from a name on, in addition to those found so far.
        case channels([ChannelName], after: ChannelName?)
        /// The events of these channels, from a place on; further channels are read after them.
        case messages([ChannelName], from: HistoryStart, further: [ChannelName], Epoch)

        func question(_ ticket: Ticket) -> ReadRequest {
            switch self {
            case .channels(_, let last):
                .channels(ticket: ticket.number, .after(last, limit: 10_000))
            case .messages(let channels, let start, _, _):
                .history(
                    HistoryRequest(
                        ticket: ticket.number,
                        channels: channels,
                        start: start,
                        messageLimit: 1000,
                        byteLimit: 1 << 20
                    )
                )
            }
        }
    }

    /// Whether the log owes an answer to a reading. There is one at a time, however often the log is opened anew meanwhile.
    private enum Inquiry {
        case none
        case underWay
        /// The answer will be out of date: reading begins anew with it.
        case outdated
    }

    /// Channels on which a member is counted by one more request.
    struct Arrival {
        var channels: [ChannelName] = []
        /// Members that must be announced to the other processes.
        var newMembers: [PresentMember] = []
        /// The number of channels that were full.
        var untold = 0
    }

    private var presence: Presence
    private var rules: Rules
    /// The machines that share the log; nil: only this one, as far as this process knows.
    private var site: SiteMachines?
    /// Counts the times presence began anew: the log's answers to events of an earlier round are ignored.
    private(set) var round = 0
    private var inquiry = Inquiry.none
    /// Whether the log lacks events of other machines; nothing is reported until it has them.
    private var isBehind = false
    /// Monotonic milliseconds when the log's events are read again, after a failure.
    private(set) var readsAt: Int64 = .max
    /// Monotonic milliseconds when due work was last looked for.
    private var lookedAt: Int64 = .min / 2

    init(_ rules: Rules) {
        self.rules = rules
        presence = Presence(PresenceBounds(logBytes: rules.settings.bus.maxBytes))
    }

    /// The ini file was read again.
    ///
    /// - Parameter renews: its sections on presence have changed, so that presence begins anew.
    mutating func reload(_ rules: Rules, renews: Bool, now: Int64) {
        self.rules = rules
        guard renews else { return }
        presence = Presence(PresenceBounds(logBytes: rules.settings.bus.maxBytes))
        presence.isBehind = isBehind
        if let site { presence.know(site, now: now) }
        round += 1
    }

    /// Sets whether the log lacks events of other machines.
    mutating func setBehind(_ isBehind: Bool) {
        self.isBehind = isBehind
        presence.isBehind = isBehind
    }

    /// Sets which machines share the log.
    mutating func know(_ site: SiteMachines, now: Int64) {
        self.site = site
        presence.know(site, now: now)
    }

    var isLoaded: Bool { presence.isLoaded }
    var memberCount: Int { presence.counted }
    var isEmpty: Bool { presence.isEmpty }

    func members(of channel: ChannelName) -> [(member: Member, sinceMilliseconds: Int64)] {
        presence.members(of: channel)
    }

    // MARK: Requests

    /// A request that could wait has come, but may be answered at once: a member that is present stays so.
    ///
    /// - Returns: members that must be announced to the other processes.
    mutating func asked(
        _ origin: RequestOrigin,
        _ channels: [ChannelName],
        now: Int64
    ) -> [PresentMember] {
        guard let member = origin.member else { return [] }
        var new: [PresentMember] = []
        for channel in channels {
            guard let limits = rules.settings.presence(on: channel) else { continue }
            let isNew = presence.asked(
                member,
                on: channel,
                subscriber: origin.subscriber,
                at: origin.arrivedAt,
                limits,
                now: now
            )
            if isNew { new.append((channel, member, origin.subscriber ?? 0)) }
        }
        return new
    }

    /// A request is held. Nil if it has no member.
    mutating func attend(_ origin: RequestOrigin, _ channels: [ChannelName], now: Int64) -> Arrival?
    {
        guard let member = origin.member else { return nil }
        var arrival = Arrival()
        for channel in channels {
            guard let limits = rules.settings.presence(on: channel) else { continue }
            let attendance = presence.attends(
                member,
                on: channel,
                subscriber: origin.subscriber,
                at: origin.arrivedAt,
                isFurther: !arrival.channels.isEmpty,
                limits,
                now: now
            )
            switch attendance {
            case .leftOut: arrival.untold += 1
            case .known: arrival.channels.append(channel)
            case .new:
                arrival.channels.append(channel)
                arrival.newMembers.append((channel, member, origin.subscriber ?? 0))
            }
        }
        return arrival
    }

    /// Takes over the members that another process had present without a held request.
    mutating func resume(_ graces: [Presence.Grace], now: Int64) {
        for grace in graces {
            guard let limits = rules.settings.presence(on: grace.channel) else { continue }
            presence.resume(grace, limits, now: now)
        }
    }

    func graces(now: Int64) -> [Presence.Grace] { presence.graces(now: now) }

    /// A held request has ended.
    mutating func release(
        _ member: Member,
        _ channels: [ChannelName],
        _ subscriber: UInt64?,
        now: Int64
    ) {
        for channel in channels {
            presence.released(
                member,
                on: channel,
                subscriber: subscriber,
                rules.settings.presence(on: channel),
                now: now
            )
        }
    }

    /// A subscriber said that it leaves (monotonic nanoseconds).
    mutating func left(_ subscriber: UInt64, at time: Int64, now: Int64) {
        presence.left(subscriber: subscriber, at: time, now: now)
    }

    // MARK: Due work

    /// When something is due, at most twenty times a second, so that many members do not keep the loop busy.
    var nextLook: Int64 {
        let next = presence.nextLook
        return next == .max ? .max : max(next, lookedAt + 50)
    }

    /// Events for the log, and members for the other processes, that are due now.
    mutating func due(now: Int64) -> (appends: [(PresenceEvent, Draft)], members: [PresentMember]) {
        lookedAt = now
        let due = presence.due(now: now)
        return (due.events.compactMap { event in event.draft.map { (event, $0) } }, due.leases)
    }

    func append(_ event: PresenceEvent, _ draft: Draft, _ ticket: Ticket) -> Append {
        var append = Append(
            ticket: ticket.number,
            drafts: [draft],
            idempotency: IdempotencyKey(publisher: "presence", key: event.key)
        )
        append.takesLastPlaces = rules.settings.namesPresence(on: event.channel)
        return append
    }

    /// The log's answer to an event.
    ///
    /// - Returns: true if the log has no place for its channel.
    mutating func appended(_ event: PresenceEvent, _ outcome: AppendOutcome, now: Int64) -> Bool {
        switch outcome {
        case .committed, .repeated, .conflict: return false
        case .noMoreChannels:
            presence.refused(event, hasNoPlace: true, now: now)
            return true
        case .full, .logBusy, .unavailable, .overQuota:
            presence.refused(event, hasNoPlace: false, now: now)
            return false
        }
    }

    // MARK: The other processes

    /// Sets whether there are other processes to which members are announced.
    mutating func tellOthers(_ tells: Bool, now: Int64) { presence.tellOthers(tells, now: now) }

    mutating func heard(_ members: [PresentMember], now: Int64) {
        for (channel, member, subscriber) in members {
            guard let limits = rules.settings.presence(on: channel) else { continue }
            presence.heard(member, on: channel, subscriber: subscriber, limits, now: now)
        }
    }

    // MARK: The log

    /// Applies the joins and leaves among committed messages.
    ///
    /// - Returns: a channel on which another machine has members, and which no section here names.
    @discardableResult
    mutating func told(_ messages: [Message], now: Int64) -> ChannelName? {
        guard !rules.settings.presence.isEmpty || site != nil else { return nil }
        var unnamed: ChannelName?
        for message in messages where message.channel.isOwn {
            guard let member = message.topic.flatMap({ Member(topic: $0) }) else { continue }
            let channel = message.channel.subject
            guard let limits = rules.settings.presence(on: channel) else {
                if unnamed == nil, isElsewhere(message) { unnamed = channel }
                continue
            }
            let told = site.map { _ in PresenceEvent.told(by: message) }
            presence.told(
                member,
                on: channel,
                isJoin: message.type == "join",
                at: told?.machines ?? [],
                id: message.id,
                timeMilliseconds: told?.sinceMilliseconds ?? message.timeMilliseconds,
                isFurther: told?.sinceMilliseconds != nil,
                limits,
                now: now
            )
        }
        return unnamed
    }

    /// Whether it says that another machine has the member.
    private func isElsewhere(_ message: Message) -> Bool {
        guard let own = site?.own, message.type == "join" else { return false }
        return PresenceEvent.told(by: message).machines.contains { $0 != own }
    }

    /// Begins to read the log's events of members; at once, or after an answer that will be out of date. Until that is
    /// done, no event is reported.
    mutating func load(now: Int64) -> Reading? {
        readsAt = .max
        if inquiry != .none { inquiry = .outdated }
        guard !rules.settings.presence.isEmpty else { return nil }
        presence.forgetEvents(now: now)
        guard inquiry == .none else { return nil }
        // The greatest possible name of another channel: the channels of presence come after it.
        let last = try? ChannelName("z" + String(repeating: "~", count: ChannelName.byteLimit - 1))
        return .channels([], after: last)
    }

    /// The question was put to the log.
    mutating func asked() { inquiry = .underWay }

    /// The log has answered.
    ///
    /// - Returns: false if the answer is out of date: call `load`.
    mutating func answered() -> Bool {
        defer { inquiry = .none }
        return inquiry == .underWay
    }

    /// The log could not answer.
    mutating func loadLater(now: Int64) { readsAt = now + 5000 }

    /// What to read after a list of channels.
    mutating func listed(
        _ listing: ChannelListing,
        besides found: [ChannelName],
        _ epoch: Epoch
    ) -> Reading? {
        let channels = found + listing.entries.map(\.name).filter(\.isOwn)
        return listing.next.map { .channels(channels, after: $0) } ?? read(channels, epoch)
    }

    /// What to read after a part of the events of these channels.
    mutating func read(
        _ page: HistoryPage,
        of channels: [ChannelName],
        further: [ChannelName],
        _ epoch: Epoch,
        now: Int64
    ) -> Reading? {
        told(page.messages, now: now)
        guard page.more else { return read(further, epoch) }
        return .messages(channels, from: .after(page.scanned), further: further, epoch)
    }

    private mutating func read(_ channels: [ChannelName], _ epoch: Epoch) -> Reading? {
        guard !channels.isEmpty else {
            presence.loaded()
            return nil
        }
        let most = 64
        return .messages(
            Array(channels.prefix(most)),
            from: .first,
            further: Array(channels.dropFirst(most)),
            epoch
        )
    }
}
