import Channels
import Liveness
import Testing

/// Machines that share the log: each judges its own members, and the log takes one event after each.
@Suite struct SiteTests {
    private let chat = try! ChannelName("chat")
    private let ada = Member(name: "Ada", isVerified: false)

    @Test func `a member that comes to one machine is listed on all, by one message`() {
        let site = Site(3)
        site.come(ada, at: 0)
        site.pass(60_000)
        #expect(site.events == ["join 0"])
        for machine in 0..<3 { #expect(site.names(machine) == ["Ada"]) }
        site.end(ada, at: 0)
        site.pass(9000)
        #expect(site.events == ["join 0"])
        site.pass(2000)
        #expect(site.events == ["join 0", "leave"])
        for machine in 0..<3 { #expect(site.names(machine) == []) }
    }

    @Test func `three thousand that come to three machines are three thousand messages`() {
        let site = Site(3)
        for crowd in 0..<3 {
            for number in 0..<1000 {
                let member = Member(name: "\(crowd) \(number)", isVerified: false)
                site.come(member, at: number % 3)
            }
            site.pass(1000)
        }
        #expect(site.calls == 3000 && site.log.count == 3000)
        site.pass(60_000)
        #expect(site.calls == 3000)
        for machine in 0..<3 { #expect(site.names(machine).count == 3000) }
    }

    @Test func `one that is on two machines leaves when it has left both`() {
        let site = Site(2)
        site.come(ada, at: 0)
        site.pass(1000)
        site.come(ada, at: 1)
        site.pass(1000)
        #expect(site.events == ["join 0", "join 0 1"])
        site.end(ada, at: 0)
        site.pass(60_000)
        #expect(site.events == ["join 0", "join 0 1", "join 1"])
        site.end(ada, at: 1)
        site.pass(10_500)
        #expect(site.events.last == "leave" && site.log.count == 4)
        #expect(site.names(0) == [] && site.names(1) == [])
    }

    @Test func `one that moved to and fro leaves without delay, whichever machine had it last`() {
        for last in 0..<2 {
            let site = Site(2)
            for turn in 0..<9 + last {
                site.come(ada, at: turn % 2)
                site.pass(8000)
                site.end(ada, at: turn % 2)
            }
            // No other machine has found it missing.
            #expect(site.events == ["join 0", "join 0 1"])
            #expect(site.names(0) == ["Ada"])
            site.pass(10_500)
            #expect(site.events.count { $0 == "leave" } == 1, "\(site.events)")
            #expect(site.names(0) == [] && site.names(1) == [])
        }
    }

    @Test func `a member that comes to another machine while it leaves one is reported once`() {
        let site = Site(2)
        site.come(ada, at: 0)
        site.pass(1000)
        site.end(ada, at: 0)
        site.pass(9999)
        site.come(ada, at: 1)
        site.wait(1)
        site.pass(1000)
        // Either is right; neither leaves her out.
        #expect(site.names(0) == ["Ada"] && site.names(1) == ["Ada"])
        #expect(site.events.count { $0 == "leave" } <= 1)
        site.pass(60_000)
        #expect(site.names(0) == ["Ada"])
    }

    @Test func `a member that comes to two machines at once is listed by both, and leaves once`() {
        let site = Site(2)
        for machine in 0..<2 { site.come(ada, at: machine) }
        site.pass(30_000)
        for machine in 0..<2 { site.end(ada, at: machine) }
        site.pass(11_000)
        #expect(site.events.filter { $0 == "leave" }.count == 1)
        #expect(site.names(0) == [] && site.names(1) == [])
    }

    @Test
    func
        `one that came to two machines at once was off the list when it left the one that was told last`()
    {
        let site = Site(2)
        site.clocks = [100_000, 0]
        for machine in 0..<2 { site.come(ada, at: machine) }
        // Both have told that she is there alone, and have heard of it; neither has added itself to the other.
        site.turn()
        #expect(site.events == ["join 0", "join 1"])
        site.leave(at: 1)
        // What the other one tells at the same time comes later.
        site.turn(reversed: true)
        #expect(site.names(0) == ["Ada"] && site.names(1) == ["Ada"])
        site.pass(60_000)
        #expect(site.events.filter { $0 == "leave" } == [] && site.names(1) == ["Ada"])
    }

    /// She is on the second machine, and comes to one whose log lacks that, while another one is cut off that knows.
    private func site(_ count: Int, lackingAt machine: Int, cutOff: Int) -> Site {
        let site = Site(count)
        site.come(ada, at: 1)
        site.pass(20_000)
        site.isConnected[cutOff] = false
        site.restart(machine, from: 1)
        site.come(ada, at: machine)
        site.turn()
        site.isConnected[cutOff] = true
        site.hear(of: Array(0..<count), lacking: (machine, through: 1))
        return site
    }

    @Test func `one that was told again while she left was said to leave twice`() {
        let site = site(2, lackingAt: 1, cutOff: 0)
        site.leave(at: 1)
        // The log has her leave after the join that was told again, and her machine hears of that first.
        site.turn(hearing: 1)
        site.turn(hearing: 1)
        site.pass(60_000)
        #expect(site.events == ["join 1", "join 1", "join 1", "leave"])
        for machine in 0..<2 { #expect(site.names(machine) == []) }
    }

    @Test func `one that was told again while she moved was off the list`() {
        let site = site(3, lackingAt: 2, cutOff: 1)
        site.turn()
        site.leave(at: 1)
        site.isConnected[2] = false
        site.pass(20_000)
        site.isConnected[2] = true
        site.pass(60_000)
        #expect(site.events == ["join 1", "join 2", "join 1", "join 2"])
        for machine in 0..<3 { #expect(site.names(machine) == ["Ada"]) }
    }

    @Test func `a member could not join where another machine had told of it when it was as old`() {
        let site = Site(2)
        site.clocks = [100_000, 0]
        site.come(ada, at: 0)
        site.pass(1000)
        site.end(ada, at: 0)
        // Long enough for both to forget her, and until the clock of the other one shows the same.
        site.pass(100_000 - 1000)
        #expect(site.names(1) == [])
        site.come(ada, at: 1)
        site.pass(100)
        #expect(site.names(0) == ["Ada"] && site.names(1) == ["Ada"])
    }

    @Test func `members of a machine that is lost leave once, and join again when it is back`() {
        let site = Site(3)
        site.come(ada, at: 0)
        site.pass(40_000)
        site.isConnected[0] = false
        site.pass(60_000)
        #expect(site.events == ["join 0"])
        site.hear(of: [1, 2])
        site.pass(60_000)
        #expect(site.events == ["join 0", "leave"])
        #expect(site.names(1) == [])
        // It had her all the time.
        site.isConnected[0] = true
        site.hear(of: [0, 1, 2])
        site.pass(60_000)
        #expect(site.events == ["join 0", "leave", "join 0"])
        #expect(site.names(2) == ["Ada"])
    }

    @Test func `one that is also elsewhere stays when a machine is lost`() {
        let site = Site(3)
        site.come(ada, at: 0)
        site.pass(100)
        site.come(ada, at: 1)
        site.pass(40_000)
        site.isConnected[0] = false
        site.hear(of: [1, 2])
        site.pass(60_000)
        #expect(!site.events.contains("leave"))
        #expect(site.names(2) == ["Ada"])
        site.end(ada, at: 1)
        site.pass(11_000)
        #expect(site.events.last == "leave" && site.names(2) == [])
    }

    @Test func `a machine that is not known yet is waited for`() {
        let site = Site(3)
        site.hear(of: [0, 1])
        site.come(ada, at: 2)
        site.pass(10_000)
        #expect(site.events == ["join 2"])
        site.hear(of: [0, 1, 2])
        site.pass(60_000)
        #expect(site.events == ["join 2"])
    }

    @Test func `a process that does not follow the engine judges no other machine`() {
        let site = Site(2)
        site.machines[1].know(SiteMachines(own: MachineID(1)), now: 0)
        site.come(ada, at: 0)
        site.pass(100)
        site.isConnected[0] = false
        site.pass(600_000)
        #expect(site.events == ["join 0"])
    }

    @Test func `a machine whose log began anew is told again of all, once, with when they came`() {
        let site = Site(3)
        let bob = Member(name: "Bob", isVerified: true)
        site.come(ada, at: 0)
        site.pass(10_000)
        site.come(bob, at: 1)
        site.pass(50_000)
        site.restart(2, from: 2)
        #expect(site.names(2) == [])
        site.hear(of: [0, 1, 2], lacking: (2, through: 2))
        site.pass(1000)
        #expect(site.names(2) == ["Ada", "Bob"])
        #expect(site.log.count == 4)
        // An engine that has lost its newest part may have given the same numbers again.
        site.hear(of: [0, 1, 2], lacking: (2, through: 4))
        site.pass(60_000)
        #expect(site.log.count == 6)
        site.pass(600_000)
        #expect(site.log.count == 6 && site.calls == 6)
        let since = site.machines[2].members(of: chat).map(\.sinceMilliseconds)
        #expect(since == site.machines[0].members(of: chat).map(\.sinceMilliseconds))
        #expect(since[0] < 10_000)
    }

    @Test func `a machine whose log began anew without its own members is told of these, too`() {
        let site = Site(3)
        site.come(ada, at: 0)
        site.pass(10_000)
        // She has gone meanwhile.
        site.restart(0, from: 1)
        site.hear(of: [0, 1, 2], lacking: (0, through: 1))
        site.pass(1000)
        #expect(site.events == ["join 0", "join 0"])
        site.pass(30_000)
        #expect(site.events == ["join 0", "join 0", "leave"])
        for machine in 0..<3 { #expect(site.names(machine) == []) }
    }

    @Test func `what no log has any more is reported again by a machine that still knows it`() {
        let site = Site(2)
        site.come(ada, at: 0)
        site.pass(40_000)
        for machine in 0..<2 { site.hear(of: [0, 1], lacking: (machine, through: 1)) }
        site.pass(1000)
        #expect(site.events == ["join 0", "join 0"])
    }

    @Test func `what a full log refused is told again later`() {
        let site = Site(2)
        site.come(ada, at: 0)
        site.pass(1000)
        site.hear(of: [0, 1], lacking: (1, through: 1))
        let first = site.machines[0].due(now: site.now).events
        #expect(first.map(\.machines) == [[MachineID(0)]])
        for event in first { site.machines[0].refused(event, hasNoPlace: false, now: site.now) }
        site.pass(4000)
        #expect(site.log.count == 1)
        site.pass(2000)
        #expect(site.log.count == 2)
    }

    @Test func `a machine that was started again judges its own after a while`() {
        let site = Site(2)
        site.come(ada, at: 0)
        site.pass(60_000)
        site.restart(0)
        #expect(site.names(0) == ["Ada"])
        site.pass(20_000)
        #expect(site.events == ["join 0"])
        site.pass(10_000)
        #expect(site.events == ["join 0", "leave"])
        #expect(site.names(1) == [])
    }

    @Test func `what was told again is told once more where that was lost`() {
        let site = Site(2)
        site.come(ada, at: 0)
        site.pass(40_000)
        site.hear(of: [0, 1], lacking: (1, through: 1))
        // A failover loses it before any machine has it.
        #expect(site.machines[0].due(now: site.now).events.map(\.machines) == [[MachineID(0)]])
        site.readAgain(0)
        site.pass(6000)
        #expect(site.events == ["join 0", "join 0"])
    }

    @Test func `a member of a machine that the others do not know yet does not leave`() {
        let site = Site(3)
        site.hear(of: [0, 1])
        site.come(ada, at: 0)
        site.pass(60_000)
        // She comes to the new machine as well, and leaves the first.
        site.end(ada, at: 0)
        site.pass(9900)
        site.come(ada, at: 2)
        site.pass(4000)
        site.hear(of: [0, 1, 2])
        site.pass(60_000)
        #expect(!site.events.contains("leave"), "\(site.events)")
        for machine in 0..<3 { #expect(site.names(machine) == ["Ada"]) }
    }

    @Test func `a machine that is behind judges no member by what it has`() {
        let site = Site(3)
        site.come(ada, at: 1)
        site.pass(40_000)
        // It was away, and she has left; the third machine's log has begun anew meanwhile.
        site.isConnected[1] = false
        site.hear(of: [0, 2])
        site.pass(60_000)
        #expect(site.events == ["join 1", "leave"])
        site.restart(1, from: 0, through: 1)
        site.machines[1].isBehind = true
        site.isConnected[1] = true
        site.hear(of: [0, 1, 2], lacking: (2, through: 1))
        #expect(site.machines[1].due(now: site.now).events.isEmpty)
        // What waits until then does not keep it awake.
        #expect(site.machines[1].nextLook > site.now)
        site.pass(1000)
        #expect(site.names(1) == [])
        site.machines[1].isBehind = false
        let bob = Member(name: "Bob", isVerified: true)
        site.come(bob, at: 1)
        site.pass(1000)
        #expect(site.events == ["join 1", "leave", "join 1"])
    }

    @Test func `an event that is read late changes nothing, whatever its epoch`() {
        let site = Site(1)
        func tell(_ epoch: String, _ offset: Int64, isJoin: Bool) {
            site.machines[0].told(
                ada,
                on: chat,
                isJoin: isJoin,
                at: [MachineID(1)],
                id: Cursor(epoch: Epoch(epoch)!, offset: Offset(offset)),
                timeMilliseconds: 0,
                site.limits,
                now: 0
            )
        }
        // It is committed while the history before it is on its way.
        tell("e", 100, isJoin: false)
        tell("d", 50, isJoin: true)
        #expect(site.names(0) == [])
        tell("e", 101, isJoin: true)
        #expect(site.names(0) == ["Ada"])
    }

    @Test func `members of a log from before, without machines, leave when no process has them`() {
        let site = Site(1)
        site.machines[0].told(
            ada,
            on: chat,
            isJoin: true,
            id: Cursor(epoch: Epoch("d")!, offset: .start),
            timeMilliseconds: 0,
            site.limits,
            now: 0
        )
        site.pass(20_000)
        #expect(site.names(0) == ["Ada"])
        site.pass(10_000)
        #expect(site.names(0) == [])
    }
}
