internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Liveness
internal import Reactor

/// What becomes of a poll: answered from memory or from the log's history, or held.
extension Responder {
    /// Answers a poll at once if there is something to say, else holds it.
    ///
    /// - Parameters:
    ///   - isCurrent: it has waited for what others had committed when it came.
    ///   - isFinal: the log was asked whether it knows more than this process, so that its verdict on the
    ///     cursor stands.
    func serve(
        _ poll: Poll,
        _ requester: Requester,
        isCurrent: Bool = false,
        isFinal: Bool = false
    ) {
        guard let tail else { return turnAway(poll, requester, .unavailable) }
        // Who was told that his message is committed, by whatever process, finds it at this one too.
        if !isCurrent, !isFinal, let committed = log.committedHead, committed > tail.head {
            guard pending.count < heldLimit else {
                metrics[.heldRequests] += 1
                return turnAway(poll, requester, .busy)
            }
            let ticket = wait(requester, .poll(poll, .head, tail.epochs.current), seconds: 10)
            behind.append((committed, ticket))
            return
        }
        switch poll.start {
        case .now:
            answerOrHold(poll, requester, after: tail.head, gap: nil)
        case .history(let start):
            if start == .newest, let newest = tail.newest(of: poll.subscription.channels) {
                answer(requester, poll, tail.nothingNew(newest: newest))
            } else {
                ask(poll, requester, start, .reading(gap: nil))
            }
        case .cursor(let cursor):
            switch tail.epochs.verdict(on: cursor, head: tail.head) {
            case .valid(let offset): answerOrHold(poll, requester, after: offset, gap: nil)
            case .future where isFinal:
                answerOrHold(poll, requester, after: tail.head, gap: .future)
            case .restarted(let resume) where isFinal:
                answerOrHold(poll, requester, after: resume, gap: .restarted)
            case .future, .restarted:
                ask(poll, requester, .newest, .lookAhead)
            }
        }
    }

    /// Answers a poll for which nothing was read.
    func turnAway(_ poll: Poll, _ requester: Requester, _ reason: Poll.Refusal) {
        let refusal = poll.turnedAway(
            reason,
            at: tail.map { Cursor(epoch: $0.epochs.current, offset: $0.head) },
            retryAfterSeconds: HoldBudget.retrySeconds(random: jitter.next())
        )
        answer(requester, refusal)
    }

    /// Answers with what the channels have after `offset`; holds if that is nothing, and waiting was asked for.
    func answerOrHold(
        _ poll: Poll,
        _ requester: Requester,
        after offset: Offset,
        gap: GapReason?
    ) {
        let reading = tail?.read(
            poll.subscription.channels,
            after: offset,
            messageLimit: poll.subscription.messageLimit,
            byteLimit: settings.limits.answerBytes,
            now: log.retentionMilliseconds()
        )
        guard let reading else {
            return ask(poll, requester, .after(offset), .reading(gap: gap))
        }
        answerOrHold(poll, requester, reading, gap: gap)
    }

    private func answerOrHold(
        _ poll: Poll,
        _ requester: Requester,
        _ reading: HistoryReading,
        gap: GapReason?
    ) {
        let gap = gap ?? reading.gap
        if reading.messages.isEmpty, poll.mayWait(despite: gap), !isStopping {
            hold(gap.map(poll.owing) ?? poll, requester)
        } else {
            answer(requester, poll, gap.map(reading.told) ?? reading)
        }
    }

    private func ask(
        _ poll: Poll,
        _ requester: Requester,
        _ start: HistoryStart,
        _ question: Pending.Question
    ) {
        guard let tail, pending.count < heldLimit else {
            metrics[.heldRequests] += 1
            return turnAway(poll, requester, .busy)
        }
        var start = start
        // More than one answer takes is never read ahead.
        if case .last(let count) = start {
            start = .last(min(count, settings.limits.answerMessages))
        }
        let ticket = wait(requester, .poll(poll, question, tail.epochs.current), seconds: 10)
        read(
            .history(
                HistoryRequest(
                    ticket: ticket,
                    channels: poll.subscription.channels,
                    start: start,
                    messageLimit: poll.subscription.messageLimit,
                    byteLimit: settings.limits.answerBytes
                )
            )
        )
    }

    func historyRead(_ ticket: UInt64, _ outcome: Result<HistoryReading, LogFailure>) {
        guard let waiting = take(ticket) else { return }
        if case .replay(let replay, let question, let epoch) = waiting.work {
            return replayRead(replay, question, epoch, outcome)
        }
        guard case .poll(let poll, let question, let epoch) = waiting.work else { return }
        let requester = waiting.requester
        // The log was replaced meanwhile: the cursor is judged anew, and what was read is of no use.
        guard tail?.epochs.current == epoch else { return serve(poll, requester) }
        guard case .success(let reading) = outcome else {
            return turnAway(poll, requester, .unavailable)
        }
        switch question {
        case .head: preconditionFailure("the log's reader was not asked")
        case .lookAhead:
            serve(poll, requester, isFinal: true)
        case .reading(let gap):
            let gap = gap ?? reading.gap
            if reading.messages.isEmpty, poll.mayWait(despite: gap) {
                // What was committed since the log looked is in memory by now.
                answerOrHold(poll, requester, after: reading.scanned, gap: gap)
            } else {
                answer(requester, poll, gap.map(reading.told) ?? reading)
            }
        }
    }

    /// Serves the polls that waited for the log's news to come this far.
    func serveCaughtUp(all: Bool = false) {
        guard let head = tail?.head, !behind.isEmpty else { return }
        let waiting = behind
        behind = waiting.filter { $0.head > head && !all }
        for (target, ticket) in waiting where target <= head || all {
            guard let pending = take(ticket), case .poll(let poll, _, _) = pending.work else {
                continue
            }
            serve(poll, pending.requester, isCurrent: true)
        }
    }

    func hold(_ poll: Poll, _ requester: Requester) {
        let connection = connections[Int(requester.connection)]
        // Given up in this turn, while an older request of it was being ended.
        guard connection.isOpen else { return }
        // The peer went while the log was asked; no edge will tell of that again.
        guard !connection.flags.contains(.peerEnded) else {
            // What it published behind this is still taken up.
            turnsDue.append(requester.connection)
            return
        }
        let isOvertaken =
            requester.ordinal != connection.requests && !connection.flags.contains(.mayMultiplex)
        guard !isOvertaken, connection.extra?.queued.isEmpty ?? true else {
            guard let tail else { return }
            return answer(requester, poll, tail.nothingNew(newest: tail.head))
        }
        makeRoom(for: poll.origin)
        // It was given up meanwhile, for what was ended was on it, too.
        guard connections[Int(requester.connection)].isOpen else { return }
        guard held.count + replays.count < heldLimit else {
            metrics[.heldRequests] += 1
            return turnAway(poll, requester, .busy)
        }
        let (opening, frontEnd) = opening(poll.origin)
        let channels = audience.shared(poll.subscription.channels)
        var subscription = poll.subscription.sharing(channels)
        var kind = HeldTable.Kind.poll
        if opening != .silent, let early = subscription.startingEarly() {
            (subscription, kind) = (early, opening == .probed ? .probedPoll : .begunPoll)
            let beginning = early.earlyHeaders + (kind == .probedPoll ? blanks : [])
            let bytes = codec.encodePart(beginning).bytes(for: requester.id)
            guard send(requester.connection, bytes) else { return }
        }
        let interest = audience.join(.answer(subscription), channels: subscription.channels)
        let slot = held.insert(
            HeldTable.Held(
                connection: requester.connection,
                requestID: requester.id,
                keepConnection: requester.keepConnection,
                kind: kind,
                frontEnd: frontEnd,
                interest: interest
            ),
            firstOfConnection: &connections[Int(requester.connection)].firstHeld
        )
        let wait = HoldBudget.waitMilliseconds(
            asked: poll.waitMilliseconds,
            held: held.count,
            limit: heldLimit
        )
        deadlines.add(slot, deadline: now + Int64(wait))
        if kind == .probedPoll { probeLater(slot, isFirst: true) }
        arrivals.add(
            slot,
            poll.origin,
            boundsAddresses: settings.limits.heldPerAddress != nil
        )
        stay(slot, poll.origin, subscription.channels)
        metrics.holds += 1
    }
}

extension Poll {
    /// Whether to hold when there are no messages. A gap is told at once, but to clients for whom an empty
    /// answer is a closed connection: they would learn nothing and come back for ever, and are told with the first
    /// message.
    fileprivate func mayWait(despite gap: GapReason?) -> Bool {
        waitMilliseconds > 0
            && (gap == nil
                || subscription.onTimeout == .close && subscription.onGap == .report)
    }
}

extension HistoryReading {
    /// The same with this gap instead of its own.
    func told(of gap: GapReason?) -> HistoryReading {
        HistoryReading(messages: messages, scanned: scanned, more: more, gap: gap, newest: newest)
    }
}
