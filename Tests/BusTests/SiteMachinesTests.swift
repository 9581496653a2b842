import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// What a process is told of the machines that share the log.
@Suite(.serialized, .enabled(if: PostgreSQL.isUsable)) struct SiteMachinesTests {
    private let first = MachineID(1)
    private let second = MachineID(2)

    @Test
    func `a process that follows knows which machines share the log, and the others their own`()
        throws
    {
        let site = try EngineSite()
        let machine = try site.machine("1")
        _ = try site.machine("2")
        let one = site.start(machine)
        one.wait("both are known") { $0.machines?.present == [first: .start, second: .start] }
        let other = site.start(machine)
        #expect(other.now.machines == SiteMachines(own: first))
        // Machines that have left the site are not waited for.
        #expect(
            try EngineAdministration.leave(
                site.server.options,
                schema: "holdfast",
                site: try #require(EngineMembership.read(machine)).site,
                machine: "2"
            )
        )
        one.wait("it has left") { $0.machines?.present == [first: .start] }
        one.stop()
        other.wait("it follows now") { $0.machines?.present == [first: .start] }
        other.stop()
    }

    @Test func `a log that begins anew, or is full, is told to the others as what it may lack`()
        throws
    {
        let site = try EngineSite()
        var machine = try site.machine("1")
        machine.maxBytes = 1 << 20
        let other = site.start(try site.machine("2"))
        for number in 1...3 { other.publish(draft("a", "\(number)")) }
        let seq = try site.head
        other.publish(draft("a", "4"))
        try site.server.sql("DELETE FROM holdfast.log WHERE seq < \(seq)")
        let one = site.start(machine)
        other.wait("it began behind the third") { $0.machines?.present?[first] == Offset(3) }
        one.wait(for: "4")
        // A join, and more than there is room for.
        let join = try #require(one.publish(draft("~presence/a", "here")).id?.offset)
        var last = join
        while one.read(["~presence/a"], .first).messages.count == 1, last.value < 300 {
            last = try #require(
                other.publish(draft("a", String(repeating: "x", count: 60_000))).id?.offset
            )
            one.wait("it is there") { $0.head >= last }
        }
        other.wait("the join is gone there") { $0.machines?.present?[first] == join }
        one.stop()
        other.stop()
    }
}
