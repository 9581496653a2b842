import Configuration
import Core

/// Runs of the simulated world, one after the other, from one seed: each is a small world of its own, with a few
/// thousand steps, in which all leave at the end.
package struct Simulation {
    package struct Outcome: Sendable {
        package var steps = 0
        package var runs = 0
        /// Over everything that happened; equal for equal runs.
        package var digest: UInt64 = 0
        package var failure: Failure?
        /// What occurred, as lines for a person.
        package var summary: [String] = []
    }

    package struct Failure: Sendable {
        package let seed: UInt64
        package let run: Int
        /// The run's number, from 1, and the steps needed to see the failure.
        package let steps: Int
        /// The steps of the run with all clients.
        package let stepsOfAll: Int
        /// It shows only after all have left.
        package let isAtEnd: Bool
        package let text: String
        /// The last lines about the request concerned, or about everything.
        package let events: [String]
        /// The last lines about everything.
        package let everything: [String]
        /// Clients that do not matter for it.
        package let muted: [Int]
    }

    private let seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// - Parameters:
    ///   - steps: in all.
    ///   - only: the number of the only run to make.
    package func run(
        steps: Int,
        only: Int? = nil,
        progress: (Outcome) -> Void = { _ in }
    ) -> Outcome {
        var outcome = Outcome()
        var digest = Digest()
        var sums = Sums()
        var number = only ?? 0
        while outcome.steps < steps {
            let world = makeWorld(number)
            let count = min(only == nil ? length(number) : .max, steps - outcome.steps)
            let isAtEnd = Self.drive(world, steps: count)
            outcome.steps += world.steps
            outcome.runs += 1
            digest.add(Int(truncatingIfNeeded: world.digest.value))
            outcome.digest = digest.value
            sums.add(world)
            if world.violation != nil {
                outcome.failure = describe(number, world, isAtEnd)
                break
            }
            progress(outcome)
            if only != nil { break }
            number += 1
        }
        outcome.summary = sums.lines
        return outcome
    }

    /// Makes this many runs, whatever their results: each kind of failure once, with how often it occurred and where
    /// first.
    package func failures(runs: Int) -> [(text: String, count: Int, run: Int, step: Int)] {
        var found: [(text: String, count: Int, run: Int, step: Int)] = []
        for number in 0..<runs {
            let world = makeWorld(number)
            _ = Self.drive(world, steps: length(number))
            guard let violation = world.violation else { continue }
            let kind = Self.kind(violation.text)
            if let at = found.firstIndex(where: { Self.kind($0.text) == kind }) {
                found[at].count += 1
            } else {
                found.append((violation.text, 1, number, violation.step))
            }
        }
        return found.sorted { $0.count > $1.count }
    }

    /// Without what differs between them.
    private static func kind(_ text: String) -> [Substring] {
        text.split(separator: " ").filter { !$0.contains(where: \.isNumber) }
    }

    private func chance(_ run: Int) -> Chance {
        Chance(seed: seed &+ UInt64(run) &* 0xd134_2543_de82_ef95)
    }

    private func length(_ run: Int) -> Int {
        var chance = chance(run)
        return chance.one(of: [100, 500, 2000, 2000, 6000]) ?? 2000
    }

    private func makeWorld(_ run: Int, muted: Set<Int> = []) -> World {
        var chance = chance(run)
        _ = chance.next()
        return World(seed: chance.next(), muted: muted)
    }

    /// - Returns: whether the failure showed after the last step.
    private static func drive(_ world: World, steps: Int) -> Bool {
        for process in world.processes { world.begin(process) }
        while world.steps < steps, world.violation == nil { world.step() }
        guard world.violation == nil else { return false }
        world.finish()
        return world.violation != nil
    }

    // MARK: Failures

    private func describe(_ number: Int, _ world: World, _ isAtEnd: Bool) -> Failure {
        // What shows at the end may have happened long before.
        var steps = world.steps
        if isAtEnd {
            var low = 0
            for _ in 0..<20 where steps - low > 1 {
                let middle = (low + steps) / 2
                let shorter = makeWorld(number)
                if Self.drive(shorter, steps: middle) { steps = middle } else { low = middle }
            }
        }
        let stepsOfAll = steps
        // Without some of the clients everything else happens differently: most often the failure does not occur again.
        var muted: Set<Int> = []
        for client in world.clients.indices.dropFirst() {
            let smaller = makeWorld(number, muted: muted.union([client]))
            _ = Self.drive(smaller, steps: steps)
            if let violation = smaller.violation, violation.step <= steps,
                Self.kind(violation.text) == Self.kind(world.violation?.text ?? "")
            {
                muted.insert(client)
                steps = min(steps, max(1, violation.step))
            }
        }
        let again = makeWorld(number, muted: muted)
        again.trace = World.Trace()
        let showsAtEnd = Self.drive(again, steps: steps)
        let violation = again.violation ?? world.violation
        return Failure(
            seed: seed,
            run: number,
            steps: steps,
            stepsOfAll: stepsOfAll,
            isAtEnd: showsAtEnd,
            text: violation?.text ?? "",
            events: Self.events(again, of: violation?.call),
            everything: Self.events(again, of: nil),
            muted: muted.sorted()
        )
    }

    private static func events(_ world: World, of call: Int?) -> [String] {
        guard let trace = world.trace else { return [] }
        let client = call.map { world.calls[$0].client }
        var lines: [String] = []
        for line in trace.lines {
            if let client, let other = line.call, world.calls[other].client != client { continue }
            if let call, line.text.hasPrefix("process "),
                !line.text.hasPrefix("process \(world.calls[call].process)")
            {
                continue
            }
            lines.append("step \(line.step): \(line.text)")
        }
        return lines.suffix(call == nil ? 10_000 : 80)
    }

    // MARK: What occurred

    private struct Sums {
        var calls = 0
        var held = 0
        var kills = 0
        var logChanges = 0
        var handOvers = 0
        var others: [String: Int] = [:]
        var endings = [UInt64](repeating: 0, count: Ending.allCases.count)
        var bounds = [UInt64](repeating: 0, count: Bound.allCases.count)

        mutating func add(_ world: World) {
            calls += world.tally.calls
            held += world.tally.held
            kills += world.tally.kills
            logChanges += world.tally.logChanges
            handOvers += world.tally.handOvers
            others.merge(world.tally.others) { $0 + $1 }
            for ending in Ending.allCases {
                endings[ending.rawValue] += world.tally.endings[ending.rawValue]
            }
            for process in world.processes {
                for bound in Bound.allCases {
                    bounds[bound.rawValue] += process.core.counters[bound]
                }
            }
        }

        var lines: [String] {
            let ended = Ending.allCases.map { "\($0.label) \(endings[$0.rawValue])" }
            let reached = Bound.allCases.filter { bounds[$0.rawValue] > 0 }
                .map { "\($0.label) \(bounds[$0.rawValue])" }
            return [
                "requests \(calls), of them held at once \(held); processes killed \(kills); other logs \(logChanges); handed over \(handOvers)",
                "ended: " + ended.joined(separator: ", "),
                "bounds reached: " + reached.joined(separator: ", "),
                "besides: "
                    + others.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                    .joined(separator: ", "),
            ]
        }
    }
}
