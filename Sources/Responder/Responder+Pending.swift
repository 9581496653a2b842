internal import Bus
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Glibc
internal import Logging
internal import Reactor

/// A request that waits for the log.
struct Pending {
    enum Work {
        case poll(Poll, Question, Epoch)
        case publish(PublishRequest)
        case message(MessageRequest)
        case channels(ChannelsRequest)
        /// A command on the bus socket, with the place of its answer; likewise the next.
        case command(BusPublish, place: Int)
        case listing(BusListing, place: Int)
        case busMessage(BusMessage, place: Int)
        case replay(Replay, Question, Epoch)
        /// Other processes are asked how they are.
        case survey(Survey)
    }

    /// What a poll asked the log. The epoch beside it is the one it was asked in: an answer that comes in another
    /// may be about another log.
    enum Question {
        /// Nothing yet: it waits for what others committed before it came.
        case head
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

    /// Whose poll it is.
    var subscriber: UInt64? {
        if case .poll(let poll, _, _) = work { poll.origin.subscriber } else { nil }
    }
}

/// A request by what its peer calls it.
struct RequestKey: Hashable {
    let connection: Int32
    let id: RequestID
}

/// Requests that wait for the log: each is answered once, by the log or by the clock, if it is still there.
extension Responder {
    func wait(_ requester: Requester, _ work: Pending.Work, seconds: Int64) -> UInt64 {
        wait(requester, work, milliseconds: seconds * 1000)
    }

    func wait(_ requester: Requester, _ work: Pending.Work, milliseconds: Int64) -> UInt64 {
        lastTicket += 1
        pending[lastTicket] = Pending(
            requester: requester,
            generation: connections[Int(requester.connection)].generation,
            work: work,
            deadline: now + milliseconds
        )
        pendingTickets[RequestKey(connection: requester.connection, id: requester.id)] = lastTicket
        if let subscriber = pending[lastTicket]?.subscriber {
            waitingSubscribers[subscriber, default: []].insert(lastTicket)
        }
        connections[Int(requester.connection)].pending += 1
        return lastTicket
    }

    /// The request behind a ticket, once; nil if nobody waits for it any more.
    func take(_ ticket: UInt64) -> Pending? {
        guard let waiting = pending.removeValue(forKey: ticket) else { return nil }
        let key = RequestKey(connection: waiting.requester.connection, id: waiting.requester.id)
        if pendingTickets[key] == ticket { pendingTickets[key] = nil }
        if let subscriber = waiting.subscriber {
            waitingSubscribers[subscriber]?.remove(ticket)
            if waitingSubscribers[subscriber]?.isEmpty == true {
                waitingSubscribers[subscriber] = nil
            }
        }
        let connection = connections[Int(key.connection)]
        guard connection.isOpen, connection.generation == waiting.generation else {
            return nil
        }
        connections[Int(key.connection)].pending -= 1
        return waiting
    }

    /// Asks the log's reader, now or when it has answered others.
    func read(_ question: LogRead) {
        readsWaiting.append(question)
        beginReads()
    }

    /// One question was answered.
    func readEnded() {
        readsUnderWay -= 1
        beginReads()
    }

    private func beginReads() {
        while readsUnderWay < 16, readsBegun < readsWaiting.count {
            let next = readsWaiting[readsBegun]
            readsBegun += 1
            guard let waiting = pending[next.ticket], isStillThere(waiting) else { continue }
            readsUnderWay += 1
            log.read(next)
        }
        if readsBegun == readsWaiting.count || readsBegun > 1024 {
            readsWaiting.removeFirst(readsBegun)
            readsBegun = 0
        }
    }

    /// Lets go of a connection that was closed while its request waited.
    private func isStillThere(_ waiting: Pending) -> Bool {
        let descriptor = waiting.requester.connection
        guard connections[Int(descriptor)].generation == waiting.generation,
            connections[Int(descriptor)].isOpen
        else { return false }
        guard connections[Int(descriptor)].flags.contains(.peerEnded),
            SystemCalls.isGone(descriptor)
        else { return true }
        drop(descriptor, .closed)
        return false
    }

    /// The ticket of a connection's request that waits for the log, if there is one of this id.
    func pendingTicket(_ descriptor: Int32, _ id: RequestID) -> UInt64? {
        guard connections[Int(descriptor)].pending > 0,
            let ticket = pendingTickets[RequestKey(connection: descriptor, id: id)],
            pending[ticket]?.generation == connections[Int(descriptor)].generation
        else { return nil }
        return ticket
    }

    /// Counts a publisher that has waited too long, and says why, once in a while.
    private func noteWaiting() {
        metrics[.publishTime] += 1
        guard now >= waitingNoteAt else { return }
        waitingNoteAt = now + 10_000
        let why =
            switch log.gateHolder {
            case getpid(): "this process is inside the gate; its disk may be slow"
            case .some(let other): "it waits for the gate, which process \(other) is inside of"
            case .none: "the disk may be slow"
            }
        logger.warning("the log has not answered a publisher in time: \(why)")
    }

    /// Ends the waiting of those whom the log keeps waiting too long.
    func expirePending() {
        defer { behind.removeAll { pending[$0.ticket] == nil } }
        for (ticket, waiting) in pending where now >= waiting.deadline {
            guard take(ticket) != nil else { continue }
            switch waiting.work {
            case .publish(let request):
                noteWaiting()
                answer(waiting.requester, request.outcomeUnknown())
            case .poll(let poll, _, _): turnAway(poll, waiting.requester, .unavailable)
            case .message(let request): answer(waiting.requester, request.unavailable())
            case .channels(let request): answer(waiting.requester, request.unavailable())
            case .command(let publish, let place):
                noteWaiting()
                replyLater(waiting.requester, place, publish.outcomeUnknown())
            case .listing(let listing, let place):
                replyLater(waiting.requester, place, listing.command.unavailable())
            case .busMessage(let request, let place):
                replyLater(waiting.requester, place, request.command.unavailable())
            case .replay(let replay, _, _): endReplay(replay, .unavailable)
            case .survey(let survey): conclude(survey, waiting.requester)
            }
        }
    }
}
