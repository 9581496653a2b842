internal import BrowserClient
internal import Bus
internal import Channels
internal import Configuration
internal import Core
internal import Endpoint
internal import FastCGI
internal import Glibc
internal import Logging
internal import System

/// Carries out the core's actions.
extension Responder {
    /// Tells the core of lost connections, and carries out its actions, until there are none.
    ///
    /// Called after each input to the core; not from within an action, because the loop here continues anyway.
    ///
    /// - Parameter settles: false in the middle of a peer's input, which may contain further requests; the next drain then
    ///   examines idle connections.
    func drain(settles: Bool = true) {
        while true {
            for (id, loss) in connections.takeLost() { core.connectionLost(id, loss, at: moment) }
            if core.hasActions {
                outbox.take(from: &core)
                for action in outbox.entries { carryOut(action) }
                outbox.clear()
            } else if settles, outbox.hasSettling {
                settleAll()
            } else {
                return
            }
        }
    }

    private func carryOut(_ action: Action) {
        switch action {
        case .send(let send): deliver(send, outbox.records(of: send))
        case .drop(let id): connections.mark(id, nil)
        case .settle(let id): outbox.settleLater(id)
        case .read(let id): connections.readLater(id)
        case .account(let id): connections.account(id, core.kept(of: id), now: now)
        case .look(let id, let departure):
            core.looked(hasLeft: connections.hasGone(id, departure))
        case .errand(let index): run(outbox.errand(index))
        }
    }

    /// Only when no action is left: the core counts answers as given before they are sent.
    private func settleAll() {
        for id in outbox.mayBeIdle { settle(id) }
        outbox.settled()
    }

    // MARK: Sending

    private func deliver(_ send: Send, _ records: PayloadEncoder.Encoded) {
        let id = send.connection
        let limit = send.isBounded ? settings.limits.unsentBytes : nil
        let isAlone = records.rest != nil && !connections.hasUnsent(id)
        transmit(records.first.bytes(for: send.id), to: id, limit: limit)
        if let rest = records.rest {
            // The rest follows its header.
            transmit(rest.bytes(for: send.id), to: id, limit: isAlone ? nil : limit)
        }
        if send.isLast { outbox.settleLater(id) }
    }

    /// Sends bytes to a peer, queues them within the bound, or gives the connection up. What was sent before may have done
    /// that.
    func transmit(_ bytes: [UInt8], to id: ConnectionID, limit: Int?) {
        guard connections.isOpen(id) else { return }
        switch connections.send(bytes, to: id, limit: limit) {
        case .all: break
        case .some(let isFirst):
            if isFirst { watchSending(id, true) }
            core.unsent(id, bytes: connections.unsentBytes(of: id))
            relieve()
        case .failed(.gone): lose(id, .closed)
        case .failed(.slow):
            telemetry.count(.unsentBytes)
            lose(id, .slow)
        }
    }

    /// Closes the connections with most unsent bytes, if all together have too many.
    private func relieve() {
        let limit = settings.limits.unsentTotalBytes
        guard connections.unsentBytes > limit else { return }
        let closed = connections.relieve(limit: limit)
        for id in closed { lose(id, .slow) }
        telemetry.count(.unsentTotal, closed.count)
        journal.noteClosed(closed.count, limit: limit, now: now)
    }

    // MARK: Errands

    private func run(_ errand: Errand) {
        switch errand {
        case .read(let question): log.read(question)
        case .append(let append): appends.add(append, to: log)
        case .piped(let pipe, let outcome):
            bus.appended(pipe, outcome, isStopping: isStopping, now: now)
        case .tell(let word): siblings.post(word)
        case .tellMembers(let members): siblings.tell(members)
        case .page(let request, let address): core.made(page(request), for: address)
        case .survey(let ticket, let question): survey(ticket, question)
        case .endSurvey(let ticket): conclude(ticket)
        case .figures(let areWatched): tellFigures(areWatched: areWatched)
        case .delivered(let count, let toldAt):
            let microseconds = (MonotonicClock.nanoseconds() - toldAt) / 1000
            telemetry.delivered(count, microseconds: microseconds)
        case .notice(let level, let sentence): journal.note(sentence, level)
        case .trace(let trace): journal.note(trace)
        case .complaint(let complaint, let sentence):
            journal.complain(.core(complaint), sentence, now: now)
        case .publisherWaits: notePublisherWaits()
        }
    }

    private func page(_ request: PageRequest) -> Answer {
        guard let page = Pages.page(named: request.name) else { return request.notFound() }
        return request.answer(
            body: page.bytes,
            gzipped: page.gzipped,
            contentType: page.contentType,
            etag: page.etag
        )
    }

    private func notePublisherWaits() {
        let what = settings.bus.engine == nil ? "disk" : "disk or PostgreSQL"
        let why =
            switch log.gateHolder {
            case getpid(): "this process is inside the gate; its \(what) may be slow"
            case .some(let other): "process \(other) is inside the gate"
            case .none: "the \(what) may be slow"
            }
        logger.warning("the log has not answered a publisher in time: \(why)")
    }
}
