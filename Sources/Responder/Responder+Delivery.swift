internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Glibc
internal import Logging
internal import Reactor

/// What the log committed, on its way to those who wait for it.
extension Responder {
    func receive(_ news: News) {
        switch news {
        case .log(let event, let nanoseconds): receive(event, toldAt: nanoseconds)
        case .serving(let round, let outcome): serve(round: round, outcome)
        }
    }

    private func receive(_ event: Channels.LogEvent, toldAt nanoseconds: Int64) {
        switch event {
        case .opened(let state):
            logTrouble = nil
            logger.notice(
                "log open",
                metadata: [
                    "directory": "\(settings.bus.directory)", "epoch": "\(state.epochs.current)",
                    "head": "\(state.head)",
                ]
            )
            takeUp(state)
            serveCaughtUp(all: true)
            if !isForOneClient {
                renewSiblings()
                loadPresence()
            }
            askToServe()
            if let client = waitingClient {
                waitingClient = nil
                addBusPeer(client, LocalPeer(user: geteuid(), groups: [getegid()], isOwner: true))
            }
        case .resumed(let state):
            takeUp(state)
            serveCaughtUp()
            if !isForOneClient { loadPresence() }
        case .committed(let batch):
            guard let news = tail?.receive(batch) else { return }
            takeInPresence(news.messages)
            deliver(news, committedAt: nanoseconds)
            serveCaughtUp()
        case .appended(let ticket, let outcome): appended(ticket, outcome)
        case .history(let ticket, let outcome):
            if !ownHistory(ticket, outcome) { historyRead(ticket, outcome) }
            readEnded()
        case .message(let ticket, let outcome):
            defer { readEnded() }
            guard let waiting = take(ticket) else { return }
            switch (waiting.work, outcome) {
            case (.message(let request), .success(let message)):
                answer(waiting.requester, request.answer(message))
            case (.message(let request), .failure):
                answer(waiting.requester, request.unavailable())
            case (.busMessage(let request, let place), .success(let message)):
                replyLater(waiting.requester, place, request.reply(message))
            case (.busMessage(let request, let place), .failure):
                replyLater(waiting.requester, place, request.command.unavailable())
            case (_, _): break
            }
        case .channels(let ticket, let outcome):
            if !ownListing(ticket, outcome) { listed(ticket, outcome) }
            readEnded()
        case .unavailable(let sentence):
            // Who starts with a log that can't be opened has been set up wrongly, and should hear of it at once.
            guard tail != nil else {
                failure = LogUnavailable(sentence: sentence)
                return
            }
            if logTrouble != sentence { logger.error("\(sentence)") }
            logTrouble = sentence
        case .notice(let sentence, let level): note(sentence, level)
        }
    }

    func note(_ sentence: String, _ level: NoticeLevel) {
        switch level {
        case .notice: logger.notice("\(sentence)")
        case .warning: logger.warning("\(sentence)")
        case .error: logger.error("\(sentence)")
        }
    }

    func list(_ listing: BusListing, _ place: Int, _ requester: Requester) {
        let ticket = wait(requester, .listing(listing, place: place), seconds: 10)
        read(.channels(ticket: ticket, listing.selection))
    }

    private func listed(_ ticket: UInt64, _ outcome: Result<ChannelListing, LogFailure>) {
        guard let waiting = take(ticket) else { return }
        switch (waiting.work, outcome) {
        case (.channels(let request), .success(let listing)):
            survey(waiting.requester, .channels(request, listing))
        case (.channels(let request), .failure):
            answer(waiting.requester, request.unavailable())
        case (.listing(let request, let place), .success(let listing)):
            switch request.readable(listing) {
            case .listing(let readable):
                survey(waiting.requester, .listing(request, place: place, readable))
            case .goOn(let rest): list(rest, place, waiting.requester)
            }
        case (.listing(let request, let place), .failure):
            replyLater(waiting.requester, place, request.command.unavailable())
        case (_, _): break
        }
    }

    // MARK: To holders

    /// Makes each answer once for all who asked for the same, and sends it to each of them.
    private func deliver(_ batch: CommittedBatch, committedAt: Int64) {
        var delivered = 0
        var encoded = Encoded()
        for share in audience.shares(of: batch) where isHeld(share.id) {
            switch audience[share.id] {
            case .answer(let subscription):
                delivered += release(share, subscription, batch, &encoded)
            case .stream(let stream):
                let reading = HistoryReading(
                    messages: share.messages,
                    scanned: batch.head,
                    more: false,
                    gap: share.gap,
                    newest: batch.head
                )
                delivered += extend(share.id, stream, reading, after: batch.previous, &encoded)
            }
            relieveMemory()
        }
        guard delivered > 0 else { return }
        metrics.deliveries += UInt64(delivered)
        let microseconds = (MonotonicClock.nanoseconds() - committedAt) / 1000
        metrics.latency.record(microseconds: microseconds, times: delivered)
    }

    /// Answers those who hold one interest with their share of what was committed; returns how many.
    private func release(
        _ share: Audience<Wanted>.Share,
        _ subscription: Subscription,
        _ batch: CommittedBatch,
        _ encoded: inout Encoded
    ) -> Int {
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
        return release(
            share.id,
            subscription,
            reading,
            share.gap == nil ? .released : .gap,
            &encoded
        )
    }

    /// False once the last one has ended, as happens when a peer with several holds turns out to be gone.
    private func isHeld(_ interest: Int32) -> Bool { held.first(ofInterest: interest) != nil }

    /// Answers everybody who holds one interest; returns how many.
    @discardableResult
    private func release(
        _ interest: Int32,
        _ subscription: Subscription,
        _ reading: HistoryReading,
        _ ending: Ending,
        _ encoded: inout Encoded
    ) -> Int {
        guard let tail else { return 0 }
        let content = subscription.content(of: reading)
        let known = content.flatMap { encoded.bodies[$0] }
        let reading =
            known?.reading ?? subscription.fitting(reading, bytes: settings.limits.answerBytes)
        let answer = subscription.answer(reading, epoch: tail.epochs.current, body: known?.bytes)
        let body = known?.records ?? codec.encode(answer.body)
        if let content, known == nil { encoded.add((reading, answer.body, body), content) }
        let outgoing = outgoing(answer, body: body)
        var count = 0
        while let slot = held.first(ofInterest: interest) {
            end(slot, ending, answer, outgoing)
            count += 1
        }
        return count
    }

    /// Ends one held request with an answer.
    private func end(
        _ slot: HeldTable.Slot,
        _ ending: Ending,
        _ answer: Answer,
        _ outgoing: Outgoing
    ) {
        let requester = takeOut(slot, ending)
        metrics.answers[min(5, answer.status / 100)] += 1
        guard !answer.closes else { return finishWithoutAnswer(requester) }
        finish(requester, outgoing)
    }

    // MARK: Ending holds

    /// Takes a held request out of all tables and counts how it ended. What it is told is the caller's.
    @discardableResult
    func takeOut(_ slot: HeldTable.Slot, _ ending: Ending) -> Requester {
        let requester = requester(of: slot)
        removeHeld(slot)
        metrics[ending] += 1
        return requester
    }

    func removeHeld(_ slot: HeldTable.Slot) {
        let request = held[slot]
        held.remove(slot, firstOfConnection: &connections[Int(request.connection)].firstHeld)
        deadlines.remove(slot)
        probes.remove(slot)
        arrivals.remove(slot)
        endStay(slot)
        audience.leave(request.interest)
    }

    /// Ends what a connection holds without a word: nobody is there to hear it.
    func endHolds(of descriptor: Int32, _ ending: Ending) {
        while connections[Int(descriptor)].firstHeld >= 0 {
            let slot = connections[Int(descriptor)].firstHeld
            takeOut(slot, ending == .closed ? departed(slot) : ending)
        }
    }

    /// Answers a held request with an empty batch and its cursor; a stream says its last word.
    func answerEmpty(
        _ slot: HeldTable.Slot,
        _ ending: Ending,
        retryAfterSeconds: Int? = nil
    ) {
        guard let tail else { return }
        switch audience[held[slot].interest] {
        case .answer(let subscription):
            let answer = subscription.answer(
                tail.nothingNew(newest: tail.head),
                epoch: tail.epochs.current,
                retryAfterSeconds: retryAfterSeconds
            )
            end(slot, ending, answer, outgoing(answer))
        case .stream:
            endStream(
                slot,
                ending,
                ending.ofStream,
                at: Cursor(epoch: tail.epochs.current, offset: tail.head),
                retryAfterSeconds: retryAfterSeconds
            )
        }
    }

    private func nothing(for subscription: Subscription, _ tail: Tail) -> Answer {
        subscription.answer(tail.nothingNew(newest: tail.head), epoch: tail.epochs.current)
    }

    func expireHolds() {
        // Equal holds that expire in one turn get one answer.
        var answers: [Int32: (Answer, Outgoing)] = [:]
        for slot in deadlines.expire(now: now) where held.isHeld(slot) {
            guard let tail else { return }
            let interest = held[slot].interest
            switch audience[interest] {
            case .stream:
                outlived(held[slot].frontEnd)
                answerEmpty(slot, .lifetime)
            case .answer(let subscription):
                let ready =
                    answers[interest]
                    ?? {
                        let answer = nothing(for: subscription, tail)
                        return (answer, outgoing(answer))
                    }()
                answers[interest] = ready
                end(slot, .deadline, ready.0, ready.1)
            }
        }
    }

    func answerAllHolds(_ ending: Ending) {
        for replay in replays.all { endReplay(replay, .shutdown) }
        for descriptor in connections.indices where connections[descriptor].isOpen {
            for slot in held.slots(from: connections[descriptor].firstHeld) where held.isHeld(slot)
            {
                answerEmpty(slot, ending)
            }
        }
    }

    // MARK: From the log's threads

    /// The log is open, or another one in its place, or more came than memory keeps.
    private func takeUp(_ state: LogState) {
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
        guard let before = tail else {
            tail = after
            acceptAgainAt = 0
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
            // More came than memory keeps: polls ask again, and the log itself answers; streams read it.
            var encoded = Encoded()
            for interest in audience.all where isHeld(interest) {
                guard case .answer(let subscription) = audience[interest] else { continue }
                let reading = before.nothingNew(newest: before.head)
                release(interest, subscription, reading, .released, &encoded)
            }
            tail = after
            replayAll(from: position)
        case .restarted(let resume):
            tail = after
            releaseAll(.restarted, from: position, resume: resume)
        case .future:
            tail = after
            releaseAll(.restarted, from: position, resume: after.head)
        }
    }

    private func replayAll(
        from position: Cursor,
        owing gap: (reason: GapReason, resumed: Cursor)? = nil
    ) {
        for interest in audience.all where isHeld(interest) {
            guard case .stream = audience[interest] else { continue }
            for slot in held.slots(ofInterest: interest) where held.isHeld(slot) {
                replayAgain(slot, from: position, owing: gap)
            }
        }
    }

    private func releaseAll(_ gap: GapReason, from position: Cursor, resume: Offset) {
        guard let tail else { return }
        let resumed = Cursor(epoch: tail.epochs.current, offset: resume)
        replayAll(from: position, owing: (gap, resumed))
        let reading = HistoryReading(
            messages: [],
            scanned: resume,
            more: false,
            gap: gap,
            newest: resume
        )
        var encoded = Encoded()
        for interest in audience.all where isHeld(interest) {
            guard case .answer(let subscription) = audience[interest] else { continue }
            release(interest, subscription, reading, .gap, &encoded)
        }
    }

    private func appended(_ ticket: UInt64, _ outcome: AppendOutcome) {
        if let charge = charges.removeValue(forKey: ticket) {
            queuedMessages -= charge.messages
            queuedBytes -= charge.bytes
        }
        if pipeAppended(ticket, outcome) || presenceAppended(ticket, outcome) { return }
        guard let waiting = take(ticket) else { return }
        switch waiting.work {
        case .publish(let request): answer(waiting.requester, request.answer(outcome))
        case .command(let publish, let place):
            replyLater(waiting.requester, place, publish.reply(outcome))
        case .poll, .message, .channels, .listing, .busMessage, .replay, .survey: break
        }
    }
}
