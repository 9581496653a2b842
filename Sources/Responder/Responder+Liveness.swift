internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Liveness
internal import Logging
internal import Reactor

/// The ladder of liveness above the closed connection and the deadline: probes, newer requests of the same subscriber,
/// leaving, and bounds at which the oldest give way.
extension Responder {
    // MARK: Probing

    /// How a hold of this origin begins; says once of each front end that it is probed.
    func opening(_ origin: Poll.Origin) -> (ProbePolicy.Opening, ProbePolicy.Place) {
        let (place, isNew) = policy.place(of: origin.frontEnd)
        if isNew, settings.hold.probe == .auto, policy.entries[Int(place)].isSilent {
            announce(place)
        }
        let opening = policy.opening(
            place,
            settings.hold.probe,
            headers: settings.hold.earlyHeaders,
            origin.wish
        )
        return (opening, place)
    }

    var blanks: [UInt8] {
        [UInt8](repeating: UInt8(ascii: " "), count: settings.hold.probeBytes)
    }

    private var probeMilliseconds: Int64 { Int64(settings.hold.probeSeconds) * 1000 }

    func probeLater(_ slot: HeldTable.Slot) {
        probes.add(slot, deadline: now + probeMilliseconds)
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

    /// What a hold that the peer's end of stream ended says of the front end, and how that is counted.
    func departed(_ slot: HeldTable.Slot) -> Ending {
        let request = held[slot]
        var isEcho = false
        if request.kind == .probedPoll || request.kind == .stream {
            let interval = request.kind == .stream ? heartbeatMilliseconds : probeMilliseconds
            let next = probes.deadline(of: slot) ?? now + interval
            isEcho = next >= now + interval - Self.echoMilliseconds
        }
        // Messages go out on streams all the time, so that nothing is learned from them.
        if request.kind != .stream { saw(isEcho ? .revealed : .shown, request.frontEnd) }
        return isEcho && !isBusSocket(request.connection) ? .probe : .closed
    }

    private func isBusSocket(_ descriptor: Int32) -> Bool {
        connections[Int(descriptor)].flags.contains(.busSocket)
    }

    private func saw(_ sign: ProbePolicy.Sign, _ place: ProbePolicy.Place) {
        guard policy.saw(sign, place), settings.hold.probe == .auto else { return }
        announce(place)
    }

    private func announce(_ place: ProbePolicy.Place) {
        let entry = policy.entries[Int(place)]
        let server = entry.frontEnd.software.isEmpty ? "an unnamed server" : entry.frontEnd.software
        let name = server + (entry.frontEnd.isForwarded ? " behind a proxy" : "")
        let what =
            entry.isSilent
            ? "are probed every \(settings.hold.probeSeconds) s" : "are not probed any more"
        logger.notice("long-polls of \(name) \(what): \(entry.why)")
    }

    // MARK: Superseding and leaving

    /// A subscriber asks: what he asked before ends, in this process and in the others.
    func arrived(_ origin: Poll.Origin) {
        guard let subscriber = origin.subscriber else { return }
        let bound = settings.limits.heldPerSubscriber
        while arrivals.subscribers.count(of: subscriber) >= bound,
            let slot = arrivals.subscribers.oldest(of: subscriber)
        {
            if bound > 1 { metrics[.heldPerSubscriber] += 1 }
            overtake(slot, .superseded)
        }
        if bound == 1 {
            siblings?.tellKnown(SiblingMessage.cameAgain(at: now, subscriber: subscriber).bytes)
        }
    }

    /// Ends what a subscriber has asked here before a moment (monotonic milliseconds).
    func supersede(_ subscriber: UInt64, before time: Int64, _ ending: Ending) {
        for slot in arrivals.subscribers.slots(of: subscriber)
        where held.isHeld(slot) && arrivals.time(of: slot) < time {
            overtake(slot, ending)
        }
    }

    /// Ends a held request that its client has given up, and learns from it: was the front end silent about that?
    private func overtake(_ slot: HeldTable.Slot, _ ending: Ending) {
        let request = held[slot]
        if SystemCalls.hasEnded(request.connection) {
            return answerEmpty(slot, departed(slot))
        }
        // Not long ago: its departure may be on its way.
        if request.kind == .poll || request.kind == .begunPoll,
            now - arrivals.time(of: slot) >= 1000
        {
            saw(.overtaken, request.frontEnd)
        }
        answerEmpty(slot, ending)
    }

    /// `-/leave`, here.
    func leave(_ subscriber: UInt64) {
        siblings?.tellKnown(SiblingMessage.left(at: now, subscriber: subscriber).bytes)
        leave(subscriber, at: now)
    }

    /// `-/leave`, here or told by another process.
    func leave(_ subscriber: UInt64, at time: Int64) {
        for slot in arrivals.subscribers.slots(of: subscriber)
        where held.isHeld(slot) && arrivals.time(of: slot) <= time {
            answerEmpty(slot, SystemCalls.hasEnded(held[slot].connection) ? departed(slot) : .left)
        }
        presence.left(subscriber: subscriber)
        tellPresence()
    }

    // MARK: Bounds

    /// Sends the oldest away where a bound is reached.
    func makeRoom(for origin: Poll.Origin) {
        if let bound = settings.limits.heldPerAddress, let address = origin.address {
            while arrivals.addresses.count(of: address) >= bound,
                let slot = arrivals.addresses.oldest(of: address)
            {
                metrics[.heldPerAddress] += 1
                sendAway(slot)
            }
        }
        while held.count >= settings.limits.heldRequests,
            let slot = arrivals.all.oldest(of: Everybody())
        {
            metrics[.heldRequests] += 1
            sendAway(slot)
        }
    }

    private func sendAway(_ slot: HeldTable.Slot) {
        answerEmpty(
            slot,
            .limit,
            retryAfterSeconds: HoldBudget.retrySeconds(random: jitter.next())
        )
    }
}
