import Channels
import Configuration
import Core
import Endpoint
import FastCGI
import Liveness

/// Some processes, the log they share, front ends and clients; everything that happens comes from one seed.
///
/// A client is never simulated on its word: what the cores send is taken apart by readers of its own and held against
/// the ledger of what was committed.
final class World {
    var chance: Chance
    var digest = Digest()
    let plan: Plan
    var log: SharedLog
    var processes: [SimulatedProcess] = []
    var clients: [Client] = []
    var calls: [Call] = []
    /// Calls that no front end has given to a process yet.
    var waiting: [Int] = []
    /// Monotonic milliseconds, and nanoseconds of the same clock, which every event moves on.
    var now: Int64 = 1_000_000
    private var nanoseconds: Int64 = 0
    var steps = 0
    var isEnding = false
    private(set) var violation: Violation?
    /// Nil unless somebody wants to read it.
    var trace: Trace?
    /// Held requests that ended in the event that is being looked at.
    var ended: [(call: Int, endings: Endings)] = []
    /// Those of whom that can't be told from outside.
    var maybeEnded = 0
    /// The request that is being given, and how many requests waited for the log before it.
    var newcomer: (call: Int, waiting: Int)?
    var lastText = 0
    /// Clients that do nothing, so that a failing run can be made smaller.
    let muted: Set<Int>
    var tally = Tally()
    /// Only to make what pipes publish.
    let interface: HTTPInterface

    struct Violation {
        let step: Int
        let text: String
        let call: Int?
    }

    /// How often what is interesting has happened: a run that meets nothing proves nothing.
    struct Tally {
        var calls = 0
        var held = 0
        var answersWithMessages = 0
        var gaps = 0
        var endings = [UInt64](repeating: 0, count: Ending.allCases.count)
        var bounds = [UInt64](repeating: 0, count: Bound.allCases.count)
        var kills = 0
        var logChanges = 0
    }

    /// A line for each thing that happened, of the last few thousand.
    struct Trace {
        private(set) var lines: [(step: Int, call: Int?, text: String)] = []

        mutating func add(_ step: Int, _ call: Int?, _ text: String) {
            lines.append((step, call, text))
            if lines.count > 20_000 { lines.removeFirst(10_000) }
        }
    }

    init(seed: UInt64, muted: Set<Int> = []) {
        chance = Chance(seed: seed)
        self.muted = muted
        plan = Plan(&chance)
        interface = HTTPInterface(settings: plan.settings)
        log = SharedLog(names: plan.names, keeps: plan.keeps, chance: &chance)
        for index in 0..<plan.processCount { processes.append(start(index)) }
        for number in 0..<plan.clientCount { clients.append(Client(number, plan, &chance)) }
    }

    func fail(_ text: @autoclosure () -> String, call: Int? = nil) {
        guard violation == nil else { return }
        violation = Violation(step: steps, text: text(), call: call)
        trace?.add(steps, call, "VIOLATION: " + text())
    }

    func note(_ text: @autoclosure () -> String, call: Int? = nil) {
        guard trace != nil else { return }
        trace?.add(steps, call, text())
    }

    var memberNames: [String] { Plan.memberNames }

    // MARK: Processes

    /// What a request takes while it queues.
    static let requestSize = 400

    func start(_ index: Int) -> SimulatedProcess {
        let process = SimulatedProcess(
            index: index,
            settings: plan.settings,
            connectionLimit: plan.connectionLimit,
            seed: chance.next(),
            now: now,
            memoryMessages: plan.settings.bus.memoryMessages
        )
        process.end.open(log)
        return process
    }

    func moment(_ process: SimulatedProcess) -> Moment {
        nanoseconds = max(nanoseconds + 1 + Int64(chance.below(1000)), now * 1_000_000)
        let turn = process.turn ?? now
        process.turn = turn
        return Moment(
            milliseconds: turn,
            nanoseconds: nanoseconds,
            retentionMilliseconds: log.retention,
            committedHead: process.end.committedHead(log)
        )
    }

    /// Tells the core something, does what it says, and looks at what became of it.
    ///
    /// - Parameters:
    ///   - ending: calls that end by the event itself, without a word to them.
    ///   - silently: ends those that the core has ended without a word.
    func tell(
        _ process: SimulatedProcess,
        _ cause: Cause,
        ending: [Int] = [],
        about call: Int? = nil,
        silently: () -> Void = {},
        _ body: (inout Core, Moment) -> Void
    ) {
        guard violation == nil else { return }
        let moment = moment(process)
        digest.add(UInt8(truncatingIfNeeded: process.index))
        digest.add(cause.name)
        digest.add(Int(moment.milliseconds))
        note("process \(process.index): \(cause.name) at \(moment.milliseconds)", call: call)
        let before = Counts(process.core.counters)
        ended.removeAll(keepingCapacity: true)
        for number in ending { end(number, cause.endings) }
        body(&process.core, moment)
        drain(process)
        silently()
        note(
            "process \(process.index): \(process.core.heldCount) held, \(process.core.waitingCount) wait"
        )
        check(process, cause, before)
        maybeEnded = 0
        settle(process)
    }

    /// One call is over, however its client hears of it.
    func end(_ number: Int, _ endings: Endings) {
        guard calls[number].state == .given else {
            return fail("call \(number) ends twice", call: number)
        }
        calls[number].state = .ended
        ended.append((number, endings))
        let process = processes[calls[number].process]
        let place = calls[number].wire
        process.wires[place].calls.removeAll { $0 == number }
        note("call \(number) has ended", call: number)
    }

    // MARK: What the core asks for

    private func drain(_ process: SimulatedProcess) {
        for _ in 0..<10_000 {
            process.core.exchange(&process.actions)
            if process.actions.isEmpty { return }
            for at in 0..<process.actions.entries.count {
                carryOut(process.actions.entries[at], process)
                guard violation == nil else { return }
            }
        }
        fail("the actions of one event do not end")
    }

    private func carryOut(_ action: Action, _ process: SimulatedProcess) {
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
            // The core's own two stand besides those of clients.
            if process.readsUnderWay > 16 + 2 { fail("\(process.readsUnderWay) reads at a time") }
        case .append(let append):
            digest.add("append")
            digest.add(Int(append.ticket))
            process.end.append(append)
            queue(append, process)
        case .piped(_, let outcome):
            digest.add("piped")
            guard let lines = process.pipe else { return fail("lines of a pipe are told twice") }
            process.pipe = nil
            guard case .committed(let ids) = outcome else { return }
            for (id, line) in zip(ids, lines) where log.ledger.record(id)?.text != line {
                fail("\(id) is not the line of a pipe")
            }
        case .tell(let word):
            digest.add("tell")
            digest.add(Int(bitPattern: UInt(word.subscriber)))
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
            process.core.answer(page.notFound(), to: address)
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
        case .notice(_, let text): digest.add(text.utf8)
        case .complaint(_, let text): digest.add(text.utf8)
        case .publisherWaits: digest.add("publisher waits")
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
        // Presence is told beside the queue.
        if append.drafts.contains(where: \.channel.isOwn) { return }
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

    private func carryOut(_ send: Send, _ process: SimulatedProcess) {
        let payload = process.actions.payloads[Int(send.payload)]
        let body =
            Int(payload.bodyIndex) == Int(send.payload)
            ? payload.body : process.actions.payloads[Int(payload.bodyIndex)].body
        digest.add(Int(send.connection.index))
        digest.add(Int(send.id.value))
        digest.add(payload.header)
        digest.add(body)
        guard let place = process.place(of: send.connection) else { return }
        switch process.wires[place].kind {
        case .bus(let client):
            guard payload.form == .plain else { return fail("records go to a bus client") }
            hear(body, of: client, place, process)
            keep(.init(call: -1, bytes: body.count, ends: false, cursor: nil), send, place, process)
        case .web:
            if payload.form == .plain { return }
            let ends = payload.form == .answer || payload.form == .end
            if process.wires[place].isForgetful {
                // A poll that nobody waits for any more is forgotten: whose answer this is can't be told.
                let same = process.wires[place].calls.filter { calls[$0].id == send.id.value }
                if same.count > 1, calls[same[0]].mayBeHeld {
                    guard ends else { return }
                    maybeEnded += 1
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
            let endings = hear(number, header: payload.header, body: body, ends: ends)
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
            process.wires[place].loss = .slow
            process.touched.append(place)
            return
        }
        if wire.unsent.isEmpty { process.wires[place].unreadSince = now }
        process.wires[place].unsent.append(chunk)
        process.wires[place].unsentBytes += chunk.bytes
        process.touched.append(place)
    }

    /// The peer has read this much.
    func take(_ chunk: Wire.Chunk, _ place: Int, _ process: SimulatedProcess) {
        guard chunk.call >= 0 else { return }
        let client = calls[chunk.call].client
        guard clients[client].call == chunk.call else {
            // A front end that hides departures finds out by what it can't pass on.
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

    // MARK: Connections

    /// The core has given the connection up.
    private func dropped(_ place: Int, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        // Whoever asks the log for somebody who has gone lets go of the connection.
        if !wire.isRude, case .web = wire.kind, wire.loss == nil, wire.peerClosed == .no {
            fail("process \(process.index) drops a connection that did nothing wrong")
        }
        for number in wire.calls where calls[number].state == .given {
            end(number, [.gone, .slow])
        }
        forget(place, process)
    }

    /// Its peer finds it closed.
    private func forget(_ place: Int, _ process: SimulatedProcess) {
        for client in clients.indices {
            if let call = clients[client].call, calls[call].process == process.index,
                calls[call].wire == place, calls[call].state != .waiting
            {
                clients[client].finish(now, &chance)
            }
            if clients[client].bus?.process == process.index, clients[client].bus?.place == place {
                clients[client].bus = nil
                clients[client].finish(now, &chance)
            }
        }
        process.free(place)
    }

    /// After an event: what peers did not take, and who is found gone or done.
    func settle(_ process: SimulatedProcess) {
        while let place = process.touched.popLast() {
            guard violation == nil, process.isAlive else { return }
            let wire = process.wires[place]
            guard wire.isOpen else { continue }
            if let loss = wire.loss {
                lose(place, loss, process)
                continue
            }
            if wire.unsentBytes != wire.unsentTold {
                process.wires[place].unsentTold = wire.unsentBytes
                // Looked at again, now that this is told.
                process.touched.append(place)
                tell(process, .unsent) { core, _ in core.unsent(wire.id, bytes: wire.unsentBytes) }
                continue
            }
            if wire.isToBeSettled, wire.unsent.isEmpty { look(place, process) }
        }
    }

    /// The shell gives the connection up.
    func lose(_ place: Int, _ loss: Loss, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        var ending: [Int] = []
        for number in wire.calls where calls[number].state == .given { ending.append(number) }
        forget(place, process)
        note("process \(process.index): connection \(place) is lost (\(loss))")
        tell(process, .lost(loss), ending: ending) { core, moment in
            core.connectionLost(wire.id, loss, at: moment)
        }
    }

    /// Whether the connection is of use.
    private func look(_ place: Int, _ process: SimulatedProcess) {
        process.wires[place].isToBeSettled = false
        let wire = process.wires[place]
        let standing = process.core.standing(of: wire.id)
        let hasOpen = wire.calls.contains { calls[$0].state == .given && !mayBeForgotten($0, wire) }
        switch standing {
        case .busy: return
        case .kept, .done:
            if hasOpen, !wire.isForgetful, case .web = wire.kind {
                return fail(
                    "nothing goes on on connection \(place), says process \(process.index), with \(wire.calls) open",
                    call: wire.calls.first
                )
            }
        }
        if case .done = standing { return lose(place, .closed, process) }
        if case .web = wire.kind, wire.isForOne, wire.requests > 0 {
            fail("connection \(place) is kept against its front end's will")
        }
    }

    /// Nobody waits behind the connection, so that its polls need no answer.
    private func mayBeForgotten(_ number: Int, _ wire: Wire) -> Bool {
        wire.isEndTold && calls[number].mayBeHeld
    }
}
