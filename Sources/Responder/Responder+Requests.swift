internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Logging
internal import Reactor

/// Whom an answer goes to.
struct Requester {
    let connection: Int32
    let id: RequestID
    let keepConnection: Bool
    /// Which of its connection's requests it is.
    var ordinal: UInt32 = 0
}

/// From a framed request to an answer, a hold, or a question to the log.
extension Responder {
    func handle(_ event: FramingEvent, _ descriptor: Int32) {
        switch event {
        case .request(let framed): begin(framed, descriptor, bodyDropped: framed.bodyDropped)
        case .abort(let id): abort(id, descriptor)
        case .reply(let bytes): send(descriptor, bytes)
        case .askedValues: connections[Int(descriptor)].flags.insert(.mayMultiplex)
        case .refuse(let id, _, _) where isInUse(id, descriptor),
            .oversizedParams(let id, _) where isInUse(id, descriptor):
            complain(.idInUse, "connection closed: it began a request whose id was in use")
            drop(descriptor, .closed)
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
            tell(of: violation)
            if violation.isHTTP { send(descriptor, Self.wordToHTTP) }
            drop(descriptor, .closed)
        }
    }

    /// Whoever may connect could fill the log with this; a line in ten seconds is enough.
    private func tell(of violation: FramingViolation) {
        violations += 1
        guard now >= violationNoteAt else { return }
        violationNoteAt = now + 10_000
        let what: Logger.Message =
            violation.isHTTP || violation.isTLS
            ? """
            connection closed: it spoke HTTP or TLS to the FastCGI socket; the web server must be told to speak FastCGI, \
            as by fastcgi_pass (nginx), not proxy_pass
            """ : "connection closed: its records break FastCGI 1.0"
        logger.warning(what, metadata: ["what": "\(violation)", "so_far": "\(violations)"])
    }

    /// For whoever looks at the answer that a proxy_pass got.
    private static let wordToHTTP = Array(
        """
        HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
        This socket speaks FastCGI, not HTTP: use fastcgi_pass or its like in the web server.\n
        """.utf8
    )

    /// Whether a request of this id is held, or waits for the log.
    func isInUse(_ id: RequestID, _ descriptor: Int32) -> Bool {
        pendingTicket(descriptor, id) != nil
            || held.slots(from: connections[Int(descriptor)].firstHeld)
                .contains { held[$0].requestID == id }
    }

    /// Decodes a whole request and acts on it.
    func begin(_ framed: FramedRequest, _ descriptor: Int32, bodyDropped: Bool) {
        guard !waitForTurn(framed, descriptor, bodyDropped: bodyDropped),
            let requester = requester(of: framed, descriptor),
            var request = decode(framed, descriptor)
        else { return }
        request.bodyDropped = bodyDropped
        act(on: interface.intent(of: request, random: jitter.next()), requester)
    }

    /// A request's variables have come, and its body has not: refuses it at once if they are reason enough.
    func judge(_ head: FramedRequest, _ descriptor: Int32) -> BodyVerdict {
        // What comes behind another request of its id is looked at in its turn.
        guard !isInUse(head.id, descriptor),
            connections[Int(descriptor)].extra?.queued.isEmpty ?? true
        else { return .keep }
        guard var request = decode(head, descriptor) else { return .answered }
        request.awaitsBody = true
        switch interface.verdict(onHead: request) {
        case .keep: return .keep
        case .drop: return .drop
        case .refuse(let refusal):
            guard let requester = requester(of: head, descriptor) else { return .answered }
            connections[Int(descriptor)].flags.insert(.passingOver)
            answer(requester, refusal)
            return .answered
        }
    }

    /// Whom the answer to a request that begins goes to; nil if its connection had to be given up.
    private func requester(of framed: FramedRequest, _ descriptor: Int32) -> Requester? {
        connections[Int(descriptor)].requests &+= 1
        connections[Int(descriptor)].flags.insert(.used)
        endOlderHolds(descriptor, newer: framed.id)
        guard connections[Int(descriptor)].isOpen else { return nil }
        metrics.requests += 1
        return Requester(
            connection: descriptor,
            id: framed.id,
            keepConnection: framed.keepConnection,
            ordinal: connections[Int(descriptor)].requests
        )
    }

    private func decode(_ framed: FramedRequest, _ descriptor: Int32) -> CGIRequest? {
        var request = CGIRequest()
        let decoded = codec.decode(framed) { decoded in
            unsafe decoded.forEachVariable { unsafe request.set($0, $1) }
            request.body = decoded.readBody()
            return true
        }
        guard decoded != nil else {
            complain(.refusedRequest, "connection closed: libfcgi refused a request")
            drop(descriptor, .closed)
            return nil
        }
        return request
    }

    /// A request with the id of one that still waits for the log comes after it.
    ///
    /// - Returns: true if the request was put aside (or the connection given up).
    private func waitForTurn(
        _ framed: FramedRequest,
        _ descriptor: Int32,
        bodyDropped: Bool
    ) -> Bool {
        let connection = connections[Int(descriptor)]
        let isQueueing = takingUp != descriptor && !(connection.extra?.queued.isEmpty ?? true)
        guard connection.pending > 0 || isQueueing else { return false }
        guard isQueueing || pendingTicket(descriptor, framed.id) != nil else { return false }
        let extra = makeExtra(descriptor)
        let size = unsafe framed.records.count
        guard extra.queued.count < 16,
            unfinishedBytes + size <= settings.limits.unfinishedBytes
        else {
            metrics[.queuedRequests] += 1
            drop(descriptor, .closed)
            return true
        }
        extra.queued.append(
            .init(
                id: framed.id,
                records: unsafe [UInt8](framed.records),
                limits: framing,
                bodyDropped: bodyDropped
            )
        )
        charge(descriptor)
        return true
    }

    /// Takes up what waited for its turn, now that an answer has gone out. Not in the midst of a delivery,
    /// which must not meet newcomers.
    func takeUpQueued() {
        let descriptors = turnsDue
        turnsDue = []
        for descriptor in descriptors where connections[Int(descriptor)].isOpen {
            takingUp = descriptor
            while connections[Int(descriptor)].isOpen,
                let extra = connections[Int(descriptor)].extra, let next = extra.queued.first,
                pendingTicket(descriptor, next.id) == nil
            {
                extra.queued.removeFirst()
                charge(descriptor)
                frameAside(descriptor, next)
            }
            takingUp = -1
            dropIfDone(descriptor)
            relieveMemory()
        }
    }

    /// A peer that does not multiplex has lost interest in what it asked before; one that does may still not
    /// use an id twice.
    private func endOlderHolds(_ descriptor: Int32, newer id: RequestID) {
        let connection = connections[Int(descriptor)]
        for slot in held.slots(from: connection.firstHeld)
        where held.isHeld(slot)
            && (!connection.flags.contains(.mayMultiplex) || held[slot].requestID == id)
        {
            answerEmpty(slot, .newerRequest)
        }
        for replay in replays.of(descriptor)
        where !connection.flags.contains(.mayMultiplex) || replay.requester.id == id {
            endReplay(replay, .superseded)
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
        if let replay = replays.of(descriptor).first(where: { $0.requester.id == id }) {
            return abortReplay(replay)
        }
        if let extra = connections[Int(descriptor)].extra {
            // Only those that wait behind this id's own; they are not begun.
            extra.queued.removeAll { $0.id == id }
            charge(descriptor)
        }
        guard let ticket = pendingTicket(descriptor, id), let requester = take(ticket)?.requester
        else { return }
        finish(
            requester,
            Record.endRequest(id: id, appStatus: 0, protocolStatus: .requestComplete)
        )
    }

    // MARK: Acting

    private func act(on intent: Intent, _ requester: Requester) {
        switch intent {
        case .answer(let ready): answer(requester, ready)
        case .subscribe(var poll):
            // HEAD asks nothing of anybody.
            if !poll.subscription.shape.headOnly {
                guard welcome(&poll.origin, requester) else { return }
                if poll.waitMilliseconds > 0 { asked(poll.origin, poll.subscription.channels) }
            }
            serve(poll, requester)
        case .stream(var request):
            if let head = request.headOnly { return answer(requester, head) }
            guard welcome(&request.origin, requester) else { return }
            serve(request, requester)
        case .leave(let subscriber, let shape):
            leave(subscriber)
            answer(requester, shape.noContent())
        case .presence(let request): answer(request, requester)
        case .publish(let request): publish(request, requester)
        case .message(let request):
            guard tail != nil else { return answer(requester, request.unavailable()) }
            read(.message(ticket: wait(requester, .message(request), seconds: 10), request.id))
        case .channels(let request):
            guard tail != nil else { return answer(requester, request.unavailable()) }
            let ticket = wait(requester, .channels(request), seconds: 10)
            read(.channels(ticket: ticket, request.selection))
        case .page(let request): answer(requester, page(request))
        case .held(let shape):
            answer(requester, shape.plain("text/plain; charset=utf-8", "polling = \(held.count)"))
        case .live(let shape): answer(requester, shape.plain("text/plain; charset=utf-8", "live\n"))
        case .ready(let shape): answer(requester, readiness(shape))
        case .metrics(let shape): survey(requester, .metrics(shape))
        case .status(let shape): survey(requester, .status(shape))
        case .awaitBody: preconditionFailure("the body is there")
        case .statusStream(let request):
            if let head = request.headOnly { return answer(requester, head) }
            serve(request, requester)
            statusLookAt = min(statusLookAt, now)
        }
    }

    /// A subscriber has come. False if his connection was given up, for what he asked before was on it, too.
    private func welcome(
        _ origin: inout Poll.Origin,
        _ requester: Requester
    ) -> Bool {
        if origin.subscriber != nil { origin.arrivedAt = MonotonicClock.nanoseconds() }
        arrived(origin)
        return connections[Int(requester.connection)].isOpen
    }

    private func publish(_ request: PublishRequest, _ requester: Requester) {
        guard mayQueue(request.publication) else { return answer(requester, request.busy()) }
        append(request.publication, ticket: wait(requester, .publish(request), seconds: 2))
    }

    /// Whether somebody's publication is taken now.
    func mayQueue(_ publication: Publication) -> Bool {
        if !isStopping, hasRoom(for: publication) { return true }
        metrics[.publishQueue] += 1
        return false
    }

    /// Whether the log's queue takes this too; what is larger than the whole queue goes alone.
    func hasRoom(for publication: Publication) -> Bool {
        let fits =
            queuedMessages + max(1, publication.drafts.count)
            <= settings.limits.publishQueueMessages
            && queuedBytes + publication.bytes <= settings.limits.publishQueueBytes
        return fits || charges.isEmpty
    }

    /// Hands a publication to the log, whose `.appended` with the ticket follows.
    func append(_ publication: Publication, ticket: UInt64) {
        // Given back when the log says what became of it, whoever still waits for that by then.
        let charge = (messages: max(1, publication.drafts.count), bytes: publication.bytes)
        charges[ticket] = charge
        queuedMessages += charge.messages
        queuedBytes += charge.bytes
        log.append(
            Append(
                ticket: ticket,
                drafts: publication.drafts,
                dropping: publication.dropping,
                idempotency: publication.idempotencyKey.map {
                    IdempotencyKey(publisher: publication.publisher, key: $0)
                },
                quota: publication.quota.map {
                    PublisherQuota(publisher: publication.publisher, limits: $0)
                }
            )
        )
    }

    // MARK: Answering

    func answer(_ requester: Requester, _ poll: Poll, _ reading: HistoryReading) {
        guard let tail else { return }
        answer(
            requester,
            poll.answer(
                poll.subscription.fitting(reading, bytes: settings.limits.answerBytes),
                epoch: tail.epochs.current
            )
        )
    }

    func answer(_ requester: Requester, _ answer: Answer) {
        if let note = answer.note { complain(.mistake(note.kind), note.sentence) }
        if let decision = answer.decision { complain(.refusal(decision.kind), decision.sentence) }
        metrics.answers[min(5, answer.status / 100)] += 1
        guard !answer.closes else { return finishWithoutAnswer(requester) }
        finish(requester, outgoing(answer))
    }

    /// An answer in records.
    ///
    /// - Parameter body: its body in records, where that is known from an answer with the same one.
    func outgoing(_ answer: Answer, body: EncodedAnswer? = nil) -> Outgoing {
        let body = body ?? codec.encode(answer.body)
        guard !answer.header.isEmpty else { return Outgoing(first: body) }
        let header = codec.encode(header: answer.header)
        // Short ones go in one piece; a long body is shared by all answers that have it.
        guard body.bytes.count > Outgoing.joinedBytes else {
            return Outgoing(first: EncodedAnswer(bytes: header.bytes + body.bytes))
        }
        return Outgoing(first: header, rest: body)
    }

    /// Ends a request without an answer, which closes the client's connection or makes an error of the web server's.
    /// Closing ours instead would end what else is on it, and make nginx take a kept connection for a stale one
    /// and ask again.
    func finishWithoutAnswer(_ requester: Requester) {
        let end = Record.endRequest(
            id: requester.id,
            appStatus: 0,
            protocolStatus: .requestComplete
        )
        finish(requester, end)
    }

    func finish(_ requester: Requester, _ outgoing: Outgoing) {
        guard let rest = outgoing.rest else {
            return finish(requester, outgoing.first.bytes(for: requester.id))
        }
        let isAlone = unsentBytes(requester.connection) == 0
        guard send(requester.connection, outgoing.first.bytes(for: requester.id)) else { return }
        finish(requester, rest.bytes(for: requester.id), isRest: isAlone)
    }

    /// Sends the last bytes of a request.
    func finish(_ requester: Requester, _ bytes: [UInt8], isRest: Bool = false) {
        guard send(requester.connection, bytes, isRest: isRest) else { return }
        if !requester.keepConnection {
            connections[Int(requester.connection)].flags.insert(.closesWhenIdle)
        }
        if !(connections[Int(requester.connection)].extra?.queued.isEmpty ?? true) {
            turnsDue.append(requester.connection)
        }
        dropIfDone(requester.connection)
    }
}
