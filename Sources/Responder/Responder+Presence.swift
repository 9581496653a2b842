internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness
internal import Reactor

/// Who somebody is on which channels, for as long as one request of his is held.
struct Attendance {
    let member: Member
    let channels: [ChannelName]
    let subscriber: UInt64?
}

/// A question that the responder asks the log for itself.
enum OwnRead {
    /// Which channels tell of presence, besides those that are known.
    case presenceChannels([ChannelName])
    /// What these have told; further ones are read after them.
    case presence([ChannelName], further: [ChannelName], Epoch)
}

/// Presence between the requests, the log and the other processes; what it means is in `Liveness.Presence`.
extension Responder {
    // MARK: Requests

    /// A request that waits has come, and may be answered at once: whoever is there already stays.
    func asked(_ origin: Poll.Origin, _ channels: [ChannelName]) {
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

    /// The request is held now, which makes him one of those who are there.
    func stay(_ slot: HeldTable.Slot, _ origin: Poll.Origin, _ channels: [ChannelName]) {
        guard let member = origin.member else { return }
        attendances[slot] = Attendance(
            member: member,
            channels: attended(channels, member, origin.subscriber, at: origin.arrivedAt),
            subscriber: origin.subscriber
        )
    }

    /// The same for a stream that is not live yet.
    func stay(_ replay: Replay) {
        guard let origin = replay.web?.origin, let member = origin.member else { return }
        replay.attended = attended(
            replay.stream.channels,
            member,
            origin.subscriber,
            at: origin.arrivedAt
        )
    }

    /// Those of the channels where he is counted by one more request now.
    private func attended(
        _ channels: [ChannelName],
        _ member: Member,
        _ subscriber: UInt64?,
        at arrivedAt: Int64
    ) -> [ChannelName] {
        var attended: [ChannelName] = []
        var news: [ChannelName] = []
        for channel in channels {
            guard let limits = settings.presence(on: channel) else { continue }
            let attendance = presence.attends(
                member,
                on: channel,
                subscriber: subscriber,
                at: arrivedAt,
                isFurther: !attended.isEmpty,
                limits,
                now: now
            )
            switch attendance {
            case .notTold: metrics[.members] += 1
            case .known: attended.append(channel)
            case .news:
                attended.append(channel)
                news.append(channel)
            }
        }
        if !news.isEmpty { tellSiblings(of: news.map { ($0, member, subscriber ?? 0) }) }
        return attended
    }

    /// The held request has ended.
    func endStay(_ slot: HeldTable.Slot) {
        guard !attendances.isEmpty, let attendance = attendances.removeValue(forKey: slot) else {
            return
        }
        release(attendance.member, attendance.channels, attendance.subscriber)
    }

    func endStay(_ replay: Replay) {
        guard let origin = replay.web?.origin, let member = origin.member else { return }
        release(member, replay.attended, origin.subscriber)
        replay.attended = []
    }

    private func release(_ member: Member, _ channels: [ChannelName], _ subscriber: UInt64?) {
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

    func answer(_ request: PresenceRequest, _ requester: Requester) {
        guard let tail, presence.isLoaded else { return answer(requester, request.unavailable()) }
        let cursor = Cursor(epoch: tail.epochs.current, offset: tail.head)
        answer(requester, request.answer(presence.members(of: request.channel), at: cursor))
    }

    // MARK: From time to time

    /// When something is due; many things at a time, so that a crowd does not keep the loop awake.
    var presenceLookAt: Int64 {
        let next = presence.nextLook
        return isStopping || next == .max ? .max : max(next, presenceLookedAt + 50)
    }

    func lookAtPresence() {
        presenceLookedAt = now
        let due = presence.due(now: now)
        due.events.forEach(append)
        tellSiblings(of: due.leases)
    }

    private func append(_ event: PresenceEvent) {
        guard let draft = event.draft else { return }
        lastTicket += 1
        presenceTickets[lastTicket] = event
        var append = Append(
            ticket: lastTicket,
            drafts: [draft],
            idempotency: IdempotencyKey(publisher: "presence", key: event.key)
        )
        append.takesLastPlaces = settings.namesPresence(on: event.channel)
        log.append(append)
    }

    /// The log's answer to an event. Whether it was about one.
    func presenceAppended(_ ticket: UInt64, _ outcome: AppendOutcome) -> Bool {
        guard let event = presenceTickets.removeValue(forKey: ticket) else { return false }
        switch outcome {
        case .committed, .repeated, .conflict: break
        case .noMoreChannels:
            metrics[.members] += 1
            complain(
                .placelessPresence,
                "who comes and leaves is not told on \(event.channel): the log remembers as many channels with members "
                    + "as it may, a quarter of channels in [limits]; raise that, or let [presence] name fewer"
            )
            presence.refused(event, hasNoPlace: true, now: now)
        case .full, .logBusy, .unavailable, .overQuota:
            presence.refused(event, hasNoPlace: false, now: now)
        }
        return true
    }

    /// The ini file says something else about it now: begins anew with those whose requests are here, and with what the
    /// log knows.
    func renewPresence() {
        presence = Presence(PresenceBounds(logBytes: settings.bus.maxBytes))
        presenceTickets = [:]
        for (slot, former) in attendances {
            var origin = arrivals.origin(of: slot)
            origin.member = former.member
            stay(slot, origin, audience[held[slot].interest].channels)
        }
        for replay in replays.all { stay(replay) }
        ownReads = [:]
        seeSiblings()
        loadPresence()
    }

    // MARK: The other processes

    /// Whom this process has is told only where somebody hears it.
    func seeSiblings() {
        presence.tellOthers(siblings?.hasOthers == true, now: now)
    }

    private func tellSiblings(of members: [SiblingMessage.Here]) {
        guard let siblings, siblings.hasOthers else { return }
        var piece: [SiblingMessage.Here] = []
        var bytes = 0
        for one in members {
            // The subscriber in hexadecimal, two blanks and a line end.
            let line = one.channel.text.utf8.count + one.member.topic.utf8.count + 19
            if bytes + line > Siblings.datagramBytes - 64 {
                siblings.tellKnown(SiblingMessage.here(piece).bytes)
                (piece, bytes) = ([], 0)
            }
            piece.append(one)
            bytes += line
        }
        if !piece.isEmpty { siblings.tellKnown(SiblingMessage.here(piece).bytes) }
    }

    func heardOfMembers(_ members: [SiblingMessage.Here]) {
        for (channel, member, subscriber) in members {
            guard let limits = settings.presence(on: channel) else { continue }
            presence.heard(member, on: channel, subscriber: subscriber, limits, now: now)
        }
    }

    // MARK: The log

    /// Takes joins and leaves in that the log tells.
    func takeInPresence(_ messages: [Message]) {
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

    /// Reads what the log knows of who is there. Until then nothing is told.
    func loadPresence() {
        guard !settings.presence.isEmpty, tail != nil else { return }
        presence.forgetEvents(now: now)
        // The greatest name that is no own channel's: those come behind it.
        let last = try? ChannelName("z" + String(repeating: "~", count: ChannelName.byteLimit - 1))
        listPresence([], after: last)
    }

    private func listPresence(_ found: [ChannelName], after last: ChannelName?) {
        ask(.presenceChannels(found)) { .channels(ticket: $0, .after(last, limit: 10_000)) }
    }

    private func ask(_ read: OwnRead, _ question: (UInt64) -> LogRead) {
        lastTicket += 1
        ownReads[lastTicket] = read
        readsUnderWay += 1
        log.read(question(lastTicket))
    }

    private func readPresence(
        _ channels: [ChannelName],
        further: [ChannelName],
        from start: HistoryStart
    ) {
        guard let tail else { return }
        ask(.presence(channels, further: further, tail.epochs.current)) { ticket in
            .history(
                HistoryRequest(
                    ticket: ticket,
                    channels: channels,
                    start: start,
                    messageLimit: 1000,
                    byteLimit: 1 << 20
                )
            )
        }
    }

    private func readFurther(_ channels: [ChannelName]) {
        guard !channels.isEmpty else {
            presence.loaded()
            return
        }
        let most = 64
        readPresence(
            Array(channels.prefix(most)),
            further: Array(channels.dropFirst(most)),
            from: .first
        )
    }

    /// - Returns: false if the responder has not asked this itself.
    func ownListing(_ ticket: UInt64, _ outcome: Result<ChannelListing, LogFailure>) -> Bool {
        guard case .presenceChannels(let found)? = ownReads.removeValue(forKey: ticket) else {
            return false
        }
        guard case .success(let listing) = outcome else {
            presenceLoadAt = now + 5000
            return true
        }
        let channels = found + listing.entries.map(\.name).filter(\.isOwn)
        if let next = listing.next {
            listPresence(channels, after: next)
        } else {
            readFurther(channels)
        }
        return true
    }

    /// - Returns: false if the responder has not asked this itself.
    func ownHistory(_ ticket: UInt64, _ outcome: Result<HistoryReading, LogFailure>) -> Bool {
        guard case .presence(let channels, let further, let epoch)? = ownReads[ticket] else {
            return false
        }
        ownReads[ticket] = nil
        // Another log has taken its place, and is read from the beginning.
        guard tail?.epochs.current == epoch else { return true }
        guard case .success(let reading) = outcome else {
            presenceLoadAt = now + 5000
            return true
        }
        takeInPresence(reading.messages)
        if reading.more {
            readPresence(channels, further: further, from: .after(reading.scanned))
        } else {
            readFurther(further)
        }
        return true
    }
}
