import Channels
import Core
import Text

/// A newer process takes over from a running one: the same connections, another core.
extension World {
    func handOver(_ process: SimulatedProcess) {
        guard !process.isStopping, process.end.isOpen, process.core.position != nil else { return }
        note("process \(process.index) hands over")
        process.isHandingOver = true
        defer { process.isHandingOver = false }
        tell(process, .turn) { core, moment in core.pause(at: moment) }
        // What is under way is completed; its log answers.
        for _ in 0..<60 where violation == nil && !process.core.isSettled {
            process.end.write(100, .committed, &log, &chance)
            process.end.answer(100, fails: false, log, &chance)
            while violation == nil, process.end.waitingEvents > 0 { hearLog(process) }
            while violation == nil, let ticket = process.surveys.first?.ticket,
                let result = result(of: ticket, process)
            {
                tell(process, .other) { core, moment in
                    core.surveyed(ticket, result, at: moment)
                }
            }
            turn(process)
        }
        guard violation == nil else { return }
        // Now and then the newer one ends before it has everything.
        if !process.core.isSettled || chance.happens(200) {
            return tell(process, .other) { core, moment in core.goOn(at: moment) }
        }
        replaceCore(process)
    }

    private func replaceCore(_ process: SimulatedProcess) {
        let open = process.wires.indices.filter { process.wires[$0].isOpen }
        guard let common = process.core.handedCommon else { return fail("nothing to hand over") }
        var pack = Packer()
        pack.add(common)
        let ids = open.map { process.wires[$0].id }
        process.core.handOver(ids, ranks: process.core.holdRanks, into: &pack)
        let held = process.core.heldCount
        tally.handOvers += 1
        let (newCommon, connections): (HandedCommon, [HandedConnection])
        do {
            var unpack = Unpacker(pack.bytes)
            newCommon = try HandedCommon(from: &unpack)
            connections = try Core.connections(from: &unpack)
        } catch {
            return fail("what is handed over is not understood: \(error)")
        }
        if chance.happens(200) { process.begin(with: drawnSettings(process)) }
        process.settledAt = comings
        process.settledTime = now
        process.beginAnew(seed: chance.next(), now: now)
        tellMachine(process)
        process.end.open(log)
        while violation == nil, process.end.waitingEvents > 0 { hearLog(process) }
        if plan.processCount > 1 {
            process.hasSiblings = true
            tell(process, .other) { core, moment in core.siblings(arePresent: true, at: moment) }
        }
        guard violation == nil else { return }
        guard process.core.hasReached(newCommon) else { return fail("the newer core is behind") }
        forgetProbes(process)
        for place in open { process.wires[place].isPaused = false }
        let handed = zip(open, connections).map { place, connection in
            (
                id: process.wires[place].id, connection: connection,
                unsent: process.wires[place].unsentBytes
            )
        }
        (process.carried, process.heldBefore) = (held, held)
        tell(process, .handOver) { core, moment in core.resume(newCommon, handed, at: moment) }
        checkAllowed(process)
        // Perhaps at the time that the older process had for its last request.
        if chance.happens(500) { comeAgain(process) }
    }

    /// Subscribers of what is held ask anew, and their front ends may not show that they have left.
    private func comeAgain(_ process: SimulatedProcess) {
        let held = process.wires.filter(\.isOpen).flatMap(\.calls).filter {
            calls[$0].isHeld && calls[$0].subscriber != nil && !isAbandoned($0)
        }
        for call in held.suffix(3) {
            let client = calls[call].client
            guard violation == nil, clients[client].kind != .bus, clients[client].call == call
            else { continue }
            leave(client)
            begin(client)
        }
    }
}
