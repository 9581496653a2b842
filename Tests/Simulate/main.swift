import Simulation

#if canImport(Glibc)
    import Glibc
#endif

// simulate SEED STEPS [RUN] [full]: see scripts/simulate; "full" prints what happened to everybody before.
// simulate failures SEED RUNS: the kinds of failures of many runs.

if CommandLine.arguments.count >= 4, CommandLine.arguments[1] == "failures",
    let seed = UInt64(CommandLine.arguments[2]), let runs = Int(CommandLine.arguments[3])
{
    let failures = Simulation(seed: seed).failures(runs: runs)
    for failure in failures {
        print(
            "\(failure.count) times, first in run \(failure.run), step \(failure.step): \(failure.text)"
        )
    }
    exit(failures.isEmpty ? 0 : 1)
}

let numbers = CommandLine.arguments.dropFirst().filter { $0 != "full" }.map { UInt64($0) }
guard (2...3).contains(numbers.count), let seed = numbers[0], let steps = numbers[1] else {
    print("usage: simulate SEED STEPS [RUN]")
    exit(64)
}
let only = numbers.count == 3 ? numbers[2].map { Int($0) } : nil
let outcome = Simulation(seed: seed).run(steps: Int(steps), only: only)
print(
    "seed \(seed): \(outcome.steps) steps in \(outcome.runs) runs, digest \(String(outcome.digest, radix: 16))"
)
for line in outcome.summary { print(line) }
guard let failure = outcome.failure else { exit(0) }
print("")
print(
    "FAILED: seed \(failure.seed), run \(failure.run), step \(failure.steps)\(failure.isAtEnd ? ", when all had left" : "")"
)
print("  \(failure.text)")
if !failure.muted.isEmpty { print("  without clients \(failure.muted)") }
print(
    "  again: scripts/simulate --seed \(failure.seed) --run \(failure.run) --steps \(failure.stepsOfAll)"
)
let isFull = CommandLine.arguments.contains("full")
for event in isFull ? failure.everything : failure.events { print("    " + event) }
exit(1)
