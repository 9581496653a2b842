internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Liveness
internal import Reactor

/// Streams: held requests that a message does not end.
///
/// A live stream is in the table of held requests and has had everything up to the tail's head; what is committed goes
/// to it in `extend`. Before that, and after more came than memory keeps, it is a `Replay`. A peer that does not read is
/// waited for while it replays, and let go of when it is live: with its position, so that it can come back.
extension Responder {
    /// Every so often a live stream says how far it is, so that both sides notice when the other has gone.
    var heartbeatMilliseconds: Int64 { Int64(settings.hold.heartbeatSeconds) * 1000 }

    // MARK: Opening

    /// A stream over HTTP.
    func serve(_ request: StreamRequest, _ requester: Requester) {
        let retry = HoldBudget.retrySeconds(random: jitter.next())
        guard tail != nil, !isStopping else {
            return answer(requester, request.notNow(.unavailable, retryAfterSeconds: retry))
        }
        makeRoom(for: request.origin)
        // It was given up meanwhile, for what was ended was on it, too.
        guard connections[Int(requester.connection)].isOpen else { return }
        guard held.count + replays.count < heldLimit else {
            metrics[.heldRequests] += 1
            return answer(requester, request.notNow(.limit, retryAfterSeconds: retry))
        }
        let place = place(of: request.origin)
        let web = Replay.Web(
            origin: request.origin,
            frontEnd: place,
            endsAt: now
                + Int64(
                    interface.holdMilliseconds(
                        streamSeconds(place, life: request.lifeSeconds),
                        jitter.next()
                    )
                )
        )
        openStream(request.stream, request.start, requester, web, head: request.head)
    }

    func openStream(
        _ stream: StreamSubscription,
        _ start: PollStart,
        _ requester: Requester,
        _ web: Replay.Web? = nil,
        head: [UInt8] = []
    ) {
        let replay = Replay(
            stream,
            at: .start(start),
            requester,
            generation: connections[Int(requester.connection)].generation,
            web: web,
            head: head
        )
        begin(replay)
        metrics.holds += 1
        if isStopping { endReplay(replay, .shutdown) } else { advance(replay) }
    }

    /// The stream stands at the tail's head.
    func goLive(_ replay: Replay) {
        let requester = replay.requester
        let connection = connections[Int(requester.connection)]
        // Who waits behind it on this connection would wait for as long as it lives.
        let isOvertaken =
            requester.ordinal != 0 && requester.ordinal != connection.requests
            && !connection.flags.contains(.mayMultiplex)
        guard !isOvertaken, connection.extra?.queued.isEmpty ?? true else {
            return endReplay(replay, .superseded)
        }
        forget(replay)
        guard connection.isOpen else { return }
        let interest = audience.join(.stream(replay.stream), channels: replay.stream.channels)
        let slot = held.insert(
            HeldTable.Held(
                connection: requester.connection,
                requestID: requester.id,
                keepConnection: requester.keepConnection,
                kind: .stream,
                frontEnd: replay.web?.frontEnd ?? 0,
                interest: interest
            ),
            firstOfConnection: &connections[Int(requester.connection)].firstHeld
        )
        // A little early, as the first probe of a poll is.
        probes.add(slot, deadline: now + heartbeatMilliseconds - Self.earlyMilliseconds)
        let boundsAddresses = settings.limits.heldPerAddress != nil
        arrivals.add(
            slot,
            replay.web?.origin ?? Poll.Origin(),
            boundsAddresses: boundsAddresses
        )
        guard let web = replay.web else { return }
        deadlines.add(slot, deadline: web.endsAt)
        stay(slot, web.origin, replay.stream.channels)
    }

    // MARK: Live

    /// Gives those who hold one interest what was committed; returns how many.
    func extend(
        _ interest: Int32,
        _ stream: StreamSubscription,
        _ reading: HistoryReading,
        after previous: Offset,
        _ encoded: inout Encoded
    ) -> Int {
        guard let tail else { return 0 }
        let content = stream.content(of: reading)
        let known = encoded.chunks[content]
        let chunk = known ?? encode(stream.chunk(reading, epoch: tail.epochs.current), stream)
        if known == nil { encoded.add(chunk, content) }
        let before = Cursor(epoch: tail.epochs.current, offset: previous)
        var count = 0
        spoke(interest)
        for slot in held.slots(ofInterest: interest) where held.isHeld(slot) {
            let descriptor = held[slot].connection
            let waiting = unsentBytes(descriptor)
            // Its last word must fit as well.
            if waiting > 0, waiting + chunk.bytes.count + 1024 > settings.limits.unsentBytes {
                metrics[.unsentBytes] += 1
                endStream(slot, .slow, .slow, at: before)
            } else if send(descriptor, chunk.bytes(for: held[slot].requestID)) {
                count += 1
            }
        }
        return count
    }

    /// Sends what is no message to those who hold one interest and have taken what came before.
    func sendToAll(_ interest: Int32, _ stream: StreamSubscription, _ bytes: [UInt8]) {
        let part = encode(bytes, stream)
        for slot in held.slots(ofInterest: interest)
        where held.isHeld(slot) && unsentBytes(held[slot].connection) == 0 {
            send(held[slot].connection, part.bytes(for: held[slot].requestID))
        }
    }

    /// Its time for a heartbeat has come.
    func beat(_ slot: HeldTable.Slot, _ stream: StreamSubscription) {
        guard let tail else { return }
        // Who has not taken all yet knows that we live when he does.
        if unsentBytes(held[slot].connection) == 0 {
            let cursor = Cursor(epoch: tail.epochs.current, offset: tail.head)
            // Behind a server that gathers what it gets, no less than a probe.
            let isPadded = stream.form.isFramed && isProbed(held[slot].frontEnd)
            let ping = stream.ping(at: cursor, bytes: isPadded ? settings.hold.probeBytes : 0)
            guard sendPart(ping, stream, to: requester(of: slot)) else { return }
        }
        probes.add(slot, deadline: now + heartbeatMilliseconds)
    }

    /// A live stream goes back to reading the log from where it stood; where that is another log now, behind a gap.
    func replayAgain(
        _ slot: HeldTable.Slot,
        from cursor: Cursor,
        owing gap: (reason: GapReason, resumed: Cursor)?
    ) {
        guard case .stream(let stream) = audience[held[slot].interest] else { return }
        let requester = requester(of: slot)
        var web: Replay.Web?
        if let endsAt = deadlines.deadline(of: slot) {
            var origin = arrivals.origin(of: slot)
            origin.member = attendances[slot]?.member
            web = Replay.Web(origin: origin, frontEnd: held[slot].frontEnd, endsAt: endsAt)
        }
        removeHeld(slot)
        let replay = Replay(
            stream,
            at: .cursor(cursor),
            requester,
            generation: connections[Int(requester.connection)].generation,
            web: web,
            head: nil
        )
        if let gap { replay.owe(gap.reason, resumed: gap.resumed) }
        begin(replay)
        replaysDue.append(replay)
    }

    // MARK: Ending

    /// Ends a live stream with its last word.
    func endStream(
        _ slot: HeldTable.Slot,
        _ ending: Ending,
        _ reason: StreamEnd,
        at cursor: Cursor,
        retryAfterSeconds: Int? = nil
    ) {
        guard case .stream(let stream) = audience[held[slot].interest] else { return }
        let requester = takeOut(slot, ending)
        let bye = stream.bye(reason, at: cursor, retryAfterSeconds: retryAfterSeconds)
        finishStream(bye, stream, requester)
    }

    func endReplay(_ replay: Replay, _ reason: StreamEnd, retryAfterSeconds: Int? = nil) {
        guard forget(replay) else { return }
        metrics[Ending(reason)] += 1
        let bye = replay.stream.bye(
            reason,
            at: replay.cursor,
            retryAfterSeconds: retryAfterSeconds
        )
        finishStream(
            replay.isGreeted ? bye : replay.head + bye,
            replay.stream,
            replay.requester
        )
    }

    /// FCGI_ABORT_REQUEST: nobody hears a last word.
    func abortReplay(_ replay: Replay) {
        guard forget(replay) else { return }
        metrics[.aborted] += 1
        let id = replay.requester.id
        finish(
            replay.requester,
            Record.endRequest(id: id, appStatus: 0, protocolStatus: .requestComplete)
        )
    }

    /// Ends all streams of a connection with their last word.
    func endStreams(of descriptor: Int32, _ reason: StreamEnd) {
        for replay in replays.of(descriptor) { endReplay(replay, reason) }
        guard let tail else { return }
        let cursor = Cursor(epoch: tail.epochs.current, offset: tail.head)
        for slot in held.slots(from: connections[Int(descriptor)].firstHeld)
        where held.isHeld(slot) && held[slot].kind == .stream {
            endStream(slot, .closed, reason, at: cursor)
        }
    }

    private func finishStream(
        _ bytes: [UInt8],
        _ stream: StreamSubscription,
        _ requester: Requester
    ) {
        guard !stream.form.isFramed else {
            let records = codec.encode(bytes).bytes(for: requester.id)
            return finish(requester, records, isRest: true)
        }
        guard send(requester.connection, bytes, isRest: true) else { return }
        greeted(requester.connection)
        connections[Int(requester.connection)].flags.insert(.closesWhenIdle)
        dropIfDone(requester.connection)
    }

    // MARK: Sending

    func requester(of slot: HeldTable.Slot) -> Requester {
        let request = held[slot]
        return Requester(
            connection: request.connection,
            id: request.requestID,
            keepConnection: request.keepConnection
        )
    }

    /// Streams over HTTP travel in records, those of the bus socket as they are.
    func encode(_ bytes: [UInt8], _ stream: StreamSubscription) -> EncodedAnswer {
        stream.form.isFramed ? codec.encodePart(bytes) : EncodedAnswer(bytes: bytes)
    }

    func sendPart(
        _ bytes: [UInt8],
        _ stream: StreamSubscription,
        to requester: Requester,
        isRest: Bool = false
    ) -> Bool {
        let records = encode(bytes, stream).bytes(for: requester.id)
        return send(requester.connection, records, isRest: isRest)
    }
}
