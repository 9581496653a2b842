internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness

/// The means of liveness beyond closed connections and deadlines: probes, newer requests of the same subscriber,
/// leaving, and bounds at which the oldest hold ends.
extension Core {
    // MARK: Probing

    mutating func probeDue() {
        let due = holds.takeProbed(now: now)
        guard !due.isEmpty else { return }
        var blank: Int32?
        var pings: [Int32: Int32] = [:]
        for slot in due {
            let held = holds[slot]
            guard !held.kind.isStream else {
                beat(slot, &pings)
                continue
            }
            // While one is unread, another probe shows nothing.
            if connections[held.connection].unsent == 0 {
                let payload = blank ?? actions.add(.part, body: frontEnds.blanks)
                blank = payload
                send(part: payload, to: held)
            }
            holds.probe(slot, at: now + frontEnds.probeMilliseconds(held.frontEnd))
        }
    }

    /// The time for a stream's heartbeat has come.
    ///
    /// - Parameter pings: payloads made so far, by interest; padded ones by the complement of the interest.
    private mutating func beat(_ slot: Holds.Slot, _ pings: inout [Int32: Int32]) {
        guard let position else { return }
        let held = holds[slot]
        holds.probe(slot, at: now + frontEnds.heartbeatMilliseconds)
        // A peer with unread output needs no heartbeat.
        guard connections[held.connection].unsent == 0 else { return }
        // A server that buffers its output needs as many bytes as a probe has.
        let isPadded = held.kind == .stream && frontEnds.isProbed(held.frontEnd)
        let key = isPadded ? ~held.interest : held.interest
        if pings[key] == nil, case .stream(let stream) = holds.interest(held.interest) {
            let bytes = isPadded ? settings.hold.probeBytes : 0
            pings[key] = add(stream.ping(at: position, bytes: bytes), stream)
        }
        guard let ping = pings[key] else { return }
        send(part: ping, to: held)
    }

    /// Learns from the peer's departure from a hold. Returns how the hold's end is counted.
    mutating func departed(_ slot: Holds.Slot) -> Ending { departed(holds.signs(of: slot)) }

    private mutating func departed(_ signs: Holds.Signs) -> Ending {
        frontEnds.departed(
            signs.held,
            nextProbe: signs.nextProbe,
            messagesAt: signs.messagesAt,
            now: now,
            &actions
        )
    }

    // MARK: Superseding and leaving

    /// A subscriber's request has come: its earlier ones end, in this process and in the others.
    mutating func arrived(_ origin: inout RequestOrigin) {
        guard let subscriber = origin.subscriber else { return }
        origin.arrivedAt = timestamps.next(at: moment.nanoseconds)
        let bound = settings.limits.heldPerSubscriber
        guard bound > 1 else {
            supersede(subscriber, before: origin.arrivedAt)
            tell(SubscriberWord(kind: .cameAgain, time: origin.arrivedAt, subscriber: subscriber))
            return
        }
        while true {
            let reading = replays.of(subscriber: subscriber)
            guard holds.count(ofSubscriber: subscriber) + reading.count >= bound else { return }
            counters[.heldPerSubscriber] += 1
            if let slot = holds.oldest(ofSubscriber: subscriber) {
                part(slot, .superseded)
            } else {
                endReplay(reading[0], .superseded)
            }
        }
    }

    /// Ends a subscriber's requests here that came before a time (monotonic nanoseconds).
    mutating func supersede(_ subscriber: UInt64, before time: Int64) {
        for slot in holds.slots(ofSubscriber: subscriber, before: time) { part(slot, .superseded) }
        endWaiting(subscriber, before: time, .superseded)
    }

    /// Ends a subscriber's requests that are not held yet because the log is being read for them.
    private mutating func endWaiting(
        _ subscriber: UInt64,
        before time: Int64,
        _ reason: Poll.EarlyEnd
    ) {
        for replay in replays.of(subscriber: subscriber)
        where (replay.web?.origin.arrivedAt ?? 0) < time {
            endReplay(replay, reason.ofStream)
        }
        for ticket in waiting.tickets(of: subscriber) {
            guard case .poll(let poll, _, _, _)? = waiting[ticket]?.work,
                !poll.subscription.shape.headOnly, poll.origin.arrivedAt < time
            else { continue }
            endWaiting(ticket, reason)
        }
    }

    /// Ends a held request whose client has asked again or leaves. It is taken out at once; how that is counted, and what
    /// is learned of its front end, depends on whether its peer had left before, so its answer follows the look.
    private mutating func part(_ slot: Holds.Slot, _ ending: Ending) {
        let parting = Parting(
            connection: connections.id(holds[slot].connection),
            interest: holds.interest(of: slot),
            signs: holds.signs(of: slot),
            // If it is recent, its departure may be on its way.
            isRecent: moment.nanoseconds - holds.arrival(of: slot) < 1_000_000_000,
            ending: ending
        )
        take(slot, nil)
        look(at: parting.connection, .sending, for: .parting(parting))
    }

    /// Counts and answers it, and learns from it if the front end had not shown a departure.
    mutating func end(_ parting: Parting, hasLeft: Bool) {
        let held = parting.signs.held
        var ending = parting.ending
        if hasLeft {
            ending = departed(parting.signs)
        } else if ending == .superseded, !parting.isRecent {
            let isStream = held.kind == .stream
            frontEnds.saw(.overtaken, held.frontEnd, isStream: isStream, now: now, &actions)
        }
        count(ending, held)
        // It may have been lost before the look.
        guard let position, connections.isOpen(parting.connection) else { return }
        switch parting.interest {
        case .answer(let subscription):
            let nothing = nothingNew(newest: position.offset)
            let answer = subscription.answer(nothing, epoch: position.epoch)
            finish(held, payload(of: answer), status: answer.countedStatus)
        case .stream(let stream): finish(held, stream.bye(ending.ofStream, at: position))
        }
    }

    /// `-/leave`, received here.
    mutating func leave(_ subscriber: UInt64) {
        let time = timestamps.next(at: moment.nanoseconds)
        tell(SubscriberWord(kind: .left, time: time, subscriber: subscriber))
        leave(subscriber, at: time)
    }

    /// `-/leave`, received here or by another process.
    mutating func leave(_ subscriber: UInt64, at time: Int64) {
        for slot in holds.slots(ofSubscriber: subscriber, before: time) { part(slot, .left) }
        endWaiting(subscriber, before: time, .left)
        presence.left(subscriber, at: time, now: now)
    }

    // MARK: Bounds

    /// Requests held at a time: never on all connections, so that publishers and `-/live` always find a free one.
    package var heldLimit: Int {
        min(settings.limits.heldRequests, max(1, connectionLimit * 10 / 11))
    }

    /// Ends the oldest holds where a bound is reached: after it, there is room for one more.
    ///
    /// - Parameter origin: nil for a client of the bus socket.
    mutating func makeRoom(for origin: RequestOrigin?) {
        if let bound = settings.limits.heldPerAddress, let origin {
            makeRoom(bound, ofAddress: origin.address)
        }
        while holds.count + replays.count >= heldLimit {
            counters[.heldRequests] += 1
            guard sendAway(holds.oldest, or: replays.oldest) else { break }
        }
    }

    private mutating func makeRoom(_ bound: Int, ofAddress address: UInt64?) {
        guard let address else { return frontEnds.missesAddress(&actions) }
        while holds.count(ofAddress: address) + replays.count(ofAddress: address) >= bound {
            counters[.heldPerAddress] += 1
            let oldest = holds.oldest(ofAddress: address)
            guard sendAway(oldest, or: replays.oldest(ofAddress: address)) else { break }
        }
    }

    /// - Returns: false if there was no hold to end.
    @discardableResult
    mutating func sendAway(_ slot: Holds.Slot?, or replay: Replay?) -> Bool {
        let retry = HoldBudget.retrySeconds(random: jitter.next())
        if let slot {
            answerEmpty(slot, .limit, retryAfterSeconds: retry)
        } else if let replay {
            endReplay(replay, .limit, retryAfterSeconds: retry)
        } else {
            return false
        }
        return true
    }
}
