import Channels
import Engine
import Harness
import Testing

@testable import Bus

/// A machine that runs twice.
struct TwinTests {
    @Test func `a stranger that reports twice within a minute is said once an hour`() {
        var watch = TwinWatch()
        let own = watch.own
        func says(_ former: String, _ now: Int64) -> Bool {
            watch.reported(after: former, now: now)
        }
        // The process before this one.
        #expect(!says("former", 0))
        #expect(!says(own, 5000))
        // A failover took the newest report away.
        #expect(!says("former", 10_000))
        #expect(!says(own, 15_000))
        #expect(!says("former", 75_000))
        #expect(says("twin", 80_000))
        #expect(!says("twin", 85_000))
        #expect(!says(own, 90_000))
        #expect(!says("twin", 3_680_000))
        #expect(says("twin", 3_685_000))
    }

    @Test(.enabled(if: PostgreSQL.isUsable))
    func `a copy of a machine followed as the same one, and nobody said so`() throws {
        let site = try EngineSite()
        let (first, copy) = (try site.machine("1"), site.settings("copy"))
        try EngineMembership(site: try site.id, machine: "1").write(copy)
        let probes = [site.start(first), site.start(copy)]
        func said() -> [String] {
            probes.flatMap { $0.now.notices.filter { $0.contains("as this machine (1)") } }
        }
        var number = 0
        try waitUntil("it is said") {
            // Each reports when it has got further, once a second.
            number += 1
            probes[0].publish(draft("a", "\(number)"))
            for probe in probes { probe.wait(for: "\(number)") }
            return !said().isEmpty
        }
        #expect(said()[0].contains("/engine, and run holdfast engine join"))
        for probe in probes { probe.stop() }
    }
}
