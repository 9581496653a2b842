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
        // A process that stops still gets what was on its way.
        let able = processes.filter {
            $0.isAlive && now >= $0.frozenUntil && (!$0.isStopping || chance.happens(100))
        }
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
            guard process.openWires < plan.connectionLimit, !process.isStopping else {
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
        unfinished(on: place, process).map { calls[$0].id }
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

    private func request(_ call: Call, _ process: SimulatedProcess) -> CGIRequest {
        var request = decoded(call.variables, process)
        request.clock = Clock(wallMilliseconds: log.wall, monotonicMilliseconds: now)
        if let ends = call.rightEndsAt, call.link == nil, !process.settings.keys.isEmpty {
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
        var head = request(call, process)
        head.awaitsBody = true
        // It may be answered there.
        calls[number].state = .given
        process.wires[place].calls.append(number)
        process.wires[place].requests += 1
        calls[number].givenAt = now
        noteComing(number, process)
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

    private func noteComing(_ number: Int, _ process: SimulatedProcess) {
        noteLink(number)
        let call = calls[number]
        calls[number].showsToken = call.rightEndsAt != nil && !process.settings.keys.isEmpty
        calls[number].shownAt = now
        comings += 1
        calls[number].coming = comings
        process.wires[call.wire].newestComings[call.id] = comings
        if let subscriber = call.subscriber, call.mayBeHeld { newestComings[subscriber] = comings }
    }

    /// Whether the rest of a request can still come.
    func isOpen(_ number: Int) -> Bool {
        let process = processes[calls[number].process]
        let place = calls[number].wire
        return process.isAlive && process.wires.indices.contains(place)
            && process.wires[place].isOpen && process.wires[place].peerClosed == .no
            && process.wires[place].id == calls[number].connection
    }

    /// The rest of a request whose variables have come.
    func giveBody(_ number: Int) {
        let process = processes[calls[number].process]
        let place = calls[number].wire
        let frontEnd = FrontEnd.all[clients[calls[number].client].frontEnd]
        guard isOpen(number) else {
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
        var request = request(call, process)
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
        noteComing(number, process)
        // A process whose log is closed, or replaced, does not know what others have committed.
        let newest = Cursor(epoch: log.file.epoch, offset: Offset(log.file.head))
        let isKnown = process.end.isOpen && process.core.position?.epoch == newest.epoch
        calls[number].arrived = isKnown ? newest : nil
        calls[number].begunAt = newest
        if let session = call.session, case .now = session.start {
            calls[number].session = Session(
                channels: session.channels,
                start: .now(isKnown ? newest : .unknown)
            )
        }
        let (holds, waits) = (process.core.counters.holds, process.core.waitingCount)
        let (asked, told) = (process.readsAsked, process.wordsTold)
        newcomer = (number, waits)
        let companion = companion(of: number, place, process)
        let mayWait = !chance.happens(20)
        note(
            "call \(number) (\(call.kind)) of client \(call.client) is given to process \(process.index), connection \(place), id \(call.id): \(call.variables.first { $0.name == "REQUEST_URI" }?.value ?? "")",
            call: number
        )
        let cause: Cause = call.kind == .leave ? .leaving : .request
        var cameAt: Int64 = 0
        noteVisit(number)
        if isThere(calls[number].wanted) { calls[number].wantedIn = log.file.number }
        tell(
            process,
            cause,
            about: number,
            silently: { [self] in checkOthers(number, place) }
        ) { core, moment in
            cameAt = moment.nanoseconds
            if let companion {
                core.request(
                    companion,
                    from: address,
                    size: Self.requestSize,
                    mayWait: mayWait,
                    at: moment
                )
            }
            switch call.arrival {
            case .whole:
                core.request(
                    request,
                    from: address,
                    size: Self.requestSize,
                    mayWait: mayWait,
                    at: moment
                )
            case .refused: core.refused(address, records: [1, 3], at: moment)
            case .oversized: core.oversized(address, at: moment)
            }
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
                if let subscriber = call.subscriber { queuedSubscribers.insert(subscriber) }
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
        if call.kind == .leave { checkLeft(number, process, told: told) }
    }

    /// A request that comes in one piece with another one behind it, of the same id: the shell carries out no action
    /// between the two.
    private func companion(
        of number: Int,
        _ place: Int,
        _ process: SimulatedProcess
    ) -> CGIRequest? {
        let frontEnd = FrontEnd.all[clients[calls[number].client].frontEnd]
        guard frontEnd.isRude, !calls[number].isHeadGiven, chance.happens(100) else { return nil }
        let path = chance.happens(500) ? "-/nothing" : "-/live"
        var call = Call(number: calls.count, client: calls[number].client, kind: .other)
        call.statuses = path == "-/live" ? [200] : [404]
        call.variables = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/push/\(path)")]
        (call.process, call.wire, call.id) = (process.index, place, calls[number].id)
        (call.connection, call.state) = (calls[number].connection, .given)
        (call.givenAt, call.order) = (calls[number].givenAt, process.given)
        process.given += 1
        calls[number].order = process.given
        process.given += 1
        process.wires[place].isRude = true
        process.wires[place].requests += 1
        let at = process.wires[place].calls.firstIndex(of: number)
        process.wires[place].calls.insert(call.number, at: at ?? 0)
        calls.append(call)
        tally.calls += 1
        count("requests in one piece")
        note("call \(call.number) (\(path)) comes before call \(number)", call: number)
        return request(call, process)
    }
}
