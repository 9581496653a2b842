internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Logging
internal import Reactor

/// Whom an answer goes to.
struct Requester {
    let connection: Int32
    let id: RequestID
    let keepConnection: Bool
}

/// From a framed request to an answer, a hold, or a question to the log.
extension Responder {
    func handle(_ event: FramingEvent, _ descriptor: Int32) {
        switch event {
        case .request(let framed): begin(framed, descriptor)
        case .abort(let id): abort(id, descriptor)
        case .reply(let bytes): send(descriptor, bytes)
        case .askedValues: connections[Int(descriptor)].flags.insert(.mayMultiplex)
        case .refuse(let id, let keepConnection, let bytes):
            finish(Requester(connection: descriptor, id: id, keepConnection: keepConnection), bytes)
        case .oversizedParams(let id, let keepConnection):
            let requester = Requester(
                connection: descriptor,
                id: id,
                keepConnection: keepConnection
            )
            answer(requester, interface.headersTooLarge())
        case .violation(let violation):
            logger.warning(
                "connection closed: its records break FastCGI 1.0",
                metadata: ["what": "\(violation)"]
            )
            drop(descriptor, .closed)
        }
    }

    private func begin(_ framed: FramedRequest, _ descriptor: Int32) {
        guard !waitForTurn(framed, descriptor) else { return }
        endOlderHolds(descriptor, newer: framed.id)
        metrics.requests += 1
        var request = CGIRequest()
        request.bodyDropped = framed.bodyDropped
        let decoded = codec.decode(framed) { decoded in
            unsafe decoded.forEachVariable { unsafe request.set($0, $1) }
            request.body = decoded.readBody()
            return true
        }
        guard decoded != nil else {
            logger.warning("connection closed: libfcgi refused a request")
            drop(descriptor, .closed)
            return
        }
        let requester = Requester(
            connection: descriptor,
            id: framed.id,
            keepConnection: framed.keepConnection
        )
        act(on: interface.intent(of: request, random: jitter.next()), requester)
    }

    /// A request with the id of one that still waits for the log comes after it.
    ///
    /// - Returns: true if the request was put aside (or the connection given up).
    private func waitForTurn(_ framed: FramedRequest, _ descriptor: Int32) -> Bool {
        let connection = connections[Int(descriptor)]
        let isQueueing = !(connection.extra?.queued.isEmpty ?? true)
        guard connection.pending > 0 || isQueueing else { return false }
        let reused = pending.values.contains {
            $0.requester.connection == descriptor && $0.generation == connection.generation
                && $0.requester.id == framed.id
        }
        guard reused || isQueueing else { return false }
        let extra = makeExtra(descriptor)
        guard extra.queued.count < 16 else {
            metrics[.queuedRequests] += 1
            drop(descriptor, .closed)
            return true
        }
        extra.queued.append(unsafe [UInt8](framed.records))
        return true
    }

    /// Takes up what waited for its turn, now that an answer has gone out. Not in the midst of a delivery,
    /// which must not meet newcomers.
    func takeUpQueued() {
        let descriptors = turnsDue
        turnsDue = []
        for descriptor in descriptors where connections[Int(descriptor)].isOpen {
            guard let extra = connections[Int(descriptor)].extra else { continue }
            let queued = extra.queued
            extra.queued = []
            for records in queued {
                unsafe records.withUnsafeBytes { unsafe frame(descriptor, $0) }
            }
        }
    }

    /// A peer that does not multiplex has lost interest in what it asked before; one that does may still not
    /// use an id twice.
    private func endOlderHolds(_ descriptor: Int32, newer id: RequestID) {
        let connection = connections[Int(descriptor)]
        guard connection.firstHeld >= 0 else { return }
        for slot in held.slots(from: connection.firstHeld)
        where !connection.flags.contains(.mayMultiplex) || held[slot].requestID == id {
            answerEmpty(slot, .newerRequest)
        }
    }

    private func abort(_ id: RequestID, _ descriptor: Int32) {
        let connection = connections[Int(descriptor)]
        for slot in held.slots(from: connection.firstHeld) where held[slot].requestID == id {
            let keepConnection = held[slot].keepConnection
            takeOut(slot, .aborted)
            finish(
                Requester(connection: descriptor, id: id, keepConnection: keepConnection),
                Record.endRequest(id: id, appStatus: 0, protocolStatus: .requestComplete)
            )
            return
        }
        for (ticket, waiting) in pending
        where waiting.requester.connection == descriptor
            && waiting.generation == connection.generation && waiting.requester.id == id
        {
            guard let requester = take(ticket)?.requester else { return }
            finish(
                requester,
                Record.endRequest(id: id, appStatus: 0, protocolStatus: .requestComplete)
            )
            return
        }
    }

    // MARK: Acting

    private func act(on intent: Intent, _ requester: Requester) {
        switch intent {
        case .answer(let ready): answer(requester, ready)
        case .subscribe(let poll): serve(poll, requester, isFinal: false)
        case .publish(let publication): publish(publication, requester)
        case .message(let request):
            guard tail != nil else { return answer(requester, request.unavailable()) }
            let ticket = wait(requester, .message(request), seconds: 10)
            log.message(ticket: ticket, id: request.id)
        case .page(let request): answer(requester, page(request))
        case .held(let shape):
            answer(requester, shape.plain("text/plain; charset=utf-8", "polling = \(held.count)"))
        case .live(let shape): answer(requester, shape.plain("text/plain; charset=utf-8", "live\n"))
        case .ready(let shape): answer(requester, readiness(shape))
        case .metrics(let shape): answer(requester, metricsPage(shape))
        case .status(let shape): answer(requester, statusPage(shape))
        }
    }

    private func publish(_ publication: Publication, _ requester: Requester) {
        let messages = publication.drafts.count
        let bytes = publication.drafts.reduce(0) { $0 + $1.body.count }
        guard !isStopping, queuedMessages + messages <= settings.limits.publishQueueMessages,
            queuedBytes + bytes <= settings.limits.publishQueueBytes
        else {
            metrics[.publishQueue] += 1
            return answer(requester, publication.busy())
        }
        queuedMessages += messages
        queuedBytes += bytes
        let ticket = wait(
            requester,
            .publish(publication, messages: messages, bytes: bytes),
            seconds: 2
        )
        log.append(
            Append(
                ticket: ticket,
                drafts: publication.drafts,
                idempotency: publication.idempotency.map {
                    IdempotencyKey(publisher: $0.publisher, key: $0.key)
                }
            )
        )
    }

    /// Answers a poll at once if there is something to say, else holds it.
    ///
    /// `isFinal`: the log was asked whether it knows more than this process, so that its verdict on the
    /// cursor stands.
    func serve(_ poll: Poll, _ requester: Requester, isFinal: Bool) {
        guard let tail else { return answer(requester, poll.subscription.unavailable()) }
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
            hold(poll, requester)
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
        let ticket = wait(requester, .poll(poll, question), seconds: 10)
        log.read(
            HistoryRequest(
                ticket: ticket,
                channels: poll.subscription.channels,
                start: start,
                messageLimit: poll.subscription.messageLimit,
                byteLimit: settings.limits.answerBytes
            )
        )
    }

    func historyRead(_ ticket: UInt64, _ outcome: Result<HistoryReading, LogFailure>) {
        guard let waiting = take(ticket), case .poll(let poll, let question) = waiting.work else {
            return
        }
        let requester = waiting.requester
        guard case .success(let reading) = outcome else {
            return answer(requester, poll.subscription.unavailable())
        }
        switch question {
        case .lookAhead:
            serve(poll, requester, isFinal: true)
        case .reading(let gap):
            let gap = gap ?? reading.gap
            if reading.messages.isEmpty, poll.mayWait(despite: gap) {
                // What was committed since the log looked is in memory by now.
                answerOrHold(poll, requester, after: reading.scanned, gap: nil)
            } else {
                answer(requester, poll, gap.map(reading.told) ?? reading)
            }
        }
    }

    func hold(_ poll: Poll, _ requester: Requester) {
        guard held.count < settings.limits.heldRequests else {
            metrics[.heldRequests] += 1
            return answer(requester, poll.subscription.busy())
        }
        let early = poll.subscription.earlyHeaders
        if let early, !send(requester.connection, codec.encodePart(early).bytes(for: requester.id))
        {
            return
        }
        let interest = audience.join(poll.subscription, channels: poll.subscription.channels)
        let slot = held.insert(
            HeldTable.Held(
                connection: requester.connection,
                requestID: requester.id,
                keepConnection: requester.keepConnection,
                startedEarly: early != nil,
                interest: interest
            ),
            firstOfConnection: &connections[Int(requester.connection)].firstHeld
        )
        deadlines.add(slot, deadline: now + Int64(poll.waitMilliseconds))
        metrics.holds += 1
    }

    // MARK: Waiting for the log

    private func wait(_ requester: Requester, _ work: Pending.Work, seconds: Int64) -> UInt64 {
        lastTicket += 1
        pending[lastTicket] = Pending(
            requester: requester,
            generation: connections[Int(requester.connection)].generation,
            work: work,
            deadline: now + seconds * 1000
        )
        connections[Int(requester.connection)].pending += 1
        return lastTicket
    }

    /// The request behind a ticket, once; nil if nobody waits for it any more.
    func take(_ ticket: UInt64) -> Pending? {
        guard let waiting = pending.removeValue(forKey: ticket) else { return nil }
        if case .publish(_, let messages, let bytes) = waiting.work {
            queuedMessages -= messages
            queuedBytes -= bytes
        }
        let connection = connections[Int(waiting.requester.connection)]
        guard connection.flags.contains(.open), connection.generation == waiting.generation else {
            return nil
        }
        connections[Int(waiting.requester.connection)].pending -= 1
        return waiting
    }

    /// Ends the waiting of those whom the log keeps waiting too long.
    func expirePending() {
        for (ticket, waiting) in pending where now >= waiting.deadline {
            guard take(ticket) != nil else { continue }
            switch waiting.work {
            case .publish(let publication, _, _):
                metrics[.publishTime] += 1
                answer(waiting.requester, publication.outcomeUnknown())
            case .poll(let poll, _): answer(waiting.requester, poll.subscription.unavailable())
            case .message(let request): answer(waiting.requester, request.unavailable())
            }
        }
    }

    // MARK: Answering

    func answer(_ requester: Requester, _ poll: Poll, _ reading: HistoryReading) {
        guard let tail else { return }
        answer(
            requester,
            poll.answer(reading, epoch: tail.epochs.current)
        )
    }

    func answer(_ requester: Requester, _ answer: Answer) {
        if let note = answer.note, now >= notesResumeAt {
            logger.warning("\(note)")
            notesResumeAt = now + 60_000
        }
        metrics.answers[min(5, answer.status / 100)] += 1
        if answer.closes { return drop(requester.connection, .closed) }
        finish(requester, codec.encode(answer.document).bytes(for: requester.id))
    }

    /// Sends the last bytes of a request.
    func finish(_ requester: Requester, _ bytes: [UInt8]) {
        guard send(requester.connection, bytes) else { return }
        if !requester.keepConnection {
            connections[Int(requester.connection)].flags.insert(.closesWhenIdle)
        }
        if !(connections[Int(requester.connection)].extra?.queued.isEmpty ?? true) {
            turnsDue.append(requester.connection)
        }
        dropIfDone(requester.connection)
    }
}

extension Poll {
    /// Whether to hold when there are no messages. A gap is told at once, but to clients for whom an empty
    /// answer is a closed connection: they would learn nothing and come back for ever.
    fileprivate func mayWait(despite gap: GapReason?) -> Bool {
        waitMilliseconds > 0 && (gap == nil || subscription.onTimeout == .close)
    }
}

extension HistoryReading {
    /// The same with a gap that the cursor itself tells of.
    func told(of gap: GapReason) -> HistoryReading {
        HistoryReading(messages: messages, scanned: scanned, more: more, gap: gap, newest: newest)
    }
}
