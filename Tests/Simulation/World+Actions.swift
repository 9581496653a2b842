import Channels
import Configuration
import Core
import Endpoint
import FastCGI
import Liveness

/// The cores' actions, carried out as a shell would.
extension World {
    func drain(_ process: SimulatedProcess) {
        for _ in 0..<10_000 {
            process.core.exchange(&process.actions)
            if process.actions.isEmpty { return }
            if batch != nil { checkPortion(process.actions) }
            for at in 0..<process.actions.entries.count {
                carryOut(process.actions.entries[at], process)
                guard violation == nil else { return }
            }
            if process.core.hasActions {
                count("events with actions in portions")
                report(process)
            }
        }
        fail("the actions of one event do not end")
    }

    func carryOut(_ action: Action, _ process: SimulatedProcess) {
        switch action {
        case .send(let send): carryOut(send, process)
        case .drop(let connection):
            digest.add("drop")
            guard let place = process.place(of: connection) else { return }
            dropped(place, process)
        case .settle(let connection):
            digest.add("settle")
            guard let place = process.place(of: connection) else { return }
            process.wires[place].isToBeSettled = true
            process.touched.append(place)
        case .read(let connection):
            digest.add("read")
            guard let place = process.place(of: connection) else { return }
            process.wires[place].isPaused = false
        case .account(let connection):
            digest.add("account")
            let kept = process.core.kept(of: connection)
            let queued = kept.queuedBytes / Self.requestSize
            if !(0...16).contains(queued) {
                fail("\(queued) requests queue on connection \(connection.index)")
            }
        case .look(let connection, let departure):
            digest.add("look")
            process.core.looked(hasLeft: process.peers.hasLeft(connection, departure))
        case .errand(let index): run(process.actions.errands[Int(index)], process)
        }
    }

    private func run(_ errand: Errand, _ process: SimulatedProcess) {
        switch errand {
        case .read(let read):
            digest.add("read the log")
            digest.add(Int(read.ticket))
            process.end.read(read)
            note("process \(process.index) asks: \(read)")
            process.readsUnderWay += 1
            process.readsAsked += 1
            if case .history(let history) = read, history.looksAhead {
                process.lookAheads.insert(read.ticket)
            }
            // Questions about what is here, and about messages that may come; the core's own one is in addition to
            // those of clients.
            let reads = process.readsUnderWay - process.lookAheads.count
            if reads > 16 + 16 + 1 || process.lookAheads.count > 1024 {
                fail("\(reads) reads at a time, and \(process.lookAheads.count) that look ahead")
            }
        case .trace(let trace):
            if process.settings.log.level != .debug { fail("a request is traced unasked") }
            checkTrace(trace, process)
        case .append(let append):
            digest.add("append")
            digest.add(Int(append.ticket))
            process.end.append(append)
            note(
                "process \(process.index) appends \(append.ticket): "
                    + "\(append.drafts.map { "\($0.type ?? "") \($0.topic ?? "") on \($0.channel)" }) "
                    + "\(append.idempotency?.key ?? "")"
            )
            for draft in append.drafts where draft.channel.isOwn {
                checkLeave(draft, process)
                checkPace(process)
            }
            queue(append, process)
        case .piped(_, let outcome):
            digest.add("piped")
            guard let lines = process.pipe else {
                return fail("lines of a pipe are told twice, or belong to another process")
            }
            process.pipe = nil
            guard case .committed(let ids) = outcome else { return }
            for (id, line) in zip(ids, lines) where log.ledger.record(id)?.text != line {
                fail("\(id) is not the line of a pipe")
            }
        case .tell(let word):
            digest.add("tell")
            digest.add(Int(bitPattern: UInt(word.subscriber)))
            process.wordsTold += 1
            for other in processes where other !== process && other.isAlive {
                other.words.append(.word(word))
            }
        case .tellMembers(let members):
            digest.add("members")
            digest.add(members.count)
            for member in members {
                digest.add(member.channel.text.utf8)
                digest.add(member.member.topic.utf8)
                digest.add(Int(bitPattern: UInt(member.subscriber)))
            }
            for other in processes where other !== process && other.isAlive {
                other.words.append(.members(members))
            }
        case .page(let page, let address):
            digest.add("page")
            process.core.made(page.notFound(), for: address)
        case .survey(let ticket, let question):
            digest.add("survey")
            process.surveys.append((ticket, question))
        case .endSurvey(let ticket):
            digest.add("end survey")
            answerSurvey(ticket, process)
        case .figures(let areWatched):
            digest.add("figures")
            guard areWatched else { return }
            process.core.figures(Array("\"held\":1".utf8), at: moment(process))
        case .delivered(let count, _):
            digest.add("delivered")
            digest.add(count)
            process.account.deliveries += count
            if process.account.deliveries > process.account.sends {
                fail("\(count) deliveries are counted, and fewer were sent")
            }
        case .notice(_, let text):
            digest.add(text.utf8)
            if text.hasPrefix("held_per_address") { process.addressNotices += 1 }
            if process.addressNotices > 1 { fail("requests without an address are told of twice") }
        case .complaint(_, let text): digest.add(text.utf8)
        case .publisherWaits:
            digest.add("publisher waits")
            if (process.turn ?? now) - process.publisherNotedAt < 10_000 {
                fail("publishers that wait are told of more than once in ten seconds")
            }
            process.publisherNotedAt = process.turn ?? now
        }
    }

    private func answerSurvey(_ ticket: Ticket, _ process: SimulatedProcess) {
        guard let result = result(of: ticket, process) else { return }
        process.core.surveyed(ticket, result, at: moment(process))
    }

    func result(of ticket: Ticket, _ process: SimulatedProcess) -> SurveyResult? {
        guard let at = process.surveys.firstIndex(where: { $0.ticket == ticket }) else {
            return nil
        }
        let question = process.surveys.remove(at: at).question
        return switch question {
        case .metrics: .text(Array("holdfast_up 1\n".utf8))
        case .status: .text(Array("\"pid\":1".utf8))
        case .holders: .holders([:])
        }
    }

    private func queue(_ append: Append, _ process: SimulatedProcess) {
        // Events of presence are not in the queue.
        if append.drafts.contains(where: \.channel.isOwn) { return }
        if process.isStopping { fail("a process that stops takes a publication") }
        let bytes = append.drafts.reduce(0) { $0 + $1.body.count }
        process.queue.append((append.ticket, max(1, append.drafts.count), bytes))
        guard process.queue.count > 1 else { return }
        let limits = process.settings.limits
        let messages = process.queue.reduce(0) { $0 + $1.messages }
        let all = process.queue.reduce(0) { $0 + $1.bytes }
        if messages > limits.publishQueueMessages || all > limits.publishQueueBytes {
            fail("\(messages) messages of \(all) bytes wait for the log")
        }
    }

    // MARK: Sending

    func carryOut(_ send: Send, _ process: SimulatedProcess) {
        let payload = process.actions.payloads[Int(send.payload)]
        let body =
            Int(payload.bodyIndex) == Int(send.payload)
            ? payload.body : process.actions.payloads[Int(payload.bodyIndex)].body
        digest.add(Int(send.connection.index))
        digest.add(Int(send.id.value))
        digest.add(payload.header)
        digest.add(body)
        process.account.sends += 1
        guard let place = process.place(of: send.connection) else { return }
        checkUnread(header: payload.header, body: body, send.flags, process.wires[place])
        switch process.wires[place].kind {
        case .bus(let client):
            guard payload.form == .plain else { return fail("records go to a bus client") }
            hear(body, of: client, place, process)
            keep(.init(call: -1, bytes: body.count, ends: false, cursor: nil), send, place, process)
        case .web:
            let ends = payload.form != .part
            if process.wires[place].isForgetful {
                // A poll that nothing waits for any more is forgotten: it is not known whose answer this is.
                let same = process.wires[place].calls.filter { calls[$0].id == send.id.value }
                if same.count > 1, calls[same[0]].mayBeHeld {
                    guard ends else { return }
                    maybeEnded += 1
                    if same.contains(where: { calls[$0].kind == .leave }) { mayHaveLeft = true }
                    process.wires[place].isToBeSettled = true
                    process.touched.append(place)
                    return
                }
            }
            guard
                let number = process.wires[place].calls.first(where: {
                    calls[$0].id == send.id.value && calls[$0].state == .given
                })
            else {
                return fail("process \(process.index) sends to a request that is not open")
            }
            note(
                "call \(number) is sent \(payload.header.count) + \(body.count) bytes"
                    + (ends ? ", the last" : ""),
                call: number
            )
            if ends != send.flags.contains(.last) { fail("the last bytes are not called so") }
            checkPiece(number, send.flags, process.wires[place])
            guard (payload.form == .plain) == (calls[number].arrival == .refused) else {
                return fail("call \(number) gets the records of another one", call: number)
            }
            let endings =
                payload.form == .plain
                ? [] : hear(number, header: payload.header, body: body, ends: ends)
            let size = payload.header.count + body.count + (ends ? 32 : 16)
            let cursor = calls[number].cursor
            if ends { end(number, endings) }
            keep(.init(call: number, bytes: size, ends: ends, cursor: cursor), send, place, process)
        }
        if send.flags.contains(.last) {
            process.wires[place].isToBeSettled = true
            process.touched.append(place)
        }
    }

    /// Gives bytes to the peer, or keeps them until it reads.
    private func keep(
        _ chunk: Wire.Chunk,
        _ send: Send,
        _ place: Int,
        _ process: SimulatedProcess
    ) {
        guard process.wires[place].loss == nil else { return }
        if process.wires[place].peerClosed == .whole {
            process.wires[place].loss = .closed
            process.touched.append(place)
            return
        }
        let wire = process.wires[place]
        if wire.unsent.isEmpty, wire.reads || wire.room >= chunk.bytes {
            process.wires[place].room -= wire.reads ? 0 : chunk.bytes
            return take(chunk, place, process)
        }
        let limit = process.settings.limits.unsentBytes
        if !wire.unsent.isEmpty, !send.flags.contains(.unbounded),
            wire.unsentBytes + chunk.bytes > limit
        {
            // The core knew, and has sent its end.
            if chunk.call >= 0, calls[chunk.call].isStream, !chunk.ends,
                wire.unsentBytes == wire.unsentTold
            {
                fail("call \(chunk.call) is cut off without a last word", call: chunk.call)
            }
            process.wires[place].loss = .slow
            process.touched.append(place)
            return
        }
        if wire.unsent.isEmpty { process.wires[place].unreadSince = now }
        process.wires[place].unsent.append(chunk)
        process.wires[place].unsentBytes += chunk.bytes
        process.touched.append(place)
        process.core.unsent(wire.id, bytes: process.wires[place].unsentBytes)
    }

    /// The peer has read this much.
    func take(_ chunk: Wire.Chunk, _ place: Int, _ process: SimulatedProcess) {
        guard chunk.call >= 0 else { return }
        let client = calls[chunk.call].client
        guard clients[client].call == chunk.call else {
            // A front end that hides departures notices one when it cannot pass something on.
            process.wires[place].vain += 1
            if FrontEnd.all[clients[client].frontEnd].habit == .hides, !chunk.ends,
                process.wires[place].vain > 1, process.wires[place].peerClosed == .no
            {
                process.close(place, .whole)
            }
            return
        }
        if let cursor = chunk.cursor { clients[client].cursor = cursor }
        if chunk.ends { clients[client].finish(now, &chance) }
    }
}
