internal import Channels
internal import Configuration
internal import Endpoint
internal import Liveness

/// From a committed batch to the answers of the holds that wait for it.
extension Core {
    // MARK: To holders

    /// - Parameter servesAll: afterwards, serve all polls that wait for new messages, not only those for which they
    ///   have come.
    mutating func deliver(_ batch: CommittedBatch, toldAt: Int64, servesAll: Bool = false) {
        delivery = Delivery(
            batch: batch,
            toldAt: toldAt,
            shares: holds.shares(of: batch)[...],
            servesAll: servesAll
        )
        goOnDelivering(upTo: bytesAtOnce)
    }

    /// Makes one answer for all holds of an interest, and sends it to each of them.
    ///
    /// - Parameter limit: bytes of payloads after which the rest waits until these are taken.
    mutating func goOnDelivering(upTo limit: Int) {
        guard var delivery else { return }
        self.delivery = nil
        var delivered = 0
        var encoded = Encoded()
        while actions.byteCount < limit, let share = delivery.shares.popFirst() {
            // Its last hold has ended since.
            guard holds.first(ofInterest: share.id) != nil else { continue }
            switch holds.interest(share.id) {
            case .answer(let subscription):
                delivered += release(share, subscription, delivery.batch, &encoded)
            case .stream(let stream):
                let page = HistoryPage(
                    messages: share.messages,
                    scanned: delivery.batch.head,
                    more: false,
                    gap: share.gap,
                    newest: delivery.batch.head
                )
                let before = delivery.batch.previous
                delivered += extend(share.id, stream, page, after: before, &encoded)
            }
        }
        if delivered > 0 {
            counters.deliveries += UInt64(delivered)
            actions.append(.delivered(delivered, toldAt: delivery.toldAt))
        }
        if delivery.shares.isEmpty { serveCaughtUp(&delivery, upTo: limit) }
        if !delivery.isOver { self.delivery = delivery }
    }

    /// Serves the polls that waited for the log's events to come this far: in portions, too, since many of them may be
    /// answered from memory.
    mutating func serveCaughtUp(all: Bool) {
        guard let head = knownLog.head else { return }
        delivery = Delivery(
            batch: CommittedBatch(previous: head, head: head, messages: [], trims: []),
            toldAt: moment.nanoseconds,
            shares: [],
            servesAll: all
        )
        goOnDelivering(upTo: bytesAtOnce)
    }

    private mutating func serveCaughtUp(_ delivery: inout Delivery, upTo limit: Int) {
        var tickets =
            delivery.caughtUp
            ?? waiting.takeCaughtUp(knownLog.head ?? .start, all: delivery.servesAll)[...]
        while actions.byteCount < limit, let ticket = tickets.popFirst() {
            guard let entry = waiting[ticket],
                case .poll(let poll, let requester, .head(let arrival), let epoch) = entry.work
            else { continue }
            // In another log, what to wait for is judged anew; in the same log opened anew, the events follow.
            let isSameLog = epoch == knownLog.epoch
            if isSameLog, arrival > knownLog.head ?? .start {
                waiting.await(arrival, ticket)
            } else if settle(ticket) != nil {
                serve(poll, requester, arrival: isSameLog ? arrival : nil)
            }
        }
        delivery.caughtUp = tickets
    }

    /// Answers the polls of one interest with their share of the batch; returns how many.
    private mutating func release(
        _ share: Audience<Interest>.Share,
        _ subscription: Subscription,
        _ batch: CommittedBatch,
        _ encoded: inout Encoded
    ) -> Int {
        let taken = share.messages.prefixWithin(
            messages: subscription.messageLimit,
            bytes: settings.limits.answerBytes
        )
        let more = taken < share.messages.count
        let page = HistoryPage(
            messages: more ? Array(share.messages[..<taken]) : share.messages,
            scanned: more ? share.messages[taken - 1].offset : batch.head,
            more: more,
            gap: share.gap,
            newest: batch.head
        )
        let ending = share.gap == nil ? Ending.released : .gap
        return release(share.id, subscription, page, ending, &encoded)
    }

    /// Answers all polls of one interest; returns how many.
    @discardableResult
    mutating func release(
        _ interest: Int32,
        _ subscription: Subscription,
        _ page: HistoryPage,
        _ ending: Ending,
        _ encoded: inout Encoded
    ) -> Int {
        guard let epoch = knownLog.epoch else { return 0 }
        let content = subscription.content(of: page)
        let known = content.flatMap { encoded.bodies[$0] }
        let page =
            known?.page ?? subscription.fitting(page, bytes: settings.limits.answerBytes)
        let answer = subscription.answer(page, epoch: epoch, body: known?.bytes)
        let payload = payload(of: answer, bodyOf: known?.payload)
        if let content, known == nil, !answer.closes {
            encoded.bodies[content] = (page, answer.body, payload)
        }
        var count = 0
        while let slot = holds.first(ofInterest: interest) {
            end(slot, ending, payload, status: answer.countedStatus)
            count += 1
        }
        return count
    }

    // MARK: Ending holds

    /// Ends one held poll with an answer.
    private mutating func end(
        _ slot: Holds.Slot,
        _ ending: Ending,
        _ payload: Int32,
        status: Int
    ) {
        finish(take(slot, ending), payload, status: status)
    }

    /// Sends the answer to a held poll that was taken out.
    mutating func finish(_ held: Holds.Held, _ payload: Int32, status: Int) {
        counters.answers[min(5, status / 100)] += 1
        finish(address(of: held), payload)
    }

    /// Answers a held poll with no messages and its cursor; ends a stream.
    mutating func answerEmpty(
        _ slot: Holds.Slot,
        _ ending: Ending,
        retryAfterSeconds: Int? = nil
    ) {
        var none = EmptyAnswers(retryAfterSeconds: retryAfterSeconds)
        answerEmpty(slot, ending, &none)
    }

    /// The same for many holds: those of one interest share an answer.
    mutating func answerEmpty(_ slot: Holds.Slot, _ ending: Ending, _ answers: inout EmptyAnswers) {
        guard let position else { return }
        let interest = holds[slot].interest
        switch holds.interest(interest) {
        case .answer(let subscription):
            if let (payload, status) = answers.made[interest] {
                return end(slot, ending, payload, status: status)
            }
            let answer = subscription.answer(
                nothingNew(newest: position.offset),
                epoch: position.epoch,
                retryAfterSeconds: answers.retryAfterSeconds
            )
            let payload = payload(of: answer)
            answers.made[interest] = (payload, answer.countedStatus)
            end(slot, ending, payload, status: answer.countedStatus)
        case .stream(let stream):
            endStream(
                slot,
                stream,
                ending,
                ending.ofStream,
                at: position,
                retryAfterSeconds: answers.retryAfterSeconds
            )
        }
    }

    mutating func endExpired() {
        let expired = holds.takeExpired(now: now)
        guard !expired.isEmpty else { return }
        var answers = EmptyAnswers()
        for slot in expired {
            if holds.right(of: slot).hasEnded(now) {
                endRight(slot, &answers)
            } else if holds[slot].kind.isStream {
                frontEnds.outlived(holds[slot].frontEnd, &actions)
                answerEmpty(slot, .lifetime)
            } else {
                answerEmpty(slot, .deadline, &answers)
            }
        }
    }

    /// The right on which a hold rests has ended. A poll whose answer has begun ends without a message; the client's
    /// next request gets the reason.
    private mutating func endRight(_ slot: Holds.Slot, _ answers: inout EmptyAnswers) {
        let interest = holds[slot].interest
        guard case .answer(let subscription) = holds.interest(interest),
            let answer = subscription.expired()
        else { return answerEmpty(slot, .expired, &answers) }
        let (payload, status) =
            answers.ofExpired[interest] ?? (payload(of: answer), answer.countedStatus)
        answers.ofExpired[interest] = (payload, status)
        end(slot, .expired, payload, status: status)
    }

    mutating func answerAllHolds(_ ending: Ending) {
        for replay in replays.all { endReplay(replay, .shutdown) }
        var answers = EmptyAnswers()
        while position != nil, let slot = holds.oldest { answerEmpty(slot, ending, &answers) }
    }
}

/// Empty answers for holds that end together, by interest.
struct EmptyAnswers {
    var retryAfterSeconds: Int?
    var made: [Int32: (payload: Int32, status: Int)] = [:]
    /// For those whose right has ended.
    var ofExpired: [Int32: (payload: Int32, status: Int)] = [:]

    init(retryAfterSeconds: Int? = nil) { self.retryAfterSeconds = retryAfterSeconds }
}
