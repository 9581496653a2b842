internal import Channels
internal import Configuration
package import Endpoint
internal import Liveness

/// Publications on their way to the log.
extension Core {
    mutating func publish(_ request: PublishRequest, _ address: RequestAddress) {
        guard mayQueue(request.publication) else { return answer(request.busy(), to: address) }
        append(request.publication, .publish(request), for: .request(address), .publication)
    }

    /// Lines of a pipe. `Errand.piped` follows with the pipe's number; at most one at a time for each.
    ///
    /// - Returns: false if the queue is full at the moment.
    package mutating func publish(
        _ publication: Publication,
        ofPipe pipe: Int,
        at moment: Moment
    ) -> Bool {
        enter(moment)
        guard hasRoom(for: publication) else { return false }
        append(publication, .lines, for: .pipe(pipe), nil)
        return true
    }

    /// Another process may read the pipes from now on: the outcomes of publications under way are not reported.
    package mutating func forgetPipes() { waiting.forgetPipes() }

    /// Whether a publication is accepted now; counts it if not.
    mutating func mayQueue(_ publication: Publication) -> Bool {
        if !isStopping, hasRoom(for: publication) { return true }
        counters[.publishQueue] += 1
        return false
    }

    private mutating func hasRoom(for publication: Publication) -> Bool {
        waiting.hasRoom(
            for: publication,
            messages: settings.limits.publishQueueMessages,
            bytes: settings.limits.publishQueueBytes
        )
    }

    /// Gives a publication to the log; `.appended` follows.
    mutating func append(
        _ publication: Publication,
        _ work: Work,
        for recipient: Recipient,
        _ patience: Waiting.Patience?
    ) {
        let charge = Waiting.Charge(publication)
        let ticket = wait(work, for: recipient, patience, charge: charge)
        let append = Append(
            ticket: ticket.number,
            drafts: publication.drafts,
            dropping: publication.dropping,
            idempotency: publication.idempotencyKey.map {
                IdempotencyKey(publisher: publication.publisher, key: $0)
            },
            quota: publication.quota.map {
                PublisherQuota(publisher: publication.publisher, limits: $0)
            }
        )
        actions.append(.append(append))
    }
}
