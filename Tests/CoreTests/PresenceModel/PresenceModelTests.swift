import Foundation
import Testing

/// Presence over machines against a model: whatever happens to machines, networks and clients, each join and leave is told
/// once in the one order, every list is what these say, and who is there is listed in the end.
@Suite struct PresenceModelTests {
    /// `HOLDFAST_PRESENCE_SEED` and `HOLDFAST_PRESENCE_ROUNDS` run others.
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test func `whatever happens, who is there is listed, and nobody else`() throws {
        let given = Self.number("HOLDFAST_PRESENCE_SEED")
        var seen: [String: Int] = [:]
        for seed in given.map({ [$0] }) ?? [13, 15, 62] {
            let site = PresenceSite(seed: seed)
            try site.run(rounds: Int(Self.number("HOLDFAST_PRESENCE_ROUNDS") ?? 2))
            seen.merge(site.seen) { $0 + $1 }
        }
        guard given == nil else { return }
        for event in PresenceSite.events {
            #expect(seen[event] != nil, "nothing of it happened: \(event)")
        }
    }
}
