import Channels
import Configuration
import Core
import Endpoint

/// One step after the other.
extension World {
    func step() {
        steps += 1
        digest.add(steps)
        switch chance.below(1000) {
        case 0..<330: if !act() { advance(some()) }
        case 330..<500: hearLog()
        case 500..<620: workLog()
        case 620..<680: goOn()
        case 680..<720: leave()
        case 720..<780: stirWires()
        case 780..<830: hearOthers()
        case 830..<1000 - plan.trouble: advance(some())
        default: trouble()
        }
        turnSome()
    }

    // MARK: Time

    private func some() -> Int64 {
        switch chance.below(100) {
        case 0..<30: 0
        case 30..<70: Int64(chance.between(1, 20))
        case 70..<91: Int64(chance.between(20, 400))
        case 91..<98: Int64(chance.between(400, 4000))
        default: Int64(chance.between(4000, 30_000))
        }
    }

    func isRunning(_ process: SimulatedProcess) -> Bool {
        process.isAlive && now >= process.frozenUntil
    }

    /// Lets time pass; cores are called when they have asked for it, and not before.
    func advance(_ milliseconds: Int64) {
        for process in processes where isRunning(process) && process.turn != nil { turn(process) }
        let target = now + milliseconds
        for _ in 0..<20_000 {
            guard violation == nil else { return }
            var next: (at: Int64, process: SimulatedProcess)?
            for process in processes where process.isAlive {
                let at = max(process.core.nextAlarm, now, process.frozenUntil)
                if process.core.nextAlarm < .max, at <= target, at < next?.at ?? .max {
                    next = (at, process)
                }
            }
            guard let next else { break }
            pass(to: next.at)
            // Now and then the call comes late.
            if chance.happens(100) { pass(to: min(target, now + Int64(chance.below(40)))) }
            turn(next.process)
        }
        pass(to: target)
    }

    private func pass(to time: Int64) {
        guard time > now else { return }
        log.retention += time - now
        log.wall += time - now
        now = time
    }

    /// The end of a turn of a process's loop.
    func turn(_ process: SimulatedProcess) {
        guard violation == nil else { return }
        let at = process.turn ?? now
        // What is due ends when the core has asked to be called, not just when something else calls it.
        if !process.isLate { checkTimes(process, at: at - 100) }
        if process.isLate, at >= process.frozenUntil { catchUp(process, at: at) }
        tell(process, .turn) { core, moment in core.turn(at: moment) }
        process.turn = nil
        checkTimes(process, at: at)
        checkQuiet(process, at: at)
        // A core that always has something to do at once would keep its process busy for ever.
        process.turnsAtOnce = process.core.nextAlarm <= at ? process.turnsAtOnce + 1 : 0
        if process.turnsAtOnce > 2000 { fail("process \(process.index) does not come to rest") }
        if process.isStopping, process.openWires == 0 || now >= process.stopsAt {
            finishStop(process)
        }
    }

    /// It has stood still. What the log has answered before it looked at the clock may go on with other processes.
    private func catchUp(_ process: SimulatedProcess, at: Int64) {
        process.isLate = false
        for wire in process.wires where wire.isOpen {
            for number in wire.calls where [.listing, .other].contains(calls[number].kind) {
                calls[number].endsAt = max(calls[number].endsAt, at + 300 + 500)
            }
        }
    }

    private func turnSome() {
        for process in processes
        where process.turn != nil && isRunning(process) && chance.happens(700) {
            turn(process)
        }
    }

    // MARK: The log

    /// A process gets an event of the log.
    private func hearLog() {
        guard let process = chance.one(of: processes.filter(isRunning)) else { return }
        for _ in 0..<chance.between(1, 6) { hearLog(process) }
    }

    func hearLog(_ process: SimulatedProcess) {
        guard violation == nil, let event = process.end.take() else { return }
        switch event {
        case .appended(let ticket, _): process.queue.removeAll { $0.ticket == ticket }
        case .history(let ticket, _), .message(let ticket, _), .channels(let ticket, _):
            process.readsUnderWay -= 1
            process.lookAheads.remove(ticket)
            process.quietSince = now
        case .opened:
            process.knowsLog = true
            forgetProbes(process)
        case .unavailable: process.knowsLog = false
        case .engine(let trouble): process.engineTrouble = trouble
        case .resumed: forgetProbes(process)
        case .committed, .machines, .notice: break
        }
        note("process \(process.index) hears: \(describe(event))")
        if case .opened(let state) = event { noteStanding(process, state.epochs.current) }
        let toldAt = now * 1_000_000
        let (asked, holds) = (process.readsAsked, process.core.counters.holds)
        if case .committed(let committed) = event { batch = committed }
        tell(process, .log) { core, moment in core.log(event, toldAt: toldAt, at: moment) }
        batch = nil
        let begun = process.readsAsked - asked + Int(process.core.counters.holds - holds)
        checkAwaited(process, begun: begun)
    }

    /// The log was replaced for the process: what is held is at the process's position.
    private func noteStanding(_ process: SimulatedProcess, _ epoch: Epoch) {
        guard let position = process.core.position, position.epoch != epoch else { return }
        for wire in process.wires where wire.isOpen {
            for number in wire.calls where calls[number].state == .given {
                let call = calls[number]
                guard call.mayBeHeld || call.isHead else { continue }
                calls[number].stood.append(position)
                // A poll for which the log was asked is judged anew, and may ask for as long again.
                if call.hasAsked || call.isHead, call.endsAt < .max {
                    calls[number].endsAt += Self.patience
                }
            }
        }
    }

    private func describe(_ event: LogEvent) -> String {
        switch event {
        case .opened(let state):
            "opened \(state.epochs.current)-\(state.head), floor \(state.floor)"
        case .resumed(let state): "resumed at \(state.head), floor \(state.floor)"
        case .committed(let batch):
            "committed (\(batch.previous), \(batch.head)] \(batch.messages.map(\.offset)) \(batch.trims.map { "\($0.channel) \($0.through) \($0.reason)" })"
        case .appended(let ticket, let outcome): "appended \(ticket): \(outcome)"
        case .history(let ticket, .success(let reading)):
            "history \(ticket): \(reading.messages.map(\.offset)) scanned \(reading.scanned), more \(reading.more), gap \(String(describing: reading.gap))"
        case .history(let ticket, .failure): "history \(ticket) failed"
        case .message(let ticket, _): "message \(ticket)"
        case .channels(let ticket, _): "channels \(ticket)"
        case .unavailable: "unavailable"
        case .engine: "engine"
        case .machines: "machines"
        case .notice: "notice"
        }
    }

    /// The log's threads do some work.
    private func workLog() {
        guard let process = chance.one(of: processes.filter(\.isAlive)) else { return }
        switch chance.below(10) {
        case 0..<5: write(process)
        case 5..<8:
            let fails = chance.happens(20)
            process.end.answer(chance.between(1, 4), fails: fails, log, &chance)
        default: process.end.follow(log, &chance)
        }
        if chance.happens(50) { log.expire() }
    }

    private func write(_ process: SimulatedProcess) {
        var fate = LogEnd.Fate.committed
        if chance.happens(10 + 2 * plan.trouble) {
            let outcomes: [AppendOutcome] = [
                .full, .logBusy, .unavailable, .overQuota(retrySeconds: 3), .noMoreChannels,
            ]
            fate = .failed(chance.one(of: outcomes) ?? .full)
        }
        let forgets = chance.happens(150)
        process.end.write(chance.between(1, 8), fate, &log, &chance) { [self] row in
            forgets && row % 2 == steps % 2
        }
        if let twice = log.twice { fail("\(twice) was published twice") }
    }

    // MARK: Others

    /// Continues what has begun: requests that arrive late, commands of bus clients.
    private func goOn() {
        if !waiting.isEmpty, chance.happens(600) {
            let at = chance.below(waiting.count)
            let (number, process) = (waiting[at], calls[waiting[at]].process)
            if calls[number].isHeadGiven, chance.happens(30), isOpen(number) {
                return giveUpUnfinished(calls[number].wire, processes[process])
            }
            waiting.remove(at: at)
            if calls[number].isHeadGiven { giveBody(number) } else { give(number) }
            return
        }
        guard let process = chance.one(of: processes.filter(isRunning)) else { return }
        for place in process.wires.indices
        where process.wires[place].isOpen && !process.wires[place].input.isEmpty {
            pump(place, process)
        }
    }

    private func hearOthers() {
        guard let process = chance.one(of: processes.filter(isRunning)) else { return }
        if let survey = process.surveys.first, chance.happens(500) {
            let ticket = survey.ticket
            if let result = result(of: ticket, process) {
                tell(process, .other) { core, moment in
                    core.surveyed(ticket, result, at: moment)
                }
            }
        }
        for _ in 0..<3 { hearWord(process) }
        if process.pipe == nil, !process.isStopping, chance.happens(100) { pipe(process) }
    }

    /// A line has come by a named pipe.
    private func pipe(_ process: SimulatedProcess) {
        var request = CGIRequest()
        let line = newText()
        for (name, value) in [
            ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/c"), ("CONTENT_TYPE", "text/plain"),
        ] {
            let (name, value) = (Array(name.utf8), Array(value.utf8))
            name.withUnsafeBytes { name in
                value.withUnsafeBytes { value in request.set(name, value) }
            }
        }
        request.body = Array(line.utf8)
        guard case .publish(let made) = interface.intent(of: request, random: 0) else { return }
        let isIdle = process.queue.isEmpty
        tell(process, .other) { core, moment in
            if core.publish(made.publication, ofPipe: 0, at: moment) {
                process.pipe = [line]
            } else if isIdle {
                fail("a pipe has to wait, and nothing waits for the log")
            }
        }
    }

    func hearWord(_ process: SimulatedProcess) {
        guard violation == nil, !process.words.isEmpty else { return }
        let word = process.words.removeFirst()
        // A datagram that finds no room is lost.
        if !isEnding, chance.happens(50) { return }
        switch word {
        case .word(let word):
            if word.kind == .left { process.attended = [:] }
            note("process \(process.index) hears \(word)")
            tell(
                process,
                .word(isLeft: word.kind == .left),
                silently: { [self] in
                    for (number, _) in ended where !lostMeanwhile.contains(number) {
                        let call = calls[number]
                        if call.subscriber == nil || (call.askedAt ?? .min) >= word.time {
                            fail("call \(number) ends by a word that is not about it", call: number)
                        }
                    }
                }
            ) { core, moment in core.heard(word, at: moment) }
        case .members(let members):
            tell(process, .other) { core, moment in core.heard(members, at: moment) }
        }
    }
}
