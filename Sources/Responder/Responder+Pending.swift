internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI

/// A request that waits for the log.
struct Pending {
    enum Work {
        case poll(Poll, Question)
        case publish(Publication, messages: Int, bytes: Int)
        case message(MessageRequest)
    }

    /// What a poll asked the log.
    enum Question {
        /// Whether it is ahead of this process, before a cursor is called unknown.
        case lookAhead
        /// The answer itself; with a gap that the cursor already tells of.
        case reading(gap: GapReason?)
    }

    let requester: Requester
    let generation: UInt32
    let work: Work
    /// Monotonic milliseconds.
    let deadline: Int64
}

/// Requests that wait for the log: each is answered once, by the log or by the clock, if it is still there.
extension Responder {
    func wait(_ requester: Requester, _ work: Pending.Work, seconds: Int64) -> UInt64 {
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
}
