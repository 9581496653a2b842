import Channels
import Configuration
import Core
import Endpoint
import FastCGI
import Identity

/// How front ends treat the requests of their clients.
extension World {
    // MARK: Giving

    /// Gives a request that has come completely to some process.
    func give(_ number: Int) {
        let able = processes.filter { $0.isAlive && !$0.isStopping && now >= $0.frozenUntil }
        guard let process = chance.one(of: able) else {
            waiting.append(number)
            return
        }
        let frontEnd = FrontEnd.all[clients[calls[number].client].frontEnd]
        let kind = Wire.Kind.web(frontEnd: clients[calls[number].client].frontEnd)
        var place: Int?
        // Not every front end reads all answers before it continues.
        let isHasty = (frontEnd.multiplexes || frontEnd.isRude) && chance.happens(200)
        if frontEnd.keeps {
            place = process.wires.indices.first { at in
                let wire = process.wires[at]
                guard wire.isOpen, wire.kind == kind, wire.peerClosed == .no, !wire.isForOne,
                    wire.reads && wire.unsent.isEmpty || isHasty,
                    wire.calls.count < plan.pipelineLimit
                else { return false }
                if reserved(at, process).isEmpty == false, !wire.multiplexes { return false }
                return wire.calls.isEmpty || wire.multiplexes || frontEnd.isRude
                    || wire.calls.allSatisfy { isAbandoned($0) } && frontEnd.habit == .reuses
            }
        }
        if place == nil {
            guard process.openWires < plan.connectionLimit else {
                waiting.append(number)
                return
            }
            let made = process.connect(kind)
            process.wires[made].isForOne = !frontEnd.keeps
            if chance.happens(40) {
                process.wires[made].reads = false
                process.wires[made].room = chance.below(600)
            }
            let id = process.wires[made].id
            tell(process, .other) { core, _ in core.connected(id) }
            if frontEnd.multiplexes {
                process.wires[made].multiplexes = true
                tell(process, .other) { core, _ in core.askedAboutMultiplexing(id) }
            }
            place = made
        }
        guard let place, violation == nil else { return }
        give(number, on: place, process, frontEnd)
    }

    /// Ids of requests on a connection whose bodies have not come.
    private func reserved(_ place: Int, _ process: SimulatedProcess) -> [UInt16] {
        let id = process.wires[place].id
        return waiting.filter {
            calls[$0].isHeadGiven && calls[$0].process == process.index
                && calls[$0].connection == id
        }.map { calls[$0].id }
    }

    func isAbandoned(_ number: Int) -> Bool { clients[calls[number].client].call != number }

    private func give(
        _ number: Int,
        on place: Int,
        _ process: SimulatedProcess,
        _ frontEnd: FrontEnd
    ) {
        let used =
            process.wires[place].calls.map { calls[$0].id } + reserved(place, process)
        var id: UInt16 = 1
        if frontEnd.multiplexes { while used.contains(id) { id += 1 } }
        calls[number].id = id
        calls[number].process = process.index
        calls[number].wire = place
        calls[number].connection = process.wires[place].id
        if used.contains(id) { process.wires[place].isRude = true }
        // The variables come before the body.
        if !calls[number].body.isEmpty, chance.happens(300), used.isEmpty {
            return giveHead(number, place, process, keeps: frontEnd.keeps)
        }
        giveWhole(number, place, process, keeps: frontEnd.keeps)
    }

    private func request(_ call: Call) -> CGIRequest {
        var request = CGIRequest()
        for (name, value) in call.variables {
            let (name, value) = (Array(name.utf8), Array(value.utf8))
            name.withUnsafeBytes { name in
                value.withUnsafeBytes { value in request.set(name, value) }
            }
        }
        if let ends = call.rightEndsAt {
            request.clock = Clock(wallMilliseconds: log.wall, monotonicMilliseconds: now)
            request.token =
                ends > now
                ? .good(Plan.visa(expires: log.wall + ends - now), .sent) : .bad(.expired, .sent)
        }
        return request
    }

    private func address(
        _ call: Call,
        _ process: SimulatedProcess,
        keeps: Bool
    ) -> RequestAddress {
        RequestAddress(
            connection: process.wires[call.wire].id,
            id: RequestID(call.id) ?? .first,
            keepConnection: keeps
        )
    }

    private func giveHead(
        _ number: Int,
        _ place: Int,
        _ process: SimulatedProcess,
        keeps: Bool
    ) {
        let call = calls[number]
        let address = address(call, process, keeps: keeps)
        guard process.core.mayJudge(address.id, on: address.connection) else {
            return giveWhole(number, place, process, keeps: keeps)
        }
        var head = request(call)
        head.awaitsBody = true
        // It may be answered there.
        calls[number].state = .given
        process.wires[place].calls.append(number)
        process.wires[place].requests += 1
        calls[number].givenAt = now
        note("call \(number): its variables come", call: number)
        var verdict = BodyVerdict.keep
        tell(process, .request, about: number) { core, moment in
            verdict = core.judge(head, from: address, at: moment)
        }
        guard violation == nil else { return }
        switch verdict {
        case .answered:
            if calls[number].state == .given {
                fail("call \(number) is called answered, and is not", call: number)
            }
        case .keep, .drop:
            guard calls[number].state == .given else {
                return fail("call \(number) is answered, and its body wanted", call: number)
            }
            calls[number].state = .waiting
            process.wires[place].calls.removeAll { $0 == number }
            calls[number].isHeadGiven = true
            if case .drop = verdict { calls[number].dropsBody = true }
            // The rest comes on this connection, or never.
            waiting.append(number)
        }
    }

    /// The rest of a request whose variables have come.
    func giveBody(_ number: Int) {
        let process = processes[calls[number].process]
        let place = calls[number].wire
        let frontEnd = FrontEnd.all[clients[calls[number].client].frontEnd]
        guard process.isAlive, process.wires.indices.contains(place),
            process.wires[place].isOpen, process.wires[place].id == calls[number].connection,
            process.wires[place].peerClosed == .no
        else {
            clients[calls[number].client].finish(now, &chance)
            calls[number].state = .ended
            return
        }
        guard now >= process.frozenUntil else {
            waiting.append(number)
            return
        }
        giveWhole(number, place, process, keeps: frontEnd.keeps)
    }

    private func giveWhole(
        _ number: Int,
        _ place: Int,
        _ process: SimulatedProcess,
        keeps: Bool
    ) {
        let call = calls[number]
        var request = request(call)
        if call.dropsBody {
            request.bodyDropped = true
        } else {
            request.body = call.body
        }
        let address = address(call, process, keeps: keeps)
        calls[number].state = .given
        calls[number].order = process.given
        process.given += 1
        process.wires[place].calls.append(number)
        process.wires[place].requests += call.isHeadGiven ? 0 : 1
        let at = process.turn ?? now
        calls[number].givenAt = at
        // A process whose log is closed, or replaced, does not know what others have committed.
        let newest = Cursor(epoch: log.file.epoch, offset: Offset(log.file.head))
        let isKnown = process.end.isOpen && process.core.position?.epoch == newest.epoch
        calls[number].arrived = isKnown ? newest : nil
        if let session = call.session, case .now = session.start {
            calls[number].session = Session(
                channels: session.channels,
                start: .now(isKnown ? newest : .unknown)
            )
        }
        let (holds, waits) = (process.core.counters.holds, process.core.waitingCount)
        let (asked, told) = (process.readsAsked, process.wordsTold)
        newcomer = (number, waits)
        note(
            "call \(number) (\(call.kind)) of client \(call.client) is given to process \(process.index), connection \(place), id \(call.id): \(call.variables.first { $0.name == "REQUEST_URI" }?.value ?? "")",
            call: number
        )
        let cause: Cause = call.kind == .leave ? .leaving : .request
        var cameAt: Int64 = 0
        tell(
            process,
            cause,
            about: number,
            silently: { [self] in checkOthers(number, place) }
        ) { core, moment in
            cameAt = moment.nanoseconds
            core.request(
                request,
                from: address,
                size: Self.requestSize,
                mayWait: true,
                at: moment
            )
        }
        newcomer = nil
        guard violation == nil, process.isAlive else { return }
        if calls[number].state == .given {
            if isKnown, call.kind == .poll, process.core.waitingCount > waits,
                process.readsAsked == asked, !process.mayQueueReads
            {
                calls[number].awaits = newest
            }
            if process.core.counters.holds > holds {
                calls[number].isHeld = true
                calls[number].cameAt = cameAt
                tally.held += 1
                checkTold(number, process, since: told)
            }
            let isQueued =
                process.core.counters.holds == holds && process.core.waitingCount == waits
            if !isQueued { calls[number].askedAt = cameAt }
            if isQueued {
                // It begins when its turn has come.
                calls[number].arrived = nil
                if let session = call.session, case .now = session.start {
                    calls[number].session = Session(
                        channels: session.channels,
                        start: .now(.unknown)
                    )
                }
            }
            setTime(number, process, isQueued: isQueued)
        }
        checkOwners(number, process)
        if call.kind == .leave { checkLeft(number, process) }
    }

    /// What a request may end besides itself: what is on its connection, or of its subscriber, or the oldest if a bound
    /// is reached.
    private func checkOthers(_ number: Int, _ place: Int) {
        let call = calls[number]
        let text = String(decoding: call.body, as: UTF8.self)
        let subscriber = call.kind == .leave ? Int(text.suffix(1)) : call.subscriber
        for (other, endings) in ended where other != number {
            let one = calls[other]
            if endings == .limit { checkOldest(other, number) }
            if one.wire == place || endings.contains(.limit) { continue }
            if let subscriber, one.subscriber == subscriber { continue }
            fail(
                "call \(other) ends by call \(number), which has nothing to do with it",
                call: other
            )
        }
    }

    /// One that was ended at a bound is the oldest.
    private func checkOldest(_ number: Int, _ newcomer: Int) {
        let call = calls[number]
        guard let came = call.cameAt, call.kind == .poll else { return }
        let process = processes[call.process]
        let isOfAddress =
            process.settings.limits.heldPerAddress != nil
            && call.address == calls[newcomer].address
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for other in wire.calls where other != newcomer && calls[other].state == .given {
                let one = calls[other]
                guard one.kind == .poll, one.cameAt ?? .max < came else { continue }
                if isOfAddress, one.address != call.address { continue }
                fail("call \(number) has given way, and call \(other) is older", call: number)
            }
        }
    }

    /// For as long as the log may be asked for one request, one question after the other.
    static let patience: Int64 = 31_000 + 2 * 250

    private func setTime(_ number: Int, _ process: SimulatedProcess, isQueued: Bool) {
        let call = calls[number]
        // A deadline is met to the tick, and checked once a tick.
        let tick: Int64 = 2 * 64
        // Behind another request of its id, it may wait for that one's end.
        if isQueued, !call.isHeld {
            calls[number].endsAt = .max
            return
        }
        switch call.kind {
        case .poll:
            let most =
                call.isClassic ? call.wait : min(call.wait, process.settings.hold.maxWaitSeconds)
            let wait = Int64(most) * 1000 + tick
            calls[number].endsAt = call.givenAt + wait + (call.isHeld ? 0 : Self.patience)
            calls[number].hasAsked = !call.isHeld
            if call.isHeld, process.core.heldCount * 2 <= process.core.heldLimit {
                let hold = process.settings.hold
                let granted =
                    call.session?.channels.contains(Plan.grantedChannel) == true
                    || call.session?.channels.contains(Plan.closableChannel) == true
                let least = granted ? min(most, hold.grantedSeconds) : most
                calls[number].earliestEnd =
                    call.givenAt + Int64(least) * 10 * Int64(100 - hold.jitterPercent)
            }
        case .events, .lines:
            let life = Int64(process.settings.hold.streamSeconds) * 1000
            calls[number].endsAt = call.givenAt + life + tick + Self.patience
        case .publish: calls[number].endsAt = call.givenAt + 2000 + 500
        // Answered at once, unless others of the connection wait for their turn.
        case .leave, .presence: calls[number].endsAt = .max
        case .message, .listing, .other: calls[number].endsAt = call.givenAt + 10_300 + 500
        case .busLines: break
        }
        if let ends = call.rightEndsAt, calls[number].endsAt < .max {
            // A stream may be behind what its peer has not taken.
            let isPrompt = call.kind == .poll && call.isHeld
            let most = max(ends, now) + tick + (isPrompt ? 0 : Self.patience)
            calls[number].endsAt = min(calls[number].endsAt, most)
        }
    }

    /// After `-/leave`: nothing of the subscriber is held here.
    private func checkLeft(_ number: Int, _ process: SimulatedProcess) {
        // It may also have ended with its connection, and was not carried out then.
        let isAnswered = ended.contains { $0.call == number && $0.endings.isEmpty }
        guard violation == nil, isAnswered, !isEnding else { return }
        let text = String(decoding: calls[number].body, as: UTF8.self)
        guard let subscriber = Int(text.suffix(1)) else { return }
        for wire in process.wires where wire.isOpen && !wire.isEndTold {
            for other in wire.calls
            where calls[other].state == .given && calls[other].isHeld
                && calls[other].subscriber == subscriber
            {
                fail("call \(other) is held after its subscriber has left", call: other)
            }
        }
    }
}
