import Channels
import Configuration
import Core
import Endpoint

/// Processes that are killed, stopped and started, and a log that is replaced.
extension World {
    func trouble() {
        let process = chance.one(of: processes)
        if plan.longTexts > 100, chance.happens(500), isStreamBehind {
            // By chance alone, that hardly ever happens between two pieces of a stream.
            tally.logChanges += 1
            note("the log falls back while a stream reads it")
            return log.fallBack(&chance)
        }
        switch chance.below(20) {
        case 0, 1: log.keepCopy()
        case 2:
            tally.logChanges += 1
            note("the log falls back")
            log.fallBack(&chance)
        case 3 where chance.happens(400):
            tally.logChanges += 1
            note("the log is replaced")
            log.replace(&chance)
        case 4 where chance.happens(500):
            tally.logChanges += 1
            note("the machine was restarted, as far as the log knows")
            log.restart(&chance)
        case 5:
            guard let process, process.isAlive, process.end.isOpen else { return }
            process.end.close()
        case 6, 7: for process in processes where process.isAlive { process.end.open(log) }
        case 8: if let process { kill(process) }
        case 9: if let process { stop(process) }
        case 10: if let process, isRunning(process) { reload(process) }
        case 11:
            process?.frozenUntil = now + Int64(chance.between(10, 8000))
            process?.isLate = true
        case 12: log.wall += Int64(chance.between(-1_000_000, 1_000_000))
        case 13: if let process, isRunning(process) { giveWay(process) }
        case 14:
            guard let process, isRunning(process) else { return }
            let arePresent = chance.happens(700)
            process.hasSiblings = arePresent
            tell(process, .other) { core, moment in
                core.siblings(arePresent: arePresent, at: moment)
            }
        case 15, 16:
            guard let process, isRunning(process) else { return }
            // Requests come just before and just after, perhaps at the same time.
            for _ in 0..<chance.below(12) { _ = act() }
            handOver(process)
            for _ in 0..<chance.below(12) { _ = act() }
        case 17: if let process, isRunning(process) { hearOfEngine(process) }
        case 18: process?.forgetPipes()
        default:
            // Many publishers at once.
            for _ in 0..<10 { _ = act() }
        }
        // No client waits for ever for a log that is there.
        for process in processes where process.isAlive && !process.end.isOpen {
            if chance.happens(300) { process.end.open(log) }
        }
    }

    /// Whether a peer has not taken everything that a stream has sent it, which may be a piece of the log.
    private var isStreamBehind: Bool {
        processes.contains { process in
            process.isAlive
                && process.wires.contains { wire in
                    wire.isOpen && wire.unsentBytes > 0
                        && wire.calls.contains {
                            [.events, .lines].contains(calls[$0].kind) && calls[$0].state == .given
                        }
                }
        }
    }

    /// The process ends without warning.
    private func kill(_ process: SimulatedProcess) {
        guard process.isAlive else { return }
        note("process \(process.index) is killed")
        tally.kills += 1
        // What it has given to the log may be written or not.
        if chance.happens(500) { process.end.write(100, .committed, &log, &chance) }
        replace(process)
    }

    private func replace(_ process: SimulatedProcess) {
        process.isAlive = false
        for call in calls.indices
        where calls[call].process == process.index && calls[call].state == .given {
            calls[call].state = .ended
        }
        for client in clients.indices {
            if clients[client].bus?.process == process.index {
                clients[client].bus = nil
                clients[client].finish(now, &chance)
            }
            if let call = clients[client].call, calls[call].process == process.index,
                calls[call].state == .ended || calls[call].isHeadGiven
            {
                waiting.removeAll { $0 == call }
                calls[call].state = .ended
                clients[client].finish(now, &chance)
            }
        }
        let made = start(process.index)
        processes[process.index] = made
        begin(made)
    }

    /// A process has begun.
    func begin(_ process: SimulatedProcess) {
        tellMachine(process)
        if plan.processCount > 1 {
            process.hasSiblings = true
            tell(process, .other) { core, moment in core.siblings(arePresent: true, at: moment) }
        }
        // Time may pass in the step that has replaced it; meanwhile its turn must not stand still.
        if process.turn != nil { turn(process) }
    }

    /// The machine on which all processes run shares the log with others.
    func tellMachine(_ process: SimulatedProcess) {
        guard let machine = plan.machine else { return }
        tell(process, .log) { core, moment in
            let site = SiteMachines(own: machine, present: [machine: .start])
            core.log(.machines(site), toldAt: moment.nanoseconds, at: moment)
        }
    }

    private func stop(_ process: SimulatedProcess) {
        guard isRunning(process), !process.isStopping else { return }
        note("process \(process.index) stops")
        process.isStopping = true
        process.stopsAt = now + 10_000
        tell(process, .stop) { core, moment in core.stop(at: moment) }
        guard violation == nil else { return }
        process.core.keepNoConnections()
        for place in process.wires.indices where process.wires[place].isOpen {
            process.wires[place].isToBeSettled = true
            process.touched.append(place)
        }
        settle(process)
    }

    func finishStop(_ process: SimulatedProcess) {
        for place in process.wires.indices where process.wires[place].isOpen {
            lose(place, .shutdown, process)
        }
        note("process \(process.index) has stopped")
        replace(process)
    }

    /// What other machines publish does not arrive, or is back.
    private func hearOfEngine(_ process: SimulatedProcess) {
        guard plan.machine != nil else { return }
        process.end.engine(
            process.engineTrouble == nil ? chance.one(of: EngineTrouble.allCases) : nil
        )
    }

    private func giveWay(_ process: SimulatedProcess) {
        var connection: ConnectionID?
        let held = process.core.heldCount
        tell(process, .giveWay) { core, moment in connection = core.giveWay(at: moment) }
        guard violation == nil else { return }
        if connection == nil, held > 0 { fail("nobody gives way of \(held)") }
        if let connection, let place = process.place(of: connection) {
            if case .kept = process.core.standing(of: connection) {
                fail("connection \(connection.index) has given way, and is kept")
            }
            process.wires[place].isToBeSettled = true
            process.touched.append(place)
            settle(process)
        }
    }
}
