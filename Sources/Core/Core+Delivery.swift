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

    // MARK: To streams

    /// Sends the streams of one interest their share of the batch. Returns how many.
    private mutating func extend(
        _ interest: Int32,
        _ stream: StreamSubscription,
        _ page: HistoryPage,
        after previous: Offset,
        _ encoded: inout Encoded
    ) -> Int {
        guard let epoch = knownLog.epoch else { return 0 }
        let content = stream.content(of: page)
        let payload: Int32
        if let known = encoded.chunks[content] {
            payload = known
        } else {
            payload = add(stream.chunk(page, epoch: epoch), stream)
            encoded.chunks[content] = payload
        }
        // The end of the stream must fit as well.
        let size = actions.payloads[Int(payload)].body.count + 1024
        let before = Cursor(epoch: epoch, offset: previous)
        var count = 0
        holds.noteMessages(to: interest, now: now)
        var next = holds.first(ofInterest: interest)
        while let slot = next {
            next = holds.next(ofInterest: slot)
            let held = holds[slot]
            let unsent = Int(connections[held.connection].unsent)
            if unsent > 0, unsent + size > settings.limits.unsentBytes {
                counters[.unsentBytes] += 1
                endStream(slot, stream, .slow, .slow, at: before)
            } else {
                send(part: payload, to: held)
                count += 1
            }
        }
        return count
    }
}
