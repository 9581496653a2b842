internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness

/// Presence between held requests, the log and the other processes; what it means is in `Liveness.Presence`.
struct PresenceService {
    /// What the log is asked about it.
    enum Reading {
        /// Which channels tell of presence, besides those that were found: those behind a name.
        case channels([ChannelName], after: ChannelName?)
        /// What these have told, from a place on; further ones are read after them.
        case messages([ChannelName], from: HistoryStart, further: [ChannelName], Epoch)

        func question(_ ticket: Ticket) -> LogRead {
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

    /// Where somebody is counted by one request more.
    struct Arrival {
        var channels: [ChannelName] = []
        /// Whom other processes need to be told of.
        var news: [PresentMember] = []
        /// On so many channels the number of members is reached.
        var untold = 0
    }

    private var presence: Presence
    private var settings: Settings
    /// Which presence it is: what was asked for an earlier one is of no use.
    private(set) var round = 0
    /// Monotonic milliseconds of the last look at what is due.
    private var lookedAt: Int64 = .min / 2

    init(settings: Settings) {
        self.settings = settings
        presence = Presence(PresenceBounds(logBytes: settings.bus.maxBytes))
    }

    /// The ini file was read again.
    ///
    /// - Parameter renews: it says something else about presence, which begins anew.
    mutating func reload(_ settings: Settings, renews: Bool) {
        self.settings = settings
        guard renews else { return }
        presence = Presence(PresenceBounds(logBytes: settings.bus.maxBytes))
        round += 1
    }

    var isLoaded: Bool { presence.isLoaded }
    var memberCount: Int { presence.counted }
    var isEmpty: Bool { presence.isEmpty }

    func members(of channel: ChannelName) -> [(member: Member, sinceMilliseconds: Int64)] {
        presence.members(of: channel)
    }

    // MARK: Requests

    /// A request that waits has come, and may be answered at once: whoever is there already stays.
    mutating func asked(_ origin: Poll.Origin, _ channels: [ChannelName], now: Int64) {
        guard let member = origin.member else { return }
        for channel in channels {
            guard let limits = settings.presence(on: channel) else { continue }
            presence.asked(
                member,
                on: channel,
                subscriber: origin.subscriber,
                at: origin.arrivedAt,
                limits,
                now: now
            )
        }
    }

    /// A request is held by which somebody is there; nil if it makes nobody a member.
    mutating func attend(_ origin: Poll.Origin, _ channels: [ChannelName], now: Int64) -> Arrival? {
        guard let member = origin.member else { return nil }
        var arrival = Arrival()
        for channel in channels {
            guard let limits = settings.presence(on: channel) else { continue }
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
            case .notTold: arrival.untold += 1
            case .known: arrival.channels.append(channel)
            case .news:
                arrival.channels.append(channel)
                arrival.news.append((channel, member, origin.subscriber ?? 0))
            }
        }
        return arrival
    }

    /// That request has ended.
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
                settings.presence(on: channel),
                now: now
            )
        }
    }

    /// A subscriber said that it leaves (monotonic nanoseconds).
    mutating func left(_ subscriber: UInt64, at time: Int64, now: Int64) {
        presence.left(subscriber: subscriber, at: time, now: now)
    }

    // MARK: From time to time

    /// When something is due; many things at a time, so that a crowd does not keep the loop awake.
    var nextLook: Int64 {
        let next = presence.nextLook
        return next == .max ? .max : max(next, lookedAt + 50)
    }

    /// What the log has to be given now, and whom the other processes have to be told of.
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
        append.takesLastPlaces = settings.namesPresence(on: event.channel)
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

    /// Whom this process has is told only where somebody hears it.
    mutating func tellOthers(_ tells: Bool, now: Int64) { presence.tellOthers(tells, now: now) }

    mutating func heard(_ members: [PresentMember], now: Int64) {
        for (channel, member, subscriber) in members {
            guard let limits = settings.presence(on: channel) else { continue }
            presence.heard(member, on: channel, subscriber: subscriber, limits, now: now)
        }
    }

    // MARK: The log

    /// Takes joins and leaves in that the log tells.
    mutating func told(_ messages: [Message], now: Int64) {
        guard !settings.presence.isEmpty else { return }
        for message in messages where message.channel.isOwn {
            guard let member = message.topic.flatMap({ Member(topic: $0) }) else { continue }
            let channel = message.channel.subject
            guard let limits = settings.presence(on: channel) else { continue }
            presence.told(
                member,
                on: channel,
                isJoin: message.type == "join",
                id: message.id,
                timeMilliseconds: message.timeMilliseconds,
                limits,
                now: now
            )
        }
    }

    /// Begins to read what the log knows of who is there. Until then nothing is told.
    mutating func load(now: Int64) -> Reading? {
        guard !settings.presence.isEmpty else { return nil }
        presence.forgetEvents(now: now)
        // The greatest name that is no own channel's: those come behind it.
        let last = try? ChannelName("z" + String(repeating: "~", count: ChannelName.byteLimit - 1))
        return .channels([], after: last)
    }

    /// What is to be read next after a list of channels.
    mutating func listed(
        _ listing: ChannelListing,
        besides found: [ChannelName],
        _ epoch: Epoch
    ) -> Reading? {
        let channels = found + listing.entries.map(\.name).filter(\.isOwn)
        return listing.next.map { .channels(channels, after: $0) } ?? read(channels, epoch)
    }

    /// What is to be read next after a piece of what these channels have told.
    mutating func read(
        _ reading: HistoryReading,
        of channels: [ChannelName],
        further: [ChannelName],
        _ epoch: Epoch,
        now: Int64
    ) -> Reading? {
        told(reading.messages, now: now)
        guard reading.more else { return read(further, epoch) }
        return .messages(channels, from: .after(reading.scanned), further: further, epoch)
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
