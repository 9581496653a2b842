internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Liveness

/// Polls: answered from memory or from the log's history, or held.
extension Core {
    /// Answers a poll at once if there is something to answer; otherwise holds it.
    ///
    /// - Parameters:
    ///   - arrival: the poll has waited for what other processes had committed when it came, up to this offset.
    ///   - isFinal: the log was asked whether it has more than this process knows, so that its verdict on the
    ///     cursor is final.
    mutating func serve(
        _ poll: borrowing Poll,
        _ requester: Requester,
        arrival: Offset? = nil,
        isFinal: Bool = false
    ) {
        guard let head = knownLog.head else { return turnAway(poll, requester, .unavailable) }
        // A message whose publisher was told that it is committed, by any process, is found at this process, too.
        if arrival == nil, !isFinal, let committed = moment.committedHead, committed > head {
            guard let ticket = wait(poll, requester, .head(committed)) else { return }
            return waiting.await(committed, ticket)
        }
        switch poll.start {
        case .now:
            // The poll also gets what was committed since it came, however late its events arrive.
            answerOrHold(poll, requester, after: min(arrival ?? head, head), gap: nil)
        case .history(.newest):
            if let newest = knownLog.tail?.newest(of: poll.subscription.channels) {
                answer(poll, requester, nothingNew(newest: newest))
            } else {
                ask(poll, requester, .newest, .reading(after: nil, gap: nil))
            }
        case .history(let start): ask(poll, requester, start, .reading(after: nil, gap: nil))
        case .cursor(let cursor):
            guard let epochs = knownLog.epochs else { return }
            let start = CursorStart(
                cursor,
                in: epochs,
                head: head,
                isFinal: isFinal,
                unissued: unissued
            )
            switch start {
            case .after(let offset, let gap):
                answerOrHold(poll, requester, after: offset, gap: gap)
            case .lookAhead: ask(poll, requester, .newest, .lookAhead)
            }
        }
    }

    /// Answers a poll for which nothing was read.
    mutating func turnAway(_ poll: borrowing Poll, _ requester: Requester, _ reason: Poll.Refusal) {
        let refusal = poll.turnedAway(
            reason,
            at: position,
            retryAfterSeconds: HoldBudget.retrySeconds(random: jitter.next())
        )
        answer(refusal, to: requester.address)
    }

    /// Ends a poll that waits for the log.
    mutating func endWaiting(_ ticket: Ticket, _ reason: Poll.EarlyEnd) {
        guard let entry = settle(ticket),
            case .poll(let poll, let requester, let question, let epoch) = entry.work
        else { return }
        let answer = poll.ended(reason, at: poll.position(question, epoch), end: position)
        self.answer(answer, to: requester.address)
    }

    private mutating func turnAwayForBound(_ poll: borrowing Poll, _ requester: Requester) {
        counters[.heldRequests] += 1
        turnAway(poll, requester, .busy)
    }

    /// A page without messages.
    func nothingNew(newest: Offset) -> HistoryPage {
        HistoryPage(
            messages: [],
            scanned: knownLog.head ?? .start,
            more: false,
            gap: nil,
            newest: newest
        )
    }

    private mutating func answer(
        _ poll: borrowing Poll,
        _ requester: Requester,
        _ page: HistoryPage
    ) {
        guard let epoch = knownLog.epoch else { return }
        let fitting = poll.subscription.fitting(page, bytes: settings.limits.answerBytes)
        guard let content = poll.content(of: fitting) else {
            return answer(poll.answer(fitting, epoch: epoch), to: requester.address)
        }
        let known = recentBodies.body(of: content, in: epoch)
        let made = poll.answer(fitting, epoch: epoch, body: known)
        if known == nil, made.status == 200 {
            recentBodies.keep(made.body, of: content, in: epoch)
        }
        answer(made, to: requester.address)
    }

    /// Answers with what the channels have after `offset`; holds if that is nothing, and waiting was asked for.
    private mutating func answerOrHold(
        _ poll: borrowing Poll,
        _ requester: Requester,
        after offset: Offset,
        gap: GapReason?
    ) {
        // The usual case: it comes with the cursor that it was just given.
        if knownLog.tail?.hasNothing(after: offset) == true, poll.mayWait(despite: gap), !isStopping
        {
            return hold(poll, requester, owing: gap)
        }
        let page = knownLog.tail?.read(
            poll.subscription.channels,
            after: offset,
            messageLimit: poll.subscription.messageLimit,
            byteLimit: settings.limits.answerBytes,
            now: moment.retentionMilliseconds
        )
        guard let page else {
            return ask(poll, requester, .after(offset), .reading(after: offset, gap: gap))
        }
        let gap = gap ?? page.gap
        if page.messages.isEmpty, poll.mayWait(despite: gap), !isStopping {
            hold(poll, requester, owing: gap)
        } else {
            answer(poll, requester, page.with(gap: gap))
        }
    }

    // MARK: Asking the log

    private mutating func ask(
        _ poll: borrowing Poll,
        _ requester: Requester,
        _ start: HistoryStart,
        _ question: Question
    ) {
        guard let ticket = wait(poll, requester, question) else { return }
        queue(
            .history(
                HistoryRequest(
                    ticket: ticket.number,
                    channels: poll.subscription.channels,
                    start: start.bounded(settings.limits.answerMessages),
                    messageLimit: poll.subscription.messageLimit,
                    byteLimit: settings.limits.answerBytes,
                    looksAhead: question.isLookAhead
                )
            )
        )
    }

    /// Nil, and the poll is refused, if too many wait already.
    private mutating func wait(
        _ poll: borrowing Poll,
        _ requester: Requester,
        _ question: Question
    ) -> Ticket? {
        guard let epoch = knownLog.epoch, waiting.count < heldLimit else {
            turnAwayForBound(poll, requester)
            return nil
        }
        let work = Work.poll(copy poll, requester, question, epoch)
        return wait(work, for: .request(requester.address), .reading)
    }

    /// The log has answered.
    mutating func read(
        _ outcome: Result<HistoryPage, ReadFailure>,
        for poll: borrowing Poll,
        _ requester: Requester,
        _ question: Question,
        _ epoch: Epoch
    ) {
        // The log was replaced meanwhile: the cursor is judged anew, and what was read is useless.
        guard knownLog.epoch == epoch else { return serve(poll, requester) }
        guard case .success(let page) = outcome else {
            return turnAway(poll, requester, .unavailable)
        }
        switch question {
        case .head: preconditionFailure("the log's reader was not asked")
        case .lookAhead: serve(poll, requester, isFinal: true)
        case .reading(_, let known):
            let gap = known ?? page.gap
            if page.messages.isEmpty, poll.mayWait(despite: gap) {
                // What was committed after the log was read is in memory by now.
                answerOrHold(poll, requester, after: page.scanned, gap: gap)
            } else {
                answer(poll, requester, page.with(gap: gap))
            }
        }
    }

    // MARK: Holding

    /// - Parameter gap: to be reported when the hold ends.
    private mutating func hold(
        _ poll: borrowing Poll,
        _ requester: Requester,
        owing gap: GapReason?
    ) {
        let address = requester.address
        // The peer left while the log was asked; no event will report that again.
        guard !connections[address.connection].flags.contains(.peerEnded) else {
            traceEnd(address, .closed)
            // What it published behind this is still begun.
            takeUpLater(address.connection)
            actions.append(.settle(address.connection))
            return
        }
        guard !isOvertaken(requester) else {
            // The cursor moves on, so a gap that was to come with the first message comes now.
            let nothing = nothingNew(newest: knownLog.head ?? .start)
            return answer(poll, requester, nothing.with(gap: gap ?? poll.subscription.owedGap))
        }
        makeRoom(for: poll.origin)
        let place = frontEnds.place(of: poll.origin, &actions)
        var subscription = poll.subscription
        if let gap { subscription = subscription.owing(gap) }
        if subscription.channels.count > 1 {
            subscription = subscription.sharing(holds.shared(subscription.channels))
        }
        let kind = beginHold(&subscription, poll.origin.wish, address, place)
        let wait = HoldBudget.waitMilliseconds(
            asked: poll.waitMilliseconds,
            // This one, too.
            held: holds.count + 1,
            limit: heldLimit
        )
        insert(
            Holds.Hold(
                address: address,
                kind: kind,
                frontEnd: place,
                interest: .answer(consume subscription),
                origin: poll.origin,
                deadline: min(now + Int64(wait), poll.origin.right?.endsAt ?? .max),
                probe: kind == .probedPoll ? now + frontEnds.firstProbeMilliseconds(place) : nil
            )
        )
        counters.holds += 1
    }

    /// Sends what a hold begins with, if anything, which its subscription then knows.
    private mutating func beginHold(
        _ subscription: inout Subscription,
        _ wish: ProbePolicy.Wish,
        _ address: RequestAddress,
        _ place: ProbePolicy.Place
    ) -> HeldTable.Kind {
        let opening = frontEnds.opening(place, wish)
        guard opening != .silent, let early = subscription.startingEarly() else { return .poll }
        subscription = early
        let isProbed = opening == .probed
        let bytes = early.earlyHeaders + (isProbed ? frontEnds.blanks : [])
        send(part: actions.add(.part, body: bytes), to: address)
        return isProbed ? .probedPoll : .begunPoll
    }

    /// Whether a newer request has come on its connection, behind which no other may wait.
    private mutating func isOvertaken(_ requester: Requester) -> Bool {
        let connection = connections[requester.address.connection]
        return requester.ordinal != connection.requests
            && !connection.flags.contains(.mayMultiplex)
            || connection.flags.contains(.queues)
    }
}

extension Poll {
    /// Whether to hold if there are no messages. A gap is reported at once, except to clients for which an empty answer
    /// is a closed connection: these would not learn of it and come back for ever, so they get it with the first
    /// message.
    fileprivate func mayWait(despite gap: GapReason?) -> Bool {
        waitMilliseconds > 0
            && (gap == nil
                || subscription.onTimeout == .close && subscription.onGap == .report)
    }
}
