import Channels
import Configuration
import Liveness

@testable import Core

/// What goes wrong.
extension PresenceSite {
    /// One thing, which is over by itself after a while.
    func trouble() throws {
        let all = machines.values.sorted { $0.id < $1.id }
        guard let machine = pick(all) else { return }
        switch pick(0...17) {
        case 0...2:
            guard !machine.isCut else { return }
            tell("\(machine.id) is cut off")
            count("cut")
            machine.isCut = true
            plan(in: pick(4...1200) * Self.tick) { [weak self] in
                machine.isCut = false
                self?.tell("\(machine.id) is reached again")
            }
        case 3:
            guard engine.isUp else { return }
            tell("the engine is away")
            count("engine away")
            engine.isUp = false
            plan(in: pick(4...600) * Self.tick) { [weak self] in self?.engineReturns() }
        case 4, 5:
            guard let process = pick(machine.processes) else { return }
            kill(process, of: machine)
            plan(in: pick(2...100) * Self.tick) { [weak self] in self?.startProcess(of: machine) }
        case 6:
            guard !machine.processes.isEmpty else { return }
            tell("\(machine.id) crashes")
            let count = machine.processes.count
            for process in machine.processes { kill(process, of: machine) }
            let isDeleted = chance(30)
            plan(in: pick(10...600) * Self.tick) { [weak self] in
                guard let self, machines[machine.id] != nil else { return }
                if isDeleted, engine.isUp {
                    tell("the log of \(machine.id) was deleted")
                    self.count("deleted")
                    beginAtAnchor(machine)
                }
                for _ in 0..<count { startProcess(of: machine) }
            }
        case 7:
            guard !machine.isStalled else { return }
            tell("\(machine.id) stands still")
            count("stalled")
            machine.isStalled = true
            plan(in: pick(4...400) * Self.tick) { [weak self] in
                machine.isStalled = false
                self?.tell("\(machine.id) goes on")
            }
        case 8:
            guard !machine.isStuck else { return }
            tell("what applies on \(machine.id) is stuck")
            count("stuck")
            machine.isStuck = true
            plan(in: pick(4...400) * Self.tick) { [weak self] in
                machine.isStuck = false
                self?.tell("what applies on \(machine.id) goes on")
            }
        case 9, 10:
            // Its log is full: the oldest messages go.
            let through = Offset(
                pick(machine.lacks.value...max(machine.lacks.value, machine.head.value))
            )
            let before = machine.kept.count
            machine.kept = machine.kept.filter { $0.value.offset > through }
            guard machine.kept.count < before else { return }
            machine.lacks = max(machine.lacks, through)
            tell("\(machine.id) trims through \(through)")
            count("trimmed")
        case 11:
            engine.anchor = Int(pick(Int64(engine.anchor)...Int64(engine.entries.count - 1)))
            count("engine trimmed")
        case 12, 13: failOver()
        case 14:
            machine.grace = chance(50) ? Self.grace : 6
            machine.rooms = chance(50) ? Self.rooms : ["room"]
            reload(machine)
            plan(in: pick(4...400) * Self.tick) { [weak self] in
                (machine.rooms, machine.grace) = (Self.rooms, Self.grace)
                self?.reload(machine)
            }
        case 15:
            let shift = pick(-500_000...500_000)
            engine.clockShift += shift
            tell("the engine's clock jumps by \(shift) ms")
            count("clock")
        case 16:
            guard machines.count < 5 else { return }
            addMachine()
            count("joined")
        default:
            guard machines.count > 2, engine.isUp else { return }
            tell("\(machine.id) leaves the site")
            count("dismissed")
            for process in machine.processes { kill(process, of: machine) }
            machines[machine.id] = nil
            engine.machines[machine.id] = nil
        }
    }

    private func engineReturns() {
        engine.isUp = true
        tell("the engine is back")
    }

    /// A standby takes over that lacks the newest entries, and what machines noted meanwhile.
    private func failOver() {
        let lost = min(Int(pick(0...6)), engine.entries.count - 1 - engine.anchor)
        tell("a failover loses \(lost) entries after \(engine.head)")
        count(lost > 0 ? "lost" : "promoted")
        engine.entries.removeLast(lost)
        engine.keys = engine.keys.filter { $0.value.offset <= engine.head }
        for (id, older) in olderMachines where engine.machines[id] != nil {
            engine.machines[id] = older
            heardAt[id] = olderHeardAt[id]
        }
        engine.standings = Self.standings(of: engine.entries[...])
        engine.history += 1
        beginEpoch(lost: false)
    }

    private func reload(_ machine: Machine) {
        tell("\(machine.id) reads its settings again: \(machine.rooms), \(machine.grace) s")
        count("reloaded")
        for process in machine.processes {
            process.knowsFrom = max(process.knowsFrom, machine.lacks)
            var settings = process.world.core.settings
            settings.presence = self.settings(of: machine)
            process.world.core.reload(settings, numbers: [:], at: process.world.moment)
            process.world.drain()
        }
    }

    /// All that went wrong is over, at once.
    func heal() {
        while !plans.isEmpty {
            let due = plans
            plans = []
            for plan in due { try? plan.act() }
        }
        if !engine.isUp { engineReturns() }
        tell("all is well")
    }

    /// Trouble for a while, then a time in which all must come to rest.
    func run(rounds: Int) throws {
        for _ in 0..<rounds {
            isQuiet = false
            let end = now + pick(60...400) * 1000
            var next = now + pick(1...40) * 1000
            while now < end {
                try step()
                if now.isMultiple(of: 8000) {
                    (olderMachines, olderHeardAt) = (engine.machines, heardAt)
                }
                if now >= next {
                    try trouble()
                    next = now + pick(1...40) * 1000
                    calmSince = .max
                }
            }
            heal()
            calmSince = now
            try pass(120_000)
            isQuiet = true
            try rest()
        }
    }
}
