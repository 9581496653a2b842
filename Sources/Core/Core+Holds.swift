internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Liveness

/// The doors of all held requests: how they are entered, and how they end.
extension Core {
    // MARK: In and out

    /// The only way into the tables of held requests.
    mutating func insert(_ hold: borrowing Holds.Hold) {
        let slot = holds.insert(
            hold,
            boundsAddresses: settings.limits.heldPerAddress != nil,
            newest: &connections[newestHoldOf: hold.address.connection.index]
        )
        guard hold.origin != nil else { return }
        let address = hold.address
        trace { $0.held(address) }
        if hold.origin?.member != nil, let origin = hold.origin {
            attend(slot, origin, hold.interest.channels)
        }
    }

    /// The only way out: takes a held request out of all tables and counts how it ended. The caller sends what the
    /// client gets.
    @discardableResult
    mutating func take(_ slot: Holds.Slot, _ ending: Ending?) -> Holds.Held {
        let (held, attendance) = holds.remove(
            slot,
            newest: &connections[newestHoldOf: holds[slot].connection]
        )
        if let ending { count(ending, held) }
        if let attendance {
            presence.release(
                attendance.member,
                attendance.channels,
                attendance.subscriber,
                now: now
            )
        }
        return held
    }

    mutating func count(_ ending: Ending, _ held: Holds.Held) {
        counters[ending] += 1
        if names.isTracing { traceEnd(address(of: held), ending) }
    }

    mutating func address(of held: Holds.Held) -> RequestAddress {
        RequestAddress(
            connection: connections.id(held.connection),
            id: held.requestID,
            keepConnection: held.keepConnection
        )
    }

    /// Visits a connection's holds, newest first. The body may end the hold that it is given.
    mutating func forEachHold(
        of connection: ConnectionID,
        _ body: (inout Core, Holds.Slot) -> Void
    ) {
        var slot = connections[connection].newestHold
        while slot >= 0 {
            let next = holds.next(ofConnection: slot) ?? -1
            body(&self, slot)
            slot = next
        }
    }

    // MARK: Ending

    /// Ends one held poll with an answer.
    mutating func end(
        _ slot: Holds.Slot,
        _ ending: Ending,
        _ payload: Int32,
        status: Int
    ) {
        finish(take(slot, ending), payload, status: status)
    }

    /// Answers a held poll with no messages and its cursor; ends a stream.
    mutating func answerEmpty(
        _ slot: Holds.Slot,
        _ ending: Ending,
        retryAfterSeconds: Int? = nil
    ) {
        var none = EmptyAnswers(retryAfterSeconds: retryAfterSeconds)
        answerEmpty(slot, ending, &none)
    }

    /// The same for many holds: those of one interest share an answer.
    mutating func answerEmpty(_ slot: Holds.Slot, _ ending: Ending, _ answers: inout EmptyAnswers) {
        guard let position else { return }
        let interest = holds[slot].interest
        switch holds.interest(interest) {
        case .answer(let subscription):
            if let (payload, status) = answers.made[interest] {
                return end(slot, ending, payload, status: status)
            }
            let answer = subscription.answer(
                nothingNew(newest: position.offset),
                epoch: position.epoch,
                retryAfterSeconds: answers.retryAfterSeconds
            )
            let payload = payload(of: answer)
            answers.made[interest] = (payload, answer.countedStatus)
            end(slot, ending, payload, status: answer.countedStatus)
        case .stream(let stream):
            endStream(
                slot,
                stream,
                ending,
                ending.ofStream,
                at: position,
                retryAfterSeconds: answers.retryAfterSeconds
            )
        }
    }

    mutating func endExpired() {
        let expired = holds.takeExpired(now: now)
        guard !expired.isEmpty else { return }
        var answers = EmptyAnswers()
        for slot in expired {
            if holds.right(of: slot).hasEnded(now) {
                endRight(slot, &answers)
            } else if holds[slot].kind.isStream {
                frontEnds.outlived(holds[slot].frontEnd, &actions)
                answerEmpty(slot, .lifetime)
            } else {
                answerEmpty(slot, .deadline, &answers)
            }
        }
    }

    /// The right on which a hold rests has ended. A poll whose answer has begun ends without a message; the client's
    /// next request gets the reason.
    private mutating func endRight(_ slot: Holds.Slot, _ answers: inout EmptyAnswers) {
        let interest = holds[slot].interest
        guard case .answer(let subscription) = holds.interest(interest),
            let answer = subscription.expired()
        else { return answerEmpty(slot, .expired, &answers) }
        let (payload, status) =
            answers.ofExpired[interest] ?? (payload(of: answer), answer.countedStatus)
        answers.ofExpired[interest] = (payload, status)
        end(slot, .expired, payload, status: status)
    }

    mutating func answerAllHolds(_ ending: Ending) {
        for replay in replays.all { endReplay(replay, .shutdown) }
        var answers = EmptyAnswers()
        while position != nil, let slot = holds.oldest { answerEmpty(slot, ending, &answers) }
    }
}

/// Empty answers for holds that end together, by interest.
struct EmptyAnswers {
    var retryAfterSeconds: Int?
    var made: [Int32: (payload: Int32, status: Int)] = [:]
    /// For those whose right has ended.
    var ofExpired: [Int32: (payload: Int32, status: Int)] = [:]

    init(retryAfterSeconds: Int? = nil) { self.retryAfterSeconds = retryAfterSeconds }
}
