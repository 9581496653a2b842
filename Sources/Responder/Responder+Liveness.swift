internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Liveness
internal import Logging
internal import Reactor

/// The ladder of liveness above the closed connection and the deadline: probes, newer requests of the same subscriber,
/// leaving, and bounds at which the oldest give way.
extension Responder {
    // MARK: Probing

    /// How a hold of this origin begins; says once of each front end that it is probed.
    func opening(_ origin: Poll.Origin) -> (ProbePolicy.Opening, ProbePolicy.Place) {
        let place = place(of: origin)
        let opening = policy.opening(
            place,
            settings.hold.probe,
            headers: settings.hold.earlyHeaders,
            origin.wish
        )
        return (opening, place)
    }

    func place(of origin: Poll.Origin) -> ProbePolicy.Place {
        let (place, isNew) = policy.place(of: origin.frontEnd, origin.wish)
        if isNew, settings.hold.probe == .auto, policy.entries[Int(place)].isSilent {
            announce(place)
        }
        return place
    }

    /// Whether long-polls behind this front end are probed, as its last request said.
    func isProbed(_ place: ProbePolicy.Place) -> Bool {
        let wish = policy.entries[Int(place)].wish
        return policy.opening(place, settings.hold.probe, headers: false, wish) == .probed
    }

    var blanks: [UInt8] {
        [UInt8](repeating: UInt8(ascii: " "), count: settings.hold.probeBytes)
    }

    func probeMilliseconds(_ place: ProbePolicy.Place) -> Int64 {
        Int64(
            policy.intervalMilliseconds(
                place,
                probeSeconds: settings.hold.probeSeconds,
                maxWaitSeconds: settings.hold.maxWaitSeconds
            )
        )
    }

    /// The first is a little early, so that only what follows a probe is taken for its echo (`departed`).
    func probeLater(_ slot: HeldTable.Slot, isFirst: Bool = false) {
        let early = isFirst ? Self.earlyMilliseconds : 0
        probes.add(slot, deadline: now + probeMilliseconds(held[slot].frontEnd) - early)
    }

    func probeDue() {
        let due = probes.expire(now: now)
        guard !due.isEmpty else { return }
        let blank = codec.encodePart(blanks)
        for slot in due where held.isHeld(slot) {
            if case .stream(let stream) = audience[held[slot].interest] {
                beat(slot, stream)
                continue
            }
            // Who has not taken the last one yet is no better known by another one.
            if unsentBytes(held[slot].connection) == 0 {
                send(held[slot].connection, blank.bytes(for: held[slot].requestID))
            }
            if held.isHeld(slot) { probeLater(slot) }
        }
    }

    /// Departures follow a probe through all hops within this time.
    static let echoMilliseconds: Int64 = 250

    static let earlyMilliseconds = echoMilliseconds + 2 * DeadlineWheel.tickMilliseconds

    /// What a hold that the peer's end of stream ended says of the front end, and how that is counted.
    func departed(_ slot: HeldTable.Slot) -> Ending {
        let request = held[slot]
        guard !isBusSocket(request.connection) else { return .closed }
        let isStream = request.kind == .stream
        guard isStream || request.kind == .probedPoll else {
            saw(.shown, request.frontEnd)
            return .closed
        }
        let interval = isStream ? heartbeatMilliseconds : probeMilliseconds(request.frontEnd)
        let since = now - ((probes.deadline(of: slot) ?? now + interval) - interval)
        // A little less than nothing where the wheel has rounded, or much less where a reload has changed the interval.
        let isEcho = (-DeadlineWheel.tickMilliseconds...Self.echoMilliseconds).contains(since)
        // What follows a message may be its echo, or not: nothing is learned from that.
        if !isStream || now - spokenAt(request.interest) > Self.echoMilliseconds {
            let chance = min(1, Double(Self.echoMilliseconds) / Double(interval))
            saw(isEcho ? .revealed : .shown, request.frontEnd, isStream: isStream, chance: chance)
        }
        return isEcho ? .probe : .closed
    }

    private func isBusSocket(_ descriptor: Int32) -> Bool {
        connections[Int(descriptor)].flags.contains(.busSocket)
    }

    private func saw(
        _ sign: ProbePolicy.Sign,
        _ place: ProbePolicy.Place,
        isStream: Bool = false,
        chance: Double = 0
    ) {
        let wereSafe = policy.entries[Int(place)].streamsAreSafe
        let isNews = policy.saw(sign, place, isStream: isStream, chance: chance, at: now)
        if isNews, settings.hold.probe == .auto { announce(place) }
        if wereSafe != policy.entries[Int(place)].streamsAreSafe { announceStreams(place) }
    }

    /// A stream lived to the end of its time, perhaps without a client.
    func outlived(_ place: ProbePolicy.Place) {
        let wereSafe = policy.entries[Int(place)].streamsAreSafe
        policy.outlived(place)
        if wereSafe != policy.entries[Int(place)].streamsAreSafe { announceStreams(place) }
    }

    private func name(_ place: ProbePolicy.Place) -> String {
        let frontEnd = policy.entries[Int(place)].frontEnd
        let server = frontEnd.software.isEmpty ? "an unnamed server" : frontEnd.software
        return server + (frontEnd.isForwarded ? " behind a proxy" : "")
    }

    private func announce(_ place: ProbePolicy.Place) {
        let entry = policy.entries[Int(place)]
        let seconds = Double(probeMilliseconds(place) / 100) / 10
        let shown = seconds == seconds.rounded() ? "\(Int(seconds))" : "\(seconds)"
        let what = entry.isSilent ? "are probed every \(shown) s" : "are not probed any more"
        logger.notice("long-polls of \(name(place)) \(what): \(entry.why)")
    }

    private func announceStreams(_ place: ProbePolicy.Place) {
        let entry = policy.entries[Int(place)]
        let why =
            entry.streamsAreSafe
            ? "who leaves one is found" : "heartbeats have not found anybody there who has left one"
        let most = streamSeconds(place, life: settings.hold.streamSeconds)
        logger.notice("streams of \(name(place)) live \(most) s at most: \(why)")
    }

    // MARK: The life of streams

    /// - Parameter life: what it may live for other reasons.
    func streamSeconds(_ place: ProbePolicy.Place, life: Int) -> Int {
        policy.streamSeconds(
            place,
            life: life,
            heartbeat: settings.hold.heartbeatSeconds
        )
    }

    /// When messages last went to the streams of an interest.
    private func spokenAt(_ interest: Int32) -> Int64 {
        messagesAt.indices.contains(Int(interest)) ? messagesAt[Int(interest)] : .min / 2
    }

    func spoke(_ interest: Int32) {
        while messagesAt.count <= Int(interest) { messagesAt.append(.min / 2) }
        messagesAt[Int(interest)] = now
    }

    // MARK: Superseding and leaving

    /// A subscriber asks: what he asked before ends, in this process and in the others.
    func arrived(_ origin: Poll.Origin) {
        guard let subscriber = origin.subscriber else { return }
        let bound = settings.limits.heldPerSubscriber
        guard bound > 1 else {
            supersede(subscriber, before: origin.arrivedAt)
            siblings?.post(
                SubscriberWord(kind: .cameAgain, time: origin.arrivedAt, subscriber: subscriber)
            )
            return
        }
        while true {
            let reading = replays.of(subscriber: subscriber)
            guard arrivals.subscribers.count(of: subscriber) + reading.count >= bound else {
                return
            }
            metrics[.heldPerSubscriber] += 1
            if let slot = arrivals.subscribers.oldest(of: subscriber) {
                overtake(slot)
            } else {
                endReplay(reading[0], .superseded)
            }
        }
    }

    /// Ends what a subscriber has asked here before a moment (monotonic nanoseconds).
    func supersede(_ subscriber: UInt64, before time: Int64) {
        for slot in arrivals.subscribers.slots(of: subscriber)
        where held.isHeld(slot) && arrivals.time(of: slot) < time {
            overtake(slot)
        }
        endWaiting(subscriber, before: time, .superseded)
    }

    /// Ends what a subscriber has asked and what is not held yet: the log is being read for it.
    private func endWaiting(_ subscriber: UInt64, before time: Int64, _ reason: StreamEnd) {
        for replay in replays.of(subscriber: subscriber)
        where (replay.web?.origin.arrivedAt ?? 0) < time {
            endReplay(replay, reason)
        }
        for ticket in waitingSubscribers[subscriber] ?? [] {
            guard case .poll(let poll, _, _)? = pending[ticket]?.work,
                poll.origin.arrivedAt < time, let waiting = take(ticket)
            else { continue }
            turnAway(poll, waiting.requester, .busy)
        }
    }

    /// Ends a held request that its client has given up, and learns from it: was the front end silent about that?
    private func overtake(_ slot: HeldTable.Slot) {
        let request = held[slot]
        if SystemCalls.hasEnded(request.connection) {
            return answerEmpty(slot, departed(slot))
        }
        // Not long ago: its departure may be on its way.
        if MonotonicClock.nanoseconds() - arrivals.time(of: slot) >= 1_000_000_000 {
            saw(.overtaken, request.frontEnd, isStream: request.kind == .stream)
        }
        answerEmpty(slot, .superseded)
    }

    /// `-/leave`, here.
    func leave(_ subscriber: UInt64) {
        let time = MonotonicClock.nanoseconds()
        siblings?.post(SubscriberWord(kind: .left, time: time, subscriber: subscriber))
        leave(subscriber, at: time)
    }

    /// `-/leave`, here or told by another process.
    func leave(_ subscriber: UInt64, at time: Int64) {
        for slot in arrivals.subscribers.slots(of: subscriber)
        where held.isHeld(slot) && arrivals.time(of: slot) < time {
            answerEmpty(slot, SystemCalls.hasEnded(held[slot].connection) ? departed(slot) : .left)
        }
        endWaiting(subscriber, before: time, .left)
        presence.left(subscriber: subscriber, at: time, now: now)
    }

    // MARK: Bounds

    /// Sends the oldest away where a bound is reached.
    func makeRoom(for origin: Poll.Origin) {
        if settings.limits.heldPerAddress != nil, origin.address == nil, !hasMissedAddresses {
            hasMissedAddresses = true
            logger.warning(
                "held_per_address does not bound requests without REMOTE_ADDR, and one has come; let the web server pass it (nginx: fastcgi_param REMOTE_ADDR $remote_addr;)"
            )
        }
        if let bound = settings.limits.heldPerAddress, let address = origin.address {
            while arrivals.addresses.count(of: address) + replays.count(ofAddress: address) >= bound
            {
                metrics[.heldPerAddress] += 1
                guard
                    sendAway(
                        arrivals.addresses.oldest(of: address),
                        or: replays.oldest(ofAddress: address)
                    )
                else { break }
            }
        }
        while held.count + replays.count >= heldLimit {
            metrics[.heldRequests] += 1
            guard sendAway(arrivals.all.oldest(of: Everybody()), or: replays.oldest) else { break }
        }
    }

    /// - Returns: false if there was nobody to send away.
    @discardableResult
    func sendAway(
        _ slot: HeldTable.Slot?,
        or replay: @autoclosure () -> Replay?
    ) -> Bool {
        let retry = HoldBudget.retrySeconds(random: jitter.next())
        if let slot {
            answerEmpty(slot, .limit, retryAfterSeconds: retry)
        } else if let replay = replay() {
            endReplay(replay, .limit, retryAfterSeconds: retry)
        } else {
            return false
        }
        return true
    }
}
