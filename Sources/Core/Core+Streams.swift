internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Liveness

/// Streams: held requests that a message does not end.
///
/// A live stream is among the holds and has got everything up to the tail's head; `extend` (of the delivery) sends it
/// what is committed. Before that, and after more was committed than memory keeps, it is a `Replay`. A replay waits for
/// a peer that does not read; a live stream is ended, with its position, so that the client can come back.
extension Core {
    // MARK: Opening

    /// A stream over HTTP.
    mutating func open(_ request: StreamRequest, _ requester: Requester) {
        let retry = HoldBudget.retrySeconds(random: jitter.next())
        guard knownLog.isOpen, !isStopping else {
            return answer(
                request.unavailable(retryAfterSeconds: retry),
                to: requester.address
            )
        }
        makeRoom(for: request.origin)
        let place = frontEnds.place(of: request.origin, &actions)
        let life = interface.holdMilliseconds(
            frontEnds.streamSeconds(place, life: request.lifeSeconds),
            jitter.next()
        )
        let web = Replay.Web(
            origin: request.origin,
            frontEnd: place,
            endsAt: min(now + Int64(life), request.origin.right?.endsAt ?? .max)
        )
        open(
            Replay(
                request.stream,
                at: .start(request.start),
                .web(requester, web),
                head: request.head
            )
        )
    }

    mutating func open(_ replay: Replay) {
        enlist(replay)
        counters.holds += 1
        if isStopping { return endReplay(replay, .shutdown) }
        // The peer left while this request queued; no event will report that again.
        guard replay.web == nil || !connections[replay.connection].flags.contains(.peerEnded) else {
            return endReplay(replay, .left)
        }
        advance(replay)
    }

    /// The stream has reached the tail's head.
    mutating func goLive(_ replay: Replay) {
        var hold: Holds.Hold
        switch replay.target {
        case .web(let requester, let web):
            hold = Holds.Hold(
                address: requester.address,
                kind: .stream,
                frontEnd: web.frontEnd,
                interest: .stream(replay.stream),
                origin: web.origin,
                deadline: web.endsAt,
                // A little early, as the first probe of a poll is.
                probe: now + frontEnds.heartbeatMilliseconds - FrontEnds.earlyMilliseconds
            )
        case .lines(let connection):
            hold = Holds.Hold(
                address: RequestAddress(connection: connection, id: .first, keepConnection: true),
                kind: .lines,
                frontEnd: 0,
                interest: .stream(replay.stream),
                origin: nil,
                deadline: nil,
                probe: now + frontEnds.heartbeatMilliseconds - FrontEnds.earlyMilliseconds
            )
        }
        forget(replay)
        insert(hold)
        // Not when it came: nobody watches while it waits for its peer, or for the log.
        if replay.stream.channels.first == .status { figuresAt = min(figuresAt, now) }
    }

    // MARK: Live

    /// Sends bytes that are not a message to the streams of one interest whose peers have taken everything.
    mutating func sendToAll(_ interest: Int32, _ stream: StreamSubscription, _ bytes: [UInt8]) {
        let payload = add(bytes, stream)
        var next = holds.first(ofInterest: interest)
        while let slot = next {
            next = holds.next(ofInterest: slot)
            let held = holds[slot]
            if connections[held.connection].unsent == 0 { send(part: payload, to: held) }
        }
    }

    /// A live stream returns to reading the log from its position; after a gap if another log has replaced it.
    mutating func replayAgain(
        _ slot: Holds.Slot,
        _ stream: StreamSubscription,
        from cursor: Cursor,
        owing gap: (reason: GapReason, resumed: Cursor)?
    ) {
        let (origin, endsAt) = (holds.origin(of: slot), holds.deadline(of: slot))
        let held = take(slot, nil)
        let connection = connections.id(held.connection)
        var target = Replay.Target.lines(connection)
        if held.kind == .stream {
            // It is live, so no newer request has overtaken it.
            let requester = Requester(
                address: address(of: held),
                ordinal: connections[connection].requests
            )
            let web = Replay.Web(
                origin: origin,
                frontEnd: held.frontEnd,
                endsAt: endsAt ?? now
            )
            target = .web(requester, web)
        }
        let replay = Replay(stream, at: .cursor(cursor), target, head: nil)
        if let gap { replay.owe(gap.reason, resumed: gap.resumed) }
        enlist(replay)
        agenda.append(.replay(replay))
    }

    // MARK: Ending

    /// Ends a live stream.
    mutating func endStream(
        _ slot: Holds.Slot,
        _ stream: StreamSubscription,
        _ ending: Ending,
        _ reason: StreamEnd,
        at cursor: Cursor,
        retryAfterSeconds: Int? = nil
    ) {
        let held = take(slot, ending)
        finish(held, stream.bye(reason, at: cursor, retryAfterSeconds: retryAfterSeconds))
    }

    mutating func endReplay(_ replay: Replay, _ reason: StreamEnd, retryAfterSeconds: Int? = nil) {
        forget(replay)
        counters[Ending(reason)] += 1
        traceEnd(replay, Ending(reason))
        var bytes = replay.isGreeted ? [] : replay.head
        bytes += replay.stream.bye(
            reason,
            at: replay.cursor,
            retryAfterSeconds: retryAfterSeconds
        )
        switch replay.target {
        case .web(let requester, _):
            finish(requester.address, actions.add(.answer, body: bytes), unbounded: true)
        case .lines(let connection): finish(lines: bytes, connection)
        }
    }

    /// FCGI_ABORT_REQUEST: nothing is sent to end the stream.
    mutating func abortReplay(_ replay: Replay) {
        guard case .web(let requester, _) = replay.target else { return }
        forget(replay)
        counters[.aborted] += 1
        traceEnd(replay, .aborted)
        finishWithoutAnswer(requester.address)
    }

    /// Ends all streams of a bus client.
    mutating func endStreams(of connection: ConnectionID, _ reason: StreamEnd) {
        for replay in replays.of(connection) { endReplay(replay, reason) }
        guard let position else { return }
        forEachHold(of: connection) { core, slot in
            guard case .stream(let stream) = core.holds.interest(of: slot) else { return }
            core.endStream(slot, stream, .closed, reason, at: position)
        }
    }
}
