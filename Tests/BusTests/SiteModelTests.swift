import Foundation
import Harness
import Testing

/// Several machines against a model: whatever happens to them and to the engine, their logs are what the model says, and
/// each reader gets what comes next, or is told.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct SiteModelTests {
    /// `HOLDFAST_SITE_SEED` and `HOLDFAST_SITE_ROUNDS` run others.
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test(arguments: number("HOLDFAST_SITE_SEED").map { [$0] } ?? [1, 2])
    func `whatever happens, all machines have what the model says`(seed: UInt64) throws {
        let rounds = Int(Self.number("HOLDFAST_SITE_ROUNDS") ?? 60)
        try SiteRun(seed: seed).run(rounds: rounds)
    }
}
