internal import Channels
internal import Configuration
package import Endpoint
package import FastCGI

/// Requests of web servers, from what the shell has framed and decoded to an answer, a hold, or a question to the log.
extension Core {
    /// Whether a request whose variables have come may be judged now. One that queues behind another request of its id is
    /// judged in its turn.
    package mutating func mayJudge(_ id: RequestID, on connection: ConnectionID) -> Bool {
        !isInUse(id, connection) && !connections[connection].flags.contains(.queues)
    }

    /// A request's variables have come, and its body has not: refuses it at once if they are reason enough.
    package mutating func judge(
        _ head: borrowing CGIRequest,
        from address: RequestAddress,
        at moment: Moment
    ) -> BodyVerdict {
        guard enter(address.connection, at: moment) else { return .answered }
        switch interface.verdict(onHead: head) {
        case .keep: return .keep
        case .drop: return .drop
        case .refuse(let refusal):
            _ = takeUp(address, head)
            answer(refusal, to: address)
            return .answered
        }
    }

    /// A whole request. One with the id of another that still waits for the log is kept for its turn.
    ///
    /// - Parameters:
    ///   - size: the memory that it takes if it is kept.
    ///   - mayWait: there is room for this much.
    package mutating func request(
        _ request: borrowing CGIRequest,
        from address: RequestAddress,
        size: Int,
        mayWait: Bool,
        at moment: Moment
    ) {
        guard enter(address.connection, at: moment) else { return }
        guard mustQueue(address) else { return act(on: request, takeUp(address, request)) }
        guard turns.count(of: address.connection) < Turns.limit, mayWait else {
            counters[.queuedRequests] += 1
            return drop(address.connection, .closed)
        }
        turns.append(.init(request: copy request, address: address, size: size))
        connections.queue(address.connection)
        actions.append(.account(address.connection))
    }

    /// FCGI_ABORT_REQUEST for a complete request.
    package mutating func aborted(_ id: RequestID, on connection: ConnectionID, at moment: Moment) {
        guard enter(connection, at: moment) else { return }
        var queued: RequestAddress?
        if connections[connection].flags.contains(.queues) {
            // Those that wait behind the request with this id are not begun.
            queued = turns.remove(id, of: connection)
            queueChanged(connection)
        }
        if let slot = hold(of: id, on: connection) {
            return finishWithoutAnswer(address(of: take(slot, .aborted)))
        }
        if let replay = replays.of(connection).first(where: { $0.id == id }) {
            return abortReplay(replay)
        }
        if let ticket = waiting.ticket(of: id, on: connection),
            case .request(let address)? = settle(ticket)?.recipient
        {
            traceEnd(address, .aborted)
            finishWithoutAnswer(address)
        } else if let queued, !isWaiting(id, connection) {
            // The one before it has been answered.
            finishWithoutAnswer(queued)
        }
    }

    /// The peer asks about multiplexing: a second request says nothing about the first.
    package mutating func askedAboutMultiplexing(_ connection: ConnectionID) {
        connections.multiplex(connection)
    }

    /// A request that ended in its framing, with the records that end it.
    package mutating func refused(
        _ address: RequestAddress,
        records: [UInt8],
        at moment: Moment
    ) {
        guard enter(address.connection, at: moment), mayEnd(address) else { return }
        finish(address, actions.add(.plain, body: records))
    }

    /// A request whose variables are too many or too long.
    package mutating func oversized(_ address: RequestAddress, at moment: Moment) {
        guard enter(address.connection, at: moment), mayEnd(address) else { return }
        answer(interface.headersTooLarge(), to: address)
    }

    /// False, and the connection is dropped, if the id is in use.
    private mutating func mayEnd(_ address: RequestAddress) -> Bool {
        guard isInUse(address.id, address.connection) else { return true }
        actions.append(
            .complaint(.idInUse, "connection closed: it began a request whose id was in use")
        )
        drop(address.connection, .closed)
        return false
    }

    /// Requests of one connection that have not come completely, while others need their room: they are answered now,
    /// and the rest of them is skipped; the connection is dropped if it has none.
    package mutating func gaveUp(
        _ addresses: [RequestAddress],
        on connection: ConnectionID,
        at moment: Moment
    ) {
        guard enter(connection, at: moment) else { return }
        guard !addresses.isEmpty, !addresses.contains(where: { isInUse($0.id, connection) }) else {
            return drop(connection, .closed)
        }
        for address in addresses { answer(interface.tooSlow(), to: address) }
    }

    /// The shell has made the answer to `Errand.page`: within the same event, so that no other one begins.
    package mutating func made(_ answer: Answer, for address: RequestAddress) {
        turns.pageMade(address)
        // What came behind the request may have broken the rules.
        if connections.isOpen(address.connection) { self.answer(answer, to: address) }
    }

    mutating func answer(_ answer: Answer, to address: RequestAddress) {
        if let note = answer.note {
            actions.append(.complaint(.mistake(note.kind), note.sentence))
        }
        if let decision = answer.decision {
            actions.append(.complaint(.refusal(decision.kind), decision.sentence))
        }
        counters.answers[min(5, answer.countedStatus / 100)] += 1
        let payload = payload(of: answer.isProblem ? named(answer, address) : answer)
        trace { $0.ended(address, .answered(status: answer.status)) }
        finish(address, payload)
    }

    private func named(_ problem: Answer, _ address: RequestAddress) -> Answer {
        names.name(of: address).map { problem.named($0) } ?? problem
    }

    // MARK: Ids and turns

    /// Whether a request of this id is held, waits for an answer, reads the log, or queues.
    private mutating func isInUse(_ id: RequestID, _ connection: ConnectionID) -> Bool {
        isWaiting(id, connection) || hold(of: id, on: connection) != nil
            || connections[connection].replays > 0
                && replays.of(connection).contains { $0.id == id }
            || connections[connection].flags.contains(.queues) && turns.has(id, of: connection)
    }

    /// Whether a request of this id waits for the log, for other processes, or for the shell.
    private mutating func isWaiting(_ id: RequestID, _ connection: ConnectionID) -> Bool {
        connections[connection].waiting > 0 && waiting.ticket(of: id, on: connection) != nil
            || turns.awaitsPage(id, of: connection)
            || !looks.isEmpty && isParting(id, connection)
    }

    private mutating func hold(of id: RequestID, on connection: ConnectionID) -> Holds.Slot? {
        var slot = connections[connection].newestHold
        while slot >= 0, holds[slot].requestID != id {
            slot = holds.next(ofConnection: slot) ?? -1
        }
        return slot >= 0 ? slot : nil
    }

    /// Whether a request comes after another one of its id that waits for its answer, or after one that queues in turn.
    private mutating func mustQueue(_ address: RequestAddress) -> Bool {
        let connection = connections[address.connection]
        if connection.flags.contains(.queues), turns.takingUp != address.connection { return true }
        return isWaiting(address.id, address.connection)
    }

    /// A request begins. It may end older ones of its connection.
    private mutating func takeUp(
        _ address: RequestAddress,
        _ request: borrowing CGIRequest
    ) -> Requester {
        let ordinal = connections.count(address.connection)
        endOlder(than: address)
        counters.requests += 1
        names.act(on: address, RequestTag(number: counters.requests, given: request.name))
        if names.isTracing, let trace = names.begins(address, request) {
            actions.append(.trace(trace))
        }
        return Requester(address: address, ordinal: ordinal)
    }

    /// A peer that does not multiplex has given up its older requests; one that does may still not use an id twice.
    private mutating func endOlder(than address: RequestAddress) {
        let connection = connections[address.connection]
        let mayMultiplex = connection.flags.contains(.mayMultiplex)
        if connection.newestHold >= 0 {
            forEachHold(of: address.connection) { core, slot in
                guard !mayMultiplex || core.holds[slot].requestID == address.id else { return }
                core.answerEmpty(slot, .newerRequest)
            }
        }
        guard connection.replays > 0 else { return }
        for replay in replays.of(address.connection)
        where !mayMultiplex || replay.id == address.id {
            endReplay(replay, .superseded)
        }
    }

    /// A request of the connection has ended: the next queued one begins in the next turn. Not now, since a delivery
    /// may be under way, which must not meet new holds.
    mutating func takeUpLater(_ connection: ConnectionID) {
        // The one that is being taken up decides itself when the next one begins.
        guard connections[connection].flags.contains(.queues), turns.takingUp != connection
        else { return }
        goOnLater(connection)
    }

    /// Begins the next queued request of a connection, if it need not wait any more.
    ///
    /// - Returns: whether the one behind it may begin in this turn, too.
    mutating func takeUpNext(of connection: ConnectionID) -> Bool {
        actions.append(.settle(connection))
        guard let id = turns.first(of: connection), !isWaiting(id, connection),
            let next = turns.takeFirst(of: connection)
        else { return false }
        queueChanged(connection)
        var request = next.request
        // Its token or link must be valid now.
        request.clock = request.clock.at(monotonic: now)
        act(on: request, takeUp(next.address, request))
        turns.taken()
        return connections[connection].flags.contains(.queues)
    }

    private mutating func queueChanged(_ connection: ConnectionID) {
        if turns.count(of: connection) == 0 { connections.endQueue(connection) }
        actions.append(.account(connection))
    }

    // MARK: Acting

    private mutating func act(on request: borrowing CGIRequest, _ requester: Requester) {
        let address = requester.address
        switch interface.intent(of: request, random: jitter.next(), &polls) {
        case .answer(let ready): answer(ready, to: address)
        case .subscribe(var poll):
            // HEAD sends no questions.
            if !poll.subscription.shape.headOnly {
                arrived(&poll.origin)
                if poll.waitMilliseconds > 0 {
                    tellSiblings(
                        of: presence.asked(poll.origin, poll.subscription.channels, now: now)
                    )
                }
            }
            serve(poll, requester)
        case .stream(var request):
            if let head = request.headOnly { return answer(head, to: address) }
            arrived(&request.origin)
            open(request, requester)
        case .statusStream(let request):
            if let head = request.headOnly { return answer(head, to: address) }
            open(request, requester)
        case .leave(let subscriber, let shape):
            leave(subscriber)
            answer(shape.noContent(), to: address)
        case .presence(let request): answer(members(request), to: address)
        case .publish(let request): publish(request, address)
        case .message(let request):
            guard knownLog.isOpen else { return answer(request.unavailable(), to: address) }
            let ticket = wait(.message(request), for: .request(address), .reading)
            queue(.message(ticket: ticket.number, request.id))
        case .channels(let request):
            guard knownLog.isOpen else { return answer(request.unavailable(), to: address) }
            let ticket = wait(.channels(request), for: .request(address), .reading)
            queue(.channels(ticket: ticket.number, request.selection))
        case .page(let request):
            turns.awaitPage(address)
            actions.append(.page(request, address))
        case .held(let shape):
            answer(shape.plain(Self.text, "polling = \(holds.count)"), to: address)
        case .live(let shape): answer(shape.plain(Self.text, "live\n"), to: address)
        case .ready(let shape): answer(readiness(shape), to: address)
        case .metrics(let format, let shape):
            survey(.metrics(format, shape), for: .request(address))
        case .status(let shape): survey(.status(shape), for: .request(address))
        case .awaitBody: preconditionFailure("the body is there")
        }
    }

    private static var text: StaticString { "text/plain; charset=utf-8" }

    private func readiness(_ shape: Shape) -> Answer {
        if let whyNotReady { return shape.notReady(whyNotReady) }
        return shape.plain(Self.text, "ready\n")
    }
}
