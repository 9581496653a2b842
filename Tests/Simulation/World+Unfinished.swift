import Channels
import Core
import Endpoint
import FastCGI

/// What the shell does not get completely, or cannot read.
extension World {
    /// How a request reaches the core.
    enum Arrival {
        case whole
        /// Its framing ends it; the shell has made the records that say so.
        case refused
        /// Its variables are too many.
        case oversized
    }

    /// The requests of a connection whose variables have come, and their bodies have not.
    func unfinished(on place: Int, _ process: SimulatedProcess) -> [Int] {
        let id = process.wires[place].id
        return waiting.filter {
            calls[$0].isHeadGiven && calls[$0].process == process.index
                && calls[$0].connection == id
        }
    }

    /// Others need the room of what has not come completely.
    func giveUpUnfinished(_ place: Int, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        let unfinished = unfinished(on: place, process)
        waiting.removeAll { unfinished.contains($0) }
        // Of a request whose variables have not come, nothing is known that could be answered.
        if unfinished.isEmpty { process.wires[place].isRude = true }
        for number in unfinished {
            calls[number].state = .given
            calls[number].statuses = [503]
            process.wires[place].calls.append(number)
        }
        let keeps = !wire.isForOne
        let addresses = unfinished.map {
            RequestAddress(
                connection: wire.id,
                id: RequestID(calls[$0].id) ?? .first,
                keepConnection: keeps
            )
        }
        count("given up unfinished")
        note("process \(process.index) gives up what is unfinished on connection \(place)")
        tell(process, .request) { core, moment in
            core.gaveUp(addresses, on: wire.id, at: moment)
        }
        for number in unfinished where violation == nil && calls[number].state == .given {
            fail("call \(number) was given up, and is not answered", call: number)
        }
    }

    /// A command has been arriving for too long, or others need its room.
    func endCommand(_ place: Int, _ process: SimulatedProcess) {
        let wire = process.wires[place]
        guard process.core.kept(of: wire.id).command != nil else { return }
        count("commands ended by time")
        process.wires[place].isOver = true
        let reason: CommandEnd = chance.happens(500) ? .outOfTime : .crowded
        tell(process, .busBytes) { core, moment in
            core.endCommand(of: wire.id, reason, at: moment)
        }
    }

    /// Only what has begun and not ended counts as unfinished.
    func checkUnfinished(_ place: Int, _ process: SimulatedProcess) {
        guard violation == nil, process.isAlive, process.wires[place].isOpen else { return }
        let wire = process.wires[place]
        let isWhole = wire.input.isEmpty
        if isWhole, process.core.kept(of: wire.id).command != nil {
            fail("a command of connection \(place) is called unfinished, and all have ended")
        }
    }
}
