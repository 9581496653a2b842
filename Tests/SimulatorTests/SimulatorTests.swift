import Simulation
import Testing

/// A short while in the simulated world; scripts/simulate does the same for longer.
struct SimulatorTests {
    @Test(arguments: Array<UInt64>(1...4))
    func `no promise is broken in a short while`(seed: UInt64) {
        let outcome = Simulation(seed: seed).run(steps: 4000)
        if let failure = outcome.failure {
            Issue.record(
                "seed \(seed), run \(failure.run), step \(failure.steps): \(failure.text)"
            )
        }
    }

    @Test func `the same seed makes the same run to the byte`() {
        let first = Simulation(seed: 11).run(steps: 3000)
        let second = Simulation(seed: 11).run(steps: 3000)
        #expect(first.digest == second.digest)
        #expect(first.summary == second.summary)
        #expect(Simulation(seed: 12).run(steps: 3000).digest != first.digest)
    }
}
