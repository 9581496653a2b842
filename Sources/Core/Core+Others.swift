package import Channels
package import Configuration
package import Endpoint
package import Liveness

/// The other processes of the bus, figures, reload and stop.
extension Core {
    // MARK: The other processes

    /// Whether there are other processes.
    package mutating func siblings(arePresent: Bool, at moment: Moment) {
        enter(moment)
        hasSiblings = arePresent
        presence.tellOthers(arePresent, now: now)
    }

    /// A message of one of them about a subscriber.
    package mutating func heard(_ word: SubscriberWord, at moment: Moment) {
        enter(moment)
        switch word.kind {
        case .cameAgain: supersede(word.subscriber, before: word.time)
        case .left: leave(word.subscriber, at: word.time)
        }
    }

    /// The members of channels that one of them announces.
    package mutating func heard(_ members: [PresentMember], at moment: Moment) {
        enter(moment)
        presence.heard(members, now: now)
    }

    mutating func tell(_ word: SubscriberWord) {
        guard hasSiblings else { return }
        actions.append(.tell(word))
    }

    // MARK: Figures

    mutating func survey(_ survey: Survey, for recipient: Recipient) {
        let ticket = wait(.survey(survey), for: recipient, .survey)
        actions.append(.survey(ticket, survey.question))
    }

    /// The result of a survey. Ignored if the request that asked is gone.
    package mutating func surveyed(_ ticket: Ticket, _ result: SurveyResult, at moment: Moment) {
        enter(moment)
        guard let entry = settle(ticket), case .survey(let survey) = entry.work else { return }
        let reply = survey.reply(result) { holds.holders(of: $0) }
        self.reply(reply, to: entry.recipient)
    }

    /// Asks for the figures every second while streams of them are open.
    mutating func askForFigures() {
        let areWatched = !holds.interests(in: .status).isEmpty
        figuresAt = areWatched ? now + 1000 : .max
        actions.append(.figures(areWatched: areWatched))
    }

    /// The figures for the streams that show them: members of a JSON object, without its braces.
    package mutating func figures(_ members: [UInt8], at moment: Moment) {
        enter(moment)
        for interest in holds.interests(in: .status) {
            guard case .stream(let stream) = holds.interest(interest) else { continue }
            sendToAll(interest, stream, stream.status(members))
        }
    }

    /// Requests that are held, and streams that still read the log.
    package var heldCount: Int { holds.count + replays.count }
    /// The distinct interests of held requests.
    package var interestCount: Int { holds.interestCount }
    /// What waits for the log.
    package var waitingCount: Int { waiting.count }
    /// The outcomes of signed links.
    package var links: LinkTally.Counters { interface.links.now }
    /// Members on all channels.
    package var memberCount: Int { presence.memberCount }
    /// Every channel with holds, and how many.
    package var holders: [(channel: ChannelName, count: Int)] { holds.holders }
    /// What has been learned of the front ends.
    package var policy: ProbePolicy { frontEnds.policy }
    /// Whether long-polls behind this front end are probed, by the wish of its last request.
    package func isProbed(_ place: ProbePolicy.Place) -> Bool { frontEnds.isProbed(place) }
    /// The time between two probes behind it.
    package func probeMilliseconds(_ place: ProbePolicy.Place) -> Int64 {
        frontEnds.probeMilliseconds(place)
    }
    /// How long a stream behind it lives.
    package func streamSeconds(_ place: ProbePolicy.Place) -> Int {
        frontEnds.streamSeconds(place, life: settings.hold.streamSeconds)
    }
    /// Whether all tables are empty, as they are when all peers have left and the log has answered everything. Members
    /// and front ends are remembered longer.
    package var isEmpty: Bool {
        connections.count == 0 && turns.isEmpty && peers.isEmpty && holds.isEmpty
            && names.isEmpty && replays.isEmpty && agenda.isEmpty && waiting.isEmpty
            && delivery == nil && looks.isEmpty
    }

    // MARK: The operator

    /// The ini file was read again; `settings` are those in force now.
    package mutating func reload(
        _ settings: Settings,
        numbers: [LocalPrincipal: UInt32],
        at moment: Moment
    ) {
        enter(moment)
        let changed = Settings.reloadDifferences(from: self.settings, to: settings).applied
        let (before, old) = (interface, self.settings)
        rules = Rules(settings, numbers: numbers, links: before.links)
        frontEnds.reload(settings.hold)
        names.trace(settings.log.level == .debug)
        let renewsPresence = changed.contains { $0.hasPrefix("[presence") }
        presence.reload(rules, renews: renewsPresence, now: now)
        if changed.contains(where: { $0.hasPrefix("[allow") || $0.hasPrefix("[key") }) {
            judgeReaders { before.isOpenToEveryone($0) }
        }
        if renewsPresence {
            renewPresence()
            sayWhoIsNotCounted(old)
        }
    }

    /// The [allow] or [key] sections have changed: ends holds on channels that are no longer open to everyone, or to
    /// the key that admitted the hold, and subscriptions that a client of the bus socket may no longer read.
    ///
    /// Whether the web server granted the channel as well is not known here: its client comes back, and is admitted.
    /// What was granted by the web server alone is bounded by `granted_life`.
    mutating func judgeReaders(_ wasOpen: (ChannelName) -> Bool) {
        let now = interface
        func isClosed(_ channel: ChannelName) -> Bool {
            // The figures of the service are for operators, whatever the sections say.
            channel != .status && wasOpen(channel)
                && !now.isOpenToEveryone(channel)
        }
        /// A right is for its own channels: a channel that was also open to everyone may not be among them.
        func isRevoked(_ right: Right?, _ channels: [ChannelName], _ isClosed: Bool) -> Bool {
            isClosed || right.map { !now.upholds($0, on: channels) } == true
        }
        for interest in holds.interests {
            let channels = holds.interest(interest).channels
            let isClosed = channels.contains(where: isClosed)
            var next = holds.first(ofInterest: interest)
            while let slot = next {
                next = holds.next(ofInterest: slot)
                let identity = peers.identity(holds[slot].connection)
                let ends =
                    identity.map { !busInterface.mayRead(channels, $0) }
                    ?? isRevoked(holds.right(of: slot), channels, isClosed)
                if ends { answerEmpty(slot, .revoked) }
            }
        }
        for replay in replays.all {
            let channels = replay.stream.channels
            let identity = peers[replay.connection]?.identity
            if identity.map({ !busInterface.mayRead(channels, $0) })
                ?? isRevoked(
                    replay.web?.origin.right,
                    channels,
                    channels.contains(where: isClosed)
                )
            {
                endReplay(replay, .revoked)
            }
        }
        // Not held yet, but about to be.
        let closed = waiting.tickets { entry in
            guard case .poll(let poll, _, _, _) = entry.work else { return false }
            let channels = poll.subscription.channels
            return isRevoked(poll.origin.right, channels, channels.contains(where: isClosed))
        }
        for ticket in closed { endWaiting(ticket, .revoked) }
    }

    /// The process stops: all holds are answered, and from now on no request is held or queued.
    package mutating func stop(at moment: Moment) {
        enter(moment)
        isStopping = true
        answerAllHolds(.shutdown)
    }

    /// From now on an idle connection is closed, even if its web server wants to keep it.
    package mutating func keepNoConnections() { keepsConnections = false }
}
