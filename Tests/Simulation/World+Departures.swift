import Channels
import Configuration
import Core
import Endpoint
import FastCGI

/// How clients leave, and what their front ends show of it.
extension World {
    /// The client of a call has left: the front end reacts as its kind does.
    func departed(_ number: Int) {
        let process = processes[calls[number].process]
        let place = calls[number].wire
        guard process.isAlive, process.wires[place].isOpen, process.wires[place].peerClosed == .no
        else { return }
        let frontEnd = FrontEnd.all[clients[calls[number].client].frontEnd]
        switch frontEnd.habit {
        case .closes: process.close(place, .whole)
        case .halfCloses: process.close(place, .sending)
        case .aborts:
            guard now >= process.frozenUntil else { return process.close(place, .whole) }
            return abort(number, place, process)
        case .reuses where now >= process.frozenUntil && chance.happens(200):
            return abort(number, place, process)
        // Nothing yet.
        case .hides, .reuses: return
        }
        if now >= process.frozenUntil, chance.happens(600) { tellEnd(place, process) }
    }

    private func abort(_ number: Int, _ place: Int, _ process: SimulatedProcess) {
        let (id, wire) = (calls[number].id, process.wires[place])
        for other in wire.calls where calls[other].id == id { calls[other].isAborted = true }
        note("call \(number) is aborted", call: number)
        tell(
            process,
            .aborted,
            about: number,
            silently: { [self] in
                // What waits behind it is not begun, and gets nothing more.
                for other in process.wires[place].calls
                where calls[other].id == id && calls[other].state == .given && !calls[other].isHeld
                {
                    end(other, [])
                    let client = calls[other].client
                    if clients[client].call == other { clients[client].finish(now, &chance) }
                }
            }
        ) { core, moment in
            core.aborted(RequestID(id) ?? .first, on: wire.id, at: moment)
        }
        guard violation == nil else { return }
        if calls[number].state == .given {
            fail("call \(number) was aborted, and goes on", call: number)
        }
    }

    /// The process gets the event that the peer has closed.
    func tellEnd(_ place: Int, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        guard wire.isOpen, wire.peerClosed != .no, !wire.isEndTold else { return }
        note(
            "process \(process.index): the peer of connection \(place) has ended",
            call: wire.calls.first
        )
        if wire.peerClosed == .whole, !wire.unsent.isEmpty { return lose(place, .closed, process) }
        if case .bus = wire.kind, wire.peerClosed == .whole {
            return lose(place, .closed, process)
        }
        process.wires[place].isEndTold = true
        if case .bus = wire.kind {
            tell(process, .busBytes) { core, moment in core.peerEnded(wire.id, at: moment) }
            return
        }
        tell(
            process,
            .peerEnded,
            silently: { [self] in
                for number in process.wires[place].calls
                where calls[number].state == .given && calls[number].mayBeHeld {
                    checkLastWord(number, wire)
                    // What waits for the log is forgotten when the log answers.
                    if calls[number].isHeld { end(number, .gone) } else { maybeEnded += 1 }
                }
            }
        ) { core, moment in core.peerEnded(wire.id, at: moment) }
        if process.wires[place].isOpen, process.wires[place].id == wire.id {
            process.wires[place].isForgetful = true
        }
    }

    /// Events of connections: ends that were not reported yet, peers that stop or continue to read, and too slow ones.
    func stirWires() {
        let able = processes.filter { $0.isAlive && now >= $0.frozenUntil }
        guard let process = chance.one(of: able) else { return }
        let open = process.wires.indices.filter { process.wires[$0].isOpen }
        guard let place = chance.one(of: open) else { return }
        for late in open where process.wires[late].isOpen && !process.wires[late].unsent.isEmpty {
            if now - process.wires[late].unreadSince > 30_000 { lose(late, .slow, process) }
        }
        for ended in open where process.wires[ended].peerClosed != .no {
            tellEnd(ended, process)
        }
        guard violation == nil, process.wires[place].isOpen else { return }
        let wire = process.wires[place]
        switch chance.below(10) {
        case 0, 1:
            process.wires[place].reads = false
            process.wires[place].room = chance.below(3000)
        case 2 where wire.calls.isEmpty && wire.requests > 0:
            process.close(place, .whole)
            tellEnd(place, process)
        case 2 where wire.peerClosed == .no:
            if case .bus = wire.kind {
                endCommand(place, process)
            } else if chance.happens(20) {
                giveUpUnfinished(place, process)
            }
        case 3 where chance.happens(300):
            // The web server itself is stopped.
            process.close(place, .whole)
            tellEnd(place, process)
        default: readOn(place, process)
        }
    }

    /// The peer takes some of what waits for it.
    func readOn(_ place: Int, _ process: SimulatedProcess, all: Bool = false) {
        guard process.wires[place].isOpen else { return }
        let wire = process.wires[place]
        process.wires[place].reads = wire.unsent.isEmpty || all || chance.happens(700)
        guard !wire.unsent.isEmpty else { return }
        let count = all || chance.happens(500) ? wire.unsent.count : 1
        let taken = wire.unsent.prefix(count)
        process.wires[place].unsent.removeFirst(taken.count)
        process.wires[place].unsentBytes -= taken.reduce(0) { $0 + $1.bytes }
        process.wires[place].unreadSince = now
        for chunk in taken { take(chunk, place, process) }
        if process.wires[place].unsent.isEmpty { process.wires[place].reads = true }
        process.touched.append(place)
        settle(process)
    }
}
