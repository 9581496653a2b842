import Channels
import Configuration
import Core

/// What the core had counted before an event.
struct Counts {
    let holds: UInt64
    let deliveries: UInt64
    let answers: [UInt64]
    private(set) var endings: [UInt64] = []
    private(set) var bounds: [UInt64] = []

    init(_ counters: CoreCounters) {
        holds = counters.holds
        deliveries = counters.deliveries
        answers = counters.answers
        for ending in Ending.allCases { endings.append(counters[ending]) }
        for bound in Bound.allCases { bounds.append(counters[bound]) }
    }
}

/// The invariants after every event.
extension World {
    func check(_ process: SimulatedProcess, _ cause: Cause, _ before: Counts) {
        guard violation == nil else { return }
        let after = Counts(process.core.counters)
        let holds = Int(after.holds) - Int(before.holds)
        var counted = 0
        var sum: UInt64 = 0
        for ending in Ending.allCases {
            let times = Int(after.endings[ending.rawValue] - before.endings[ending.rawValue])
            sum += after.endings[ending.rawValue]
            guard times > 0 else { continue }
            counted += times
            tally.endings[ending.rawValue] += UInt64(times)
            let isLost = !lostMeanwhile.isEmpty && Endings.lost.contains(Endings(ending))
            // A stream whose peer has left while the log was asked for it.
            let hasLeft =
                ending == .left
                && (maybeEnded > 0
                    || ended.contains { process.wires[calls[$0.call].wire].isEndTold })
            guard isLost || hasLeft || !cause.endings.isDisjoint(with: Endings(ending)) else {
                return fail("\(times) ended as \(ending.label) by: \(cause.name)")
            }
            let isOvertaken = ending == .superseded || ending == .newerRequest
            let fitting = ended.count {
                !$0.endings.isDisjoint(with: Endings(ending))
                    && (!isOvertaken || isOvertakenByAnother($0.call, process))
            }
            guard times <= fitting + maybeEnded else {
                return fail(
                    "\(times) are counted as \(ending.label) by: \(cause.name), but \(fitting) ended so",
                    call: ended.first?.call
                )
            }
        }
        checkEach(process, cause, before, after)
        checkAccount(process, before, after)
        let held = ended.count { calls[$0.call].isHeld }
        let possible = ended.count { calls[$0.call].mayBeHeld }
        if counted < held {
            fail(
                "\(held) that were held have ended, \(counted) are counted",
                call: ended.first?.call
            )
        }
        if counted > possible + maybeEnded {
            fail("\(counted) are counted as ended, \(possible) have ended", call: ended.first?.call)
        }
        let now = process.core.heldCount
        if Int(after.holds) + process.carried != Int(sum) + now {
            fail("\(after.holds) were held, \(sum) have ended and \(now) are held")
        }
        if holds < 0 { fail("holds are taken back") }
        // Nothing is held for a peer that has left.
        if holds > 0, case .log = cause {
            var candidates = ended.count
            for wire in process.wires where wire.isOpen && !wire.isEndTold {
                candidates += wire.calls.count { !calls[$0].isHeld }
            }
            if holds > candidates { fail("\(holds) are held anew, of \(candidates) that waited") }
        }
        checkBounds(process)
    }

    /// Each that has ended and was certainly held is counted in a way that fits.
    private func checkEach(
        _ process: SimulatedProcess,
        _ cause: Cause,
        _ before: Counts,
        _ after: Counts
    ) {
        var counted: Endings = []
        for ending in Ending.allCases
        where after.endings[ending.rawValue] > before.endings[ending.rawValue] {
            counted.insert(Endings(ending))
        }
        for (number, endings) in ended where calls[number].isHeld {
            if counted == Endings(.deadline), (process.turn ?? now) < calls[number].earliestEnd {
                fail("call \(number) ends before its time", call: number)
            }
            if counted == Endings(.deadline), !process.isLate { noteEnd(number, process) }
            if endings.isDisjoint(with: counted) {
                fail(
                    "call \(number) has ended by: \(cause.name), and is not counted so",
                    call: number
                )
            }
        }
    }

    /// Whether a newer request has come of its subscriber, or on its connection if that is for one at a time.
    func isOvertakenByAnother(_ number: Int, _ process: SimulatedProcess) -> Bool {
        let call = calls[number]
        if let subscriber = call.subscriber {
            if newestComings[subscriber] ?? 0 > call.coming { return true }
            if queuedSubscribers.contains(subscriber) { return true }
            // The clock of the simulation has milliseconds, so that processes may see requests within one in either order.
            let isTied = calls.contains {
                $0.subscriber == subscriber && $0.shownAt == call.shownAt && $0.coming > 0
                    && $0.process != call.process
            }
            if isTied { return true }
        }
        let wire = process.wires[call.wire]
        return wire.newestComings.contains {
            $0.value > call.coming && (!wire.multiplexes || $0.key == call.id)
        }
    }

    private func checkBounds(_ process: SimulatedProcess) {
        let held = process.core.heldCount
        // A reload may have lowered the bound.
        if held > process.core.heldLimit, held > process.heldBefore { fail("\(held) are held") }
        process.heldBefore = held
        if process.isStopping, held > 0 { fail("\(held) are held by a process that stops") }
        if held < 0 || process.core.waitingCount < 0 { fail("less than nothing is held") }
    }

    /// After a request of a subscriber, or of an address: others of the same have ended.
    func checkOwners(_ number: Int, _ process: SimulatedProcess) {
        process.limitBefore = max(process.limitBefore, process.core.heldLimit)
        guard violation == nil, calls[number].mayBeHeld, calls[number].kind != .busLines else {
            return
        }
        let call = calls[number]
        let limits = process.settings.limits
        var polls = 0
        var (ofSubscriber, ofAddress) = (0, 0)
        for wire in process.wires where wire.isOpen {
            for other in wire.calls where calls[other].state == .given && calls[other].mayBeHeld {
                let one = calls[other]
                let isServed = one.isHeld || one.hasAsked
                polls += one.kind == .poll && isServed && !wire.isEndTold ? 1 : 0
                guard one.isHeld || other == number, !mayHaveEnded(one, wire) else { continue }
                if let subscriber = call.subscriber, one.subscriber == subscriber {
                    ofSubscriber += 1
                }
                if one.address == call.address, one.kind != .busLines, call.isHeld,
                    call.address >= 0
                {
                    ofAddress += 1
                }
            }
        }
        if polls > 2 * process.limitBefore { fail("\(polls) polls are held or wait") }
        if call.subscriber != nil, calls[number].isHeld, call.state == .given,
            ofSubscriber > limits.heldPerSubscriber
        {
            fail(
                "\(ofSubscriber) of subscriber \(call.subscriber ?? 0) are held by process \(process.index)",
                call: number
            )
        }
        if let bound = limits.heldPerAddress, ofAddress > bound {
            fail("\(ofAddress) of address \(call.address) are held", call: number)
        }
    }

    private func mayHaveEnded(_ call: Call, _ wire: Wire) -> Bool { wire.isEndTold }

    /// After a turn: nothing is held for longer than it may be.
    func checkTimes(_ process: SimulatedProcess, at now: Int64) {
        guard violation == nil else { return }
        for wire in process.wires where wire.isOpen {
            for number in wire.calls where calls[number].state == .given {
                let call = calls[number]
                checkBeats(call, wire, process, at: now)
                guard now >= call.endsAt else { continue }
                // The shell ends what waits for its peer to read.
                if call.isStream, wire.unsentBytes > 0 || wire.unreadSince >= now { continue }
                if wire.isEndTold, call.mayBeHeld { continue }
                fail(
                    "call \(number) (\(call.kind)) is \(now - call.endsAt) ms beyond its time at \(now)",
                    call: number
                )
            }
        }
    }

    /// After a turn in which nothing waits for the log.
    func checkQuiet(_ process: SimulatedProcess, at now: Int64) {
        guard violation == nil, process.isAlive, !process.isHandingOver,
            process.core.waitingCount == 0, process.readsUnderWay == 0, process.core.nextAlarm > now
        else { return }
        for (place, wire) in process.wires.enumerated() where wire.isOpen {
            guard case .web = wire.kind, wire.loss == nil else { continue }
            let given = wire.calls.filter { calls[$0].state == .given }
            if process.surveys.isEmpty, wire.unsentBytes == 0, wire.peerClosed != .whole,
                process.core.kept(of: wire.id).queuedBytes > 0
            {
                fail("requests of connection \(place) queue behind nothing", call: given.last)
            }
            // Other processes may be asked.
            guard given.allSatisfy({ calls[$0].mayBeHeld }) else { continue }
            if wire.isEndTold {
                if case .busy = process.core.standing(of: wire.id) {
                    fail("something is held for the peer of connection \(place), which has ended")
                }
            } else if wire.unsentBytes == 0, wire.peerClosed == .no {
                for number in given where calls[number].isStream && !calls[number].isGreeted {
                    fail("call \(number) waits for nothing, and is not greeted", call: number)
                }
            }
        }
    }

    /// After an event of the log: polls that waited for just that no longer do.
    ///
    /// - Parameter begun: holds, and questions to the log.
    func checkAwaited(_ process: SimulatedProcess, begun: Int) {
        guard violation == nil, process.isAlive, let position = process.core.position else {
            return
        }
        var left: [Int] = []
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for number in wire.calls where calls[number].state == .given {
                guard let awaited = calls[number].awaits else { continue }
                // In another log, it may wait for something else.
                if awaited.epoch != position.epoch {
                    calls[number].awaits = nil
                } else if awaited.offset <= position.offset {
                    calls[number].awaits = nil
                    left.append(number)
                }
            }
        }
        if left.count > begun, !process.mayQueueReads {
            fail("call \(left[0]) waits on for what has come", call: left[0])
        }
    }

    /// When all have left except clients of the bus socket: each of their commands was answered.
    func checkCommands() {
        for process in processes where process.isAlive {
            for wire in process.wires where wire.isOpen && wire.peerClosed != .whole {
                guard case .bus(let client) = wire.kind, wire.loss == nil else { continue }
                if !wire.input.isEmpty { fail("client \(client) is not read from any more") }
                if let first = wire.expected.first {
                    fail("a command of client \(client) (\(first.kind)) was not answered")
                }
            }
        }
    }

    /// A stream, and a poll that is probed, is sent something from time to time.
    private func checkBeats(
        _ call: Call,
        _ wire: Wire,
        _ process: SimulatedProcess,
        at now: Int64
    ) {
        guard call.isProbed || call.isStream && call.isGreeted, wire.unsentBytes == 0, wire.reads,
            wire.peerClosed == .no, process.readsUnderWay == 0
        else { return }
        let seconds = call.isProbed ? process.probeSeconds : process.heartbeatSeconds
        // The figures come each second.
        let isOfFigures = call.session?.channels.isEmpty == true
        let interval = isOfFigures ? 1000 : max(1000, Int64(seconds) * 1000)
        // Since when it could have been sent something.
        let since = max(call.heardAt, wire.unreadSince, process.quietSince)
        if now - since > interval + 3 * 64 {
            fail(
                "call \(call.number) (\(call.kind)) has been sent nothing for \(now - since) ms",
                call: call.number
            )
        }
    }

    /// When all have left and everything was reported.
    func checkEmpty() {
        for process in processes where process.isAlive {
            guard violation == nil else { return }
            let core = process.index
            if process.openWires > 0 {
                for (place, wire) in process.wires.enumerated() where wire.isOpen {
                    fail(
                        "process \(core) keeps connection \(place) (\(wire.kind)) for \(wire.calls)",
                        call: wire.calls.first
                    )
                }
            }
            if process.core.heldCount != 0 { fail("process \(core) still holds something") }
            if process.core.interestCount != 0 { fail("process \(core) keeps an interest") }
            if process.core.waitingCount != 0 { fail("something waits in process \(core)") }
            if process.core.memberCount != 0 { fail("members are left in process \(core)") }
            if !process.core.holders.isEmpty { fail("process \(core) keeps a channel") }
            if !process.traced.isEmpty { fail("requests are traced that never ended") }
            if !process.core.isEmpty { fail("a table of process \(core) is not empty") }
        }
        for call in calls where call.state == .given {
            fail("call \(call.number) was never ended", call: call.number)
        }
    }
}
