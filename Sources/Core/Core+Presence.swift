internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness

/// Presence: reports to the log and the other processes which members are on a channel by requests that are held here.
extension Core {
    /// A request is held: its member is present now.
    mutating func attend(_ slot: Holds.Slot, _ origin: RequestOrigin, _ channels: [ChannelName]) {
        guard let member = origin.member,
            let arrival = presence.attend(origin, channels, now: now)
        else { return }
        holds.attend(
            slot,
            Attendance(
                member: member,
                channels: arrival.channels,
                subscriber: origin.subscriber
            )
        )
        tell(of: arrival)
    }

    mutating func tell(of arrival: PresenceService.Arrival) {
        counters[.members] += UInt64(arrival.untold)
        tellSiblings(of: arrival.newMembers)
    }

    mutating func tellSiblings(of members: [PresentMember]) {
        guard hasSiblings, !members.isEmpty else { return }
        actions.append(.tellMembers(members))
    }

    mutating func members(_ request: PresenceRequest) -> Answer {
        guard let position, presence.isLoaded else { return request.unavailable() }
        return request.answer(presence.members(of: request.channel), at: position)
    }

    /// Reports what is due.
    mutating func tellOfPresence() {
        let due = presence.due(now: now)
        for (event, draft) in due.appends {
            let work = Work.presenceEvent(event, round: presence.round)
            let ticket = wait(work, for: .core, nil)
            actions.append(.append(presence.append(event, draft, ticket)))
        }
        tellSiblings(of: due.members)
    }

    mutating func presenceAppended(_ event: PresenceEvent, _ outcome: AppendOutcome, round: Int) {
        guard round == presence.round, presence.appended(event, outcome, now: now) else { return }
        counters[.members] += 1
        actions.append(
            .complaint(
                .placelessPresence,
                "joins and leaves are not reported on \(event.channel): the log has reached its limit of channels with "
                    + "members, a quarter of channels in [limits]; raise that limit, or let [presence] name fewer"
            )
        )
    }

    mutating func complainOfSections(_ channel: ChannelName) {
        actions.append(
            .complaint(
                .otherPresence,
                "another machine reports who is on \(channel), and no [presence] section of this one names that channel: "
                    + "nobody is listed there; give all machines of the site the same [presence] sections"
            )
        )
    }

    /// The [presence] sections have changed: begins anew with the members whose requests are held here, and with the
    /// log's events.
    mutating func renewPresence() {
        for slot in holds.attending {
            attend(slot, holds.origin(of: slot), holds.interest(of: slot).channels)
        }
        for replay in replays.all {
            guard let origin = replay.web?.origin,
                let arrival = presence.attend(origin, replay.stream.channels, now: now)
            else { continue }
            replay.attends(arrival.channels)
            tell(of: arrival)
        }
        presence.tellOthers(hasSiblings, now: now)
        loadPresence()
    }

    /// Nothing is kept of the name of a request on channels without presence: if these have it now, their members are
    /// counted from their next request on.
    mutating func sayWhoIsNotCounted(_ old: Settings) {
        let new = settings
        func isNew(_ channels: [ChannelName]) -> Bool {
            channels.contains { new.presence(on: $0) != nil }
                && !channels.contains { old.presence(on: $0) != nil }
        }
        var count = replays.all.count { $0.web != nil && isNew($0.stream.channels) }
        for interest in holds.interests where isNew(holds.interest(interest).channels) {
            var next = holds.first(ofInterest: interest)
            while let slot = next {
                next = holds.next(ofInterest: slot)
                if holds[slot].kind != .lines { count += 1 }
            }
        }
        guard count > 0 else { return }
        actions.append(
            .notice(
                .notice,
                "held requests on channels that have a [presence] section now, whose members are listed from their next "
                    + "request on: \(count)"
            )
        )
    }

    // MARK: The log's events

    /// Reads the log's events of members. Until that is done, no event is reported.
    mutating func loadPresence() {
        guard knownLog.isOpen else { return }
        ask(presence.load(now: now))
    }

    /// These few questions do not queue behind those of requests.
    private mutating func ask(_ reading: PresenceService.Reading?) {
        guard let reading else { return }
        presence.asked()
        let ticket = wait(.presenceReading(reading), for: .core, nil)
        waiting.readBegan(ticket)
        actions.append(.read(reading.question(ticket)))
    }

    mutating func listPresence(
        _ reading: PresenceService.Reading,
        _ outcome: Result<ChannelListing, ReadFailure>
    ) {
        guard presence.answered() else { return loadPresence() }
        guard case .channels(let found, _) = reading, let epoch = knownLog.epoch else {
            return
        }
        guard case .success(let listing) = outcome else { return presence.loadLater(now: now) }
        ask(presence.listed(listing, besides: found, epoch))
    }

    mutating func readPresence(
        _ reading: PresenceService.Reading,
        _ outcome: Result<HistoryPage, ReadFailure>
    ) {
        // A log that has replaced it is read from the beginning.
        guard presence.answered() else { return loadPresence() }
        guard case .messages(let channels, _, let further, let epoch) = reading,
            knownLog.epoch == epoch
        else { return }
        guard case .success(let history) = outcome else { return presence.loadLater(now: now) }
        ask(presence.read(history, of: channels, further: further, epoch, now: now))
    }
}
