internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Liveness

/// Streams that are not live: each reads the log forwards, a piece at a time, until it reaches the end.
extension Core {
    /// Adds it to all tables.
    mutating func enlist(_ replay: Replay) {
        replays.add(replay)
        connections.addReplay(replay.connection)
        if names.isTracing, case .request(let address) = replay.recipient {
            trace { $0.held(address) }
        }
        guard let origin = replay.web?.origin,
            let arrival = presence.attend(origin, replay.stream.channels, now: now)
        else { return }
        replay.attends(arrival.channels)
        tell(of: arrival)
    }

    /// Removes it from all tables, in which it is. The caller sends the end of the stream.
    mutating func forget(_ replay: Replay) {
        let wasThere = replays.remove(replay)
        precondition(wasThere, "a stream ends once")
        connections.removeReplay(replay.connection)
        if let origin = replay.web?.origin, let member = origin.member {
            presence.release(member, replay.takeAttended(), origin.subscriber, now: now)
        }
        // The log's answer is not needed any more.
        if let ticket = replay.takeTicket() { _ = settle(ticket) }
        takeUpLater(replay.connection)
    }

    /// Reads and sends a piece if the peer has taken the one before.
    mutating func advance(_ replay: Replay) {
        replay.waits(false)
        if let web = replay.web, now >= web.endsAt {
            return endReplay(replay, web.origin.right.hasEnded(now) ? .expired : .lifetime)
        }
        guard connections[replay.connection].unsent == 0 else {
            replay.waits(true)
            return
        }
        let retention = moment.retentionMilliseconds
        switch knownLog.tail.map({ replay.next(in: $0, retention: retention, unissued: unissued) })
        {
        case nil: return
        case .goLive(let cursor):
            greet(replay, at: cursor)
            goLive(replay)
        case .ask(let start, let question): ask(replay, start, question)
        case .send(let page): send(page, replay)
        }
    }

    private mutating func ask(_ replay: Replay, _ start: HistoryStart, _ question: Question) {
        guard let epoch = knownLog.epoch else { return }
        let ticket = wait(.replay(replay, question, epoch), for: replay.recipient, .replay)
        replay.asked(ticket)
        queue(
            .history(
                HistoryRequest(
                    ticket: ticket.number,
                    channels: replay.stream.channels,
                    start: start.bounded(settings.limits.answerMessages),
                    messageLimit: Replay.pieceMessages,
                    byteLimit: Replay.pieceBytes,
                    looksAhead: question.isLookAhead
                )
            )
        )
    }

    /// The log has answered.
    mutating func read(
        _ outcome: Result<HistoryPage, ReadFailure>,
        for replay: Replay,
        _ question: Question,
        _ epoch: Epoch
    ) {
        replay.takeTicket()
        // The log was replaced meanwhile: the position is judged anew, and what was read is useless.
        guard knownLog.epoch == epoch else { return advance(replay) }
        guard case .success(let page) = outcome else { return endReplay(replay, .unavailable) }
        if case .lookAhead = question {
            replay.lookedAhead()
            return advance(replay)
        }
        send(page, replay)
    }

    /// Sends a piece. The next one follows in the next turn, or when the peer has taken this one if `unsent` reports
    /// that some of it is left.
    private mutating func send(_ page: HistoryPage, _ replay: Replay) {
        guard let epoch = knownLog.epoch, let head = knownLog.head else { return }
        let begin = page.messages.first?.offset.previous ?? page.scanned
        // Before the gap: a client that is cut off between the two comes back with this cursor, and gets the gap again.
        greet(replay, at: replay.cursor ?? Cursor(epoch: epoch, offset: begin))
        let page = replay.piece(of: page)
        let bytes = replay.stream.chunk(page, epoch: epoch)
        replay.advanced(to: Cursor(epoch: epoch, offset: page.scanned))
        if !bytes.isEmpty { send(bytes, replay, .unbounded) }
        if page.more || page.scanned < head {
            agenda.append(.replay(replay))
        } else {
            goLive(replay)
        }
    }

    private mutating func greet(_ replay: Replay, at cursor: Cursor) {
        guard !replay.isGreeted else { return }
        replay.greeted()
        let hello = replay.stream.hello(
            at: cursor,
            heartbeatSeconds: settings.hold.heartbeatSeconds
        )
        // The peer may not have taken what others on its connection were sent while the log was asked. It is small, and the
        // piece follows.
        send(replay.head + hello, replay, .unbounded)
        greeted(replay.connection)
    }

    private mutating func send(_ bytes: [UInt8], _ replay: Replay, _ flags: Send.Flags = []) {
        let payload = add(bytes, replay.stream)
        switch replay.target {
        case .web(let requester, _): send(part: payload, to: requester.address, flags)
        case .lines(let connection):
            actions.append(
                .send(Send(connection: connection, payload: payload, id: .first, flags: flags))
            )
        }
    }
}
