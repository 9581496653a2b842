import Foundation
import Testing

/// Presence over machines against a model: whatever happens to machines, networks and clients, each join and leave is told
/// once in the one order, every list is what these say, and who is there is listed in the end.
@Suite struct PresenceModelTests {
    /// `HOLDFAST_PRESENCE_SEED` and `HOLDFAST_PRESENCE_ROUNDS` run others.
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test(arguments: number("HOLDFAST_PRESENCE_SEED").map { [$0] } ?? [1, 3])
    func `whatever happens, who is there is listed, and nobody else`(seed: UInt64) throws {
        let site = PresenceSite(seed: seed)
        try site.run(rounds: Int(Self.number("HOLDFAST_PRESENCE_ROUNDS") ?? 2))
        for event in ["leave", "further join", "rest"] {
            #expect(site.seen[event] != nil, "nothing of it happened: \(event)")
        }
    }
}
