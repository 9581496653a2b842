internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Liveness
internal import Reactor

/// Streams that are not live: each reads the log forwards, piece by piece, until it stands at its end.
extension Responder {
    /// Whether some stream of this connection is not live.
    func isReplaying(_ descriptor: Int32) -> Bool { !replays.of(descriptor).isEmpty }

    func endReplays(of descriptor: Int32, _ ending: Ending) {
        for replay in replays.of(descriptor) where forget(replay) { metrics[ending] += 1 }
    }

    func begin(_ replay: Replay) {
        replays.add(replay)
        stay(replay)
    }

    /// Takes it out of all tables. What it is told is the caller's.
    ///
    /// - Returns: false if it had ended before, as others of its connection do when one of them finds the peer gone.
    @discardableResult
    func forget(_ replay: Replay) -> Bool {
        guard replays.remove(replay) else { return false }
        endStay(replay)
        let requester = replay.requester
        // What was asked of the log for it keeps nobody waiting any more, nor does it itself.
        if let ticket = pendingTicket(requester.connection, requester.id),
            case .replay(let waiting, _, _)? = pending[ticket]?.work, waiting === replay
        {
            _ = take(ticket)
        }
        if !(connections[Int(requester.connection)].extra?.queued.isEmpty ?? true) {
            turnsDue.append(requester.connection)
        }
        return true
    }

    /// The peer has taken what was sent.
    func resumeReplays(of descriptor: Int32) {
        replaysDue += replays.of(descriptor).filter { $0.isWaiting }
    }

    /// Goes on with those that have had their share of a turn, or whose peer has read.
    func advanceReplays() {
        let due = replaysDue
        replaysDue = []
        for replay in due where isCurrent(replay) {
            advance(replay)
            relieveMemory()
        }
    }

    private func isCurrent(_ replay: Replay) -> Bool {
        let descriptor = replay.requester.connection
        return replays.of(descriptor).contains { $0 === replay }
            && connections[Int(descriptor)].generation == replay.generation
            && connections[Int(descriptor)].isOpen
    }

    /// Reads and sends until there is nothing more, or the peer has enough for now.
    func advance(_ replay: Replay) {
        replay.isWaiting = false
        for _ in 0..<4 {
            guard isCurrent(replay), let tail else { return }
            if let endsAt = replay.web?.endsAt, now >= endsAt {
                return endReplay(replay, .lifetime)
            }
            guard unsentBytes(replay.requester.connection) == 0 else {
                replay.isWaiting = true
                return
            }
            switch replay.position {
            case .start(.now):
                greet(replay, at: Cursor(epoch: tail.epochs.current, offset: tail.head))
                return goLive(replay)
            case .start(.history(let start)):
                return ask(replay, start, .reading(gap: nil))
            case .start(.cursor(let cursor)):
                switch tail.epochs.verdict(on: cursor, head: tail.head) {
                case .valid: replay.position = .cursor(cursor)
                // Another process may be ahead.
                case .future, .restarted: return ask(replay, .newest, .lookAhead)
                }
            case .cursor(let cursor):
                let offset = replay.place(of: cursor, in: tail.epochs, head: tail.head)
                let reading = tail.read(
                    replay.stream.channels,
                    after: offset,
                    messageLimit: Replay.pieceMessages,
                    byteLimit: Replay.pieceBytes,
                    now: log.retentionMilliseconds()
                )
                guard let reading else { return ask(replay, .after(offset), .reading(gap: nil)) }
                if !send(reading, replay) { return }
            }
        }
        replaysDue.append(replay)
    }

    private func ask(_ replay: Replay, _ start: HistoryStart, _ question: Pending.Question) {
        guard let tail else { return }
        var start = start
        if case .last(let count) = start {
            start = .last(min(count, settings.limits.answerMessages))
        }
        let work = Pending.Work.replay(replay, question, tail.epochs.current)
        let ticket = wait(replay.requester, work, seconds: 30)
        read(
            .history(
                HistoryRequest(
                    ticket: ticket,
                    channels: replay.stream.channels,
                    start: start,
                    messageLimit: Replay.pieceMessages,
                    byteLimit: Replay.pieceBytes
                )
            )
        )
    }

    func replayRead(
        _ replay: Replay,
        _ question: Pending.Question,
        _ epoch: Epoch,
        _ outcome: Result<HistoryReading, LogFailure>
    ) {
        guard isCurrent(replay), let tail else {
            // It ended while the log was asked; nothing else may keep its connection.
            return dropIfDone(replay.requester.connection)
        }
        // The log was replaced meanwhile: the position is judged anew, and what was read is of no use.
        guard tail.epochs.current == epoch else { return advance(replay) }
        guard case .success(let reading) = outcome else { return endReplay(replay, .unavailable) }
        if case .lookAhead = question {
            // What the log knows has been told by now: the verdict stands.
            if case .start(.cursor(let cursor)) = replay.position {
                replay.position = .cursor(cursor)
            }
            return advance(replay)
        }
        if send(reading, replay) { advance(replay) }
    }

    /// Sends a piece. Whether there is more to read.
    private func send(_ reading: HistoryReading, _ replay: Replay) -> Bool {
        guard let tail else { return false }
        let epoch = tail.epochs.current
        let begin = reading.messages.first?.offset.previous ?? reading.scanned
        // Before the gap: whoever is cut off between the greeting and that comes back with it, and is told again.
        greet(replay, at: replay.cursor ?? Cursor(epoch: epoch, offset: begin))
        let reading = replay.piece(of: reading)
        let bytes = replay.stream.chunk(reading, epoch: epoch)
        replay.advanced(to: Cursor(epoch: epoch, offset: reading.scanned))
        // Nothing was unsent before the greeting.
        guard bytes.isEmpty || sendPart(bytes, replay.stream, to: replay.requester, isRest: true)
        else { return false }
        guard reading.more || reading.scanned < tail.head else {
            goLive(replay)
            return false
        }
        return true
    }

    private func greet(_ replay: Replay, at cursor: Cursor) {
        guard !replay.isGreeted else { return }
        replay.isGreeted = true
        let bytes =
            replay.head
            + replay.stream.hello(at: cursor, heartbeatSeconds: settings.hold.heartbeatSeconds)
        _ = sendPart(bytes, replay.stream, to: replay.requester)
        greeted(replay.requester.connection)
    }
}
