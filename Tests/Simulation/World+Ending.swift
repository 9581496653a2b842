import Channels
import Core

/// The end of a run: all leave, and nothing of them may be left.
extension World {
    func finish() {
        isEnding = true
        for process in processes {
            // A turn that began before it stood still is late, too.
            process.frozenUntil = min(process.frozenUntil, now)
            // After what it has not heard yet.
            if plan.machine != nil { process.end.engine(nil) }
            process.end.open(log)
        }
        for number in clients.indices where violation == nil { leave(number) }
        for number in waiting {
            calls[number].state = .ended
            clients[calls[number].client].call = nil
        }
        waiting = []
        for round in 0..<80 {
            guard violation == nil else { return }
            quieten()
            // Connections of peers that hide departures are closed in the end, like all.
            if round == 12 {
                checkCommands()
                closeAll()
            }
            advance(round < 40 ? 900 : 3000)
        }
        checkEmpty()
        checkNobody()
        checkSpread()
    }

    private func quieten() {
        for process in processes where process.isAlive {
            for _ in 0..<400 {
                guard violation == nil else { return }
                let before = steps(of: process)
                while !process.words.isEmpty, violation == nil { hearWord(process) }
                process.end.write(1000, .committed, &log, &chance)
                process.end.answer(1000, fails: false, log, &chance)
                process.end.follow(log, &chance)
                while process.end.waitingEvents > 0, violation == nil { hearLog(process) }
                for place in process.wires.indices where process.wires[place].isOpen {
                    readOn(place, process, all: true)
                    if process.wires.indices.contains(place), process.wires[place].isOpen {
                        pump(place, process, all: true)
                    }
                }
                turn(process)
                if steps(of: process) == before, process.end.waitingAppends == 0,
                    process.end.waitingReads == 0, process.end.waitingEvents == 0
                {
                    break
                }
            }
        }
    }

    /// Changes while something continues.
    private func steps(of process: SimulatedProcess) -> [Int] {
        [
            process.core.heldCount, process.core.waitingCount, process.openWires,
            process.wires.reduce(0) { $0 + ($1.isOpen ? $1.input.count + $1.unsent.count : 0) },
        ]
    }

    private func closeAll() {
        for process in processes where process.isAlive {
            for place in process.wires.indices where process.wires[place].isOpen {
                let wasHalfClosed = process.wires[place].isEndTold
                if process.wires[place].peerClosed != .whole { process.close(place, .whole) }
                tellEnd(place, process)
                // A client of the bus socket that sent nothing any more has read on.
                if wasHalfClosed, case .bus = process.wires[place].kind {
                    lose(place, .closed, process)
                }
            }
        }
    }
}
