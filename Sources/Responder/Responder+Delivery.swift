internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Logging
internal import Reactor

/// What the log committed, on its way to those who wait for it.
extension Responder {
    func receive(_ stamped: StampedEvent) {
        switch stamped.event {
        case .opened(let state):
            opened(state)
            serveCaughtUp(all: true)
        case .committed(let batch):
            guard let news = tail?.receive(batch) else { return }
            deliver(news, committedAt: stamped.nanoseconds)
            serveCaughtUp()
        case .appended(let ticket, let outcome): appended(ticket, outcome)
        case .history(let ticket, let outcome):
            historyRead(ticket, outcome)
            readEnded()
        case .message(let ticket, let outcome):
            defer { readEnded() }
            guard let waiting = take(ticket), case .message(let request) = waiting.work else {
                return
            }
            switch outcome {
            case .success(let message): answer(waiting.requester, request.answer(message))
            case .failure: answer(waiting.requester, request.unavailable())
            }
        case .channels(let ticket, let outcome):
            defer { readEnded() }
            guard let waiting = take(ticket), case .channels(let request) = waiting.work else {
                return
            }
            switch outcome {
            case .success(let listing):
                answer(waiting.requester, request.answer(listing, held: audience.holders(of:)))
            case .failure: answer(waiting.requester, request.unavailable())
            }
        case .unavailable(let sentence):
            if logTrouble != sentence { logger.error("\(sentence)") }
            logTrouble = sentence
            // Who starts with a log that can't be opened has been set up wrongly, and should hear of it at once.
            if tail == nil { failure = LogUnavailable() }
        case .notice(let sentence):
            logger.notice("\(sentence)")
        }
    }

    // MARK: To holders

    /// Makes each answer once for all who asked for the same, and sends it to each of them.
    private func deliver(_ batch: CommittedBatch, committedAt: Int64) {
        var delivered = 0
        for share in audience.shares(of: batch) where isHeld(share.id) {
            let subscription = audience[share.id]
            let taken = share.messages.prefixWithin(
                messages: subscription.messageLimit,
                bytes: settings.limits.answerBytes
            )
            let more = taken < share.messages.count
            let reading = HistoryReading(
                messages: Array(share.messages[..<taken]),
                scanned: more ? share.messages[taken - 1].offset : batch.head,
                more: more,
                gap: share.gap,
                newest: batch.head
            )
            delivered += release(share.id, reading, share.gap == nil ? .released : .gap)
        }
        guard delivered > 0 else { return }
        metrics.deliveries += UInt64(delivered)
        let microseconds = (MonotonicClock.nanoseconds() - committedAt) / 1000
        metrics.latency.record(microseconds: microseconds, times: delivered)
    }

    /// False once the last one has ended, as happens when a peer with several holds turns out to be gone.
    private func isHeld(_ interest: Int32) -> Bool { held.first(ofInterest: interest) != nil }

    /// Answers everybody who holds one interest; returns how many.
    @discardableResult
    private func release(_ interest: Int32, _ reading: HistoryReading, _ ending: Ending) -> Int {
        guard let tail else { return 0 }
        let answer = audience[interest].answer(reading, epoch: tail.epochs.current)
        return release(interest, answer, ending)
    }

    private func release(_ interest: Int32, _ answer: Answer, _ ending: Ending) -> Int {
        let encoded = codec.encode(answer.document)
        var count = 0
        while let slot = held.first(ofInterest: interest) {
            end(slot, ending, answer, encoded)
            count += 1
        }
        return count
    }

    /// Ends one held request with an answer.
    private func end(
        _ slot: HeldTable.Slot,
        _ ending: Ending,
        _ answer: Answer,
        _ encoded: EncodedAnswer
    ) {
        let requester = takeOut(slot, ending)
        metrics.answers[min(5, answer.status / 100)] += 1
        guard !answer.closes else { return finishWithoutAnswer(requester) }
        if requester.id.value == 1 {
            finish(requester, encoded.bytes)
        } else {
            finish(requester, encoded.bytes(for: requester.id))
        }
    }

    // MARK: Ending holds

    /// Takes a held request out of all tables and counts how it ended. What it is told is the caller's.
    @discardableResult
    func takeOut(_ slot: HeldTable.Slot, _ ending: Ending) -> Requester {
        let request = held[slot]
        held.remove(slot, firstOfConnection: &connections[Int(request.connection)].firstHeld)
        deadlines.remove(slot)
        audience.leave(request.interest)
        metrics[ending] += 1
        return Requester(
            connection: request.connection,
            id: request.requestID,
            keepConnection: request.keepConnection
        )
    }

    /// Ends what a connection holds without a word: nobody is there to hear it.
    func endHolds(of descriptor: Int32, _ ending: Ending) {
        while connections[Int(descriptor)].firstHeld >= 0 {
            takeOut(connections[Int(descriptor)].firstHeld, ending)
        }
    }

    /// Answers a held request with an empty batch and its cursor.
    func answerEmpty(_ slot: HeldTable.Slot, _ ending: Ending) {
        guard let tail else { return }
        let answer = audience[held[slot].interest].answer(
            tail.nothingNew(newest: tail.head),
            epoch: tail.epochs.current
        )
        end(slot, ending, answer, codec.encode(answer.document))
    }

    func expireHolds() {
        // Equal holds that expire in one turn get one answer.
        var answers: [Int32: (Answer, EncodedAnswer)] = [:]
        for slot in deadlines.expire(now: now) where held.isHeld(slot) {
            guard let tail else { return }
            let interest = held[slot].interest
            let ready =
                answers[interest]
                ?? {
                    let answer = audience[interest].answer(
                        tail.nothingNew(newest: tail.head),
                        epoch: tail.epochs.current
                    )
                    return (answer, codec.encode(answer.document))
                }()
            answers[interest] = ready
            end(slot, .deadline, ready.0, ready.1)
        }
    }

    func answerAllHolds(_ ending: Ending) {
        for descriptor in connections.indices where connections[descriptor].isOpen {
            for slot in held.slots(from: connections[descriptor].firstHeld) where held.isHeld(slot)
            {
                answerEmpty(slot, ending)
            }
        }
    }

    // MARK: From the log's threads

    /// The log is open, or another one is open in its place.
    private func opened(_ state: LogState) {
        // Marks of forgotten channels are known by their highest only.
        let floor = min(max(state.floor, state.forgottenThrough), state.head)
        let after = Tail(
            epochs: state.epochs,
            head: state.head,
            floor: floor,
            messages: state.messages.filter { $0.offset > floor },
            trims: state.trims,
            messageLimit: settings.bus.memoryMessages,
            byteLimit: settings.bus.memoryBytes
        )
        logTrouble = nil
        logger.notice(
            "log open",
            metadata: [
                "directory": "\(settings.bus.directory)", "epoch": "\(state.epochs.current)",
                "head": "\(state.head)",
            ]
        )
        guard let before = tail else {
            tail = after
            return
        }
        // Those who wait stand at the end of the log as it was.
        let position = Cursor(epoch: before.epochs.current, offset: before.head)
        switch after.epochs.verdict(on: position, head: after.head) {
        case .valid(let offset) where offset >= after.floor:
            let missed = CommittedBatch(
                previous: offset,
                head: after.head,
                messages: state.messages.filter { $0.offset > offset },
                trims: state.trims.filter { $0.through > offset }
            )
            tail = after
            deliver(missed, committedAt: MonotonicClock.nanoseconds())
        case .valid:
            // More came than memory keeps: they ask again, and the log itself answers.
            answerAllHolds(.released)
            tail = after
        case .restarted(let resume):
            tail = after
            releaseAll(.restarted, resume: resume)
        case .future:
            tail = after
            releaseAll(.restarted, resume: after.head)
        }
    }

    private func releaseAll(_ gap: GapReason, resume: Offset) {
        guard tail != nil else { return }
        let reading = HistoryReading(
            messages: [],
            scanned: resume,
            more: false,
            gap: gap,
            newest: resume
        )
        for interest in audience.all where isHeld(interest) { release(interest, reading, .gap) }
    }

    private func appended(_ ticket: UInt64, _ outcome: AppendOutcome) {
        if let charge = charges.removeValue(forKey: ticket) {
            queuedMessages -= charge.messages
            queuedBytes -= charge.bytes
        }
        guard let waiting = take(ticket), case .publish(let publication) = waiting.work else {
            return
        }
        let result =
            switch outcome {
            case .committed(let ids), .repeated(let ids): publication.answer(ids: ids)
            case .conflict: publication.conflict()
            case .overQuota(let seconds): publication.overQuota(retrySeconds: seconds)
            case .full: publication.full()
            case .unavailable: publication.unavailable()
            }
        answer(waiting.requester, result)
    }
}
