import Channels
import Liveness

/// The machines of a site with a process each, and the log that they share.
final class Site {
    let chat = try! ChannelName("chat")
    let limits: PresenceLimits = {
        var limits = PresenceLimits()
        limits.graceMilliseconds = 10_000
        limits.members = 20_000
        return limits
    }()
    var machines: [Presence]
    var known: [SiteMachines]
    /// Those that the engine reaches.
    var isConnected: [Bool]
    private(set) var log: [(event: PresenceEvent, id: Cursor)] = []
    private var keys: Set<String> = []
    /// What each machine has been told of the log.
    private var told: [Int]
    private(set) var now: Int64 = 0
    /// What each machine's clock is ahead.
    var clocks: [Int64]
    private(set) var calls = 0

    init(_ count: Int) {
        machines = (0..<count).map { _ in Presence() }
        known = (0..<count).map { SiteMachines(own: MachineID(UInt64($0))) }
        isConnected = Array(repeating: true, count: count)
        told = Array(repeating: 0, count: count)
        clocks = Array(repeating: 0, count: count)
        for at in machines.indices {
            machines[at].know(known[at], now: 0)
            machines[at].loaded()
        }
        hear(of: Array(0..<count))
    }

    /// All that are connected know that these are there, and up to where the log of one lacks messages.
    func hear(of present: [Int], lacking: (machine: Int, through: Int64)? = nil) {
        var lacks: [MachineID: Offset] = [:]
        for machine in present {
            let isLacking = lacking?.machine == machine
            lacks[MachineID(UInt64(machine))] = Offset(isLacking ? lacking?.through ?? 0 : 0)
        }
        for at in machines.indices where isConnected[at] {
            known[at] = SiteMachines(own: known[at].own, present: lacks)
            machines[at].know(known[at], now: clock(at))
        }
    }

    private func clock(_ machine: Int) -> Int64 { now + clocks[machine] }

    func come(_ member: Member, at machine: Int, subscriber: UInt64 = 1) {
        _ = machines[machine].attends(
            member,
            on: chat,
            subscriber: subscriber,
            limits,
            now: clock(machine)
        )
    }

    func end(_ member: Member, at machine: Int, subscriber: UInt64 = 1) {
        machines[machine].released(
            member,
            on: chat,
            subscriber: subscriber,
            limits,
            now: clock(machine)
        )
    }

    /// Lets time pass without any event.
    func wait(_ milliseconds: Int64) { now += milliseconds }

    /// One that says that it leaves.
    func leave(at machine: Int, subscriber: UInt64 = 1) {
        machines[machine].left(subscriber: subscriber, now: clock(machine))
    }

    /// Lets time pass, and the machines tell what is due, all before any of them hears of it.
    func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        while now <= end {
            if !turn() { now += 100 }
        }
        now = end
    }

    /// The machines tell what is due, in their order or its reverse, and hear of it, or of not more than so many events;
    /// returns whether there was something.
    @discardableResult
    func turn(reversed: Bool = false, hearing most: Int = .max) -> Bool {
        var events: [PresenceEvent] = []
        for at in machines.indices where isConnected[at] {
            events += machines[at].due(now: clock(at)).events
        }
        for event in reversed ? events.reversed() : events {
            calls += 1
            guard keys.insert(event.key).inserted else { continue }
            let id = Cursor(epoch: Epoch("e")!, offset: Offset(Int64(log.count) + 1))
            log.append((event, id))
        }
        for at in machines.indices where isConnected[at] {
            let news = log[told[at]...].prefix(most)
            for (event, id) in news { tell(event, id, to: at) }
            told[at] += news.count
        }
        return !events.isEmpty
    }

    private func tell(_ event: PresenceEvent, _ id: Cursor, to machine: Int) {
        machines[machine].told(
            event.member,
            on: event.channel,
            isJoin: event.isJoin,
            at: event.machines,
            id: id,
            timeMilliseconds: event.sinceMilliseconds ?? now,
            isFurther: event.sinceMilliseconds != nil,
            limits,
            now: clock(machine)
        )
    }

    /// The process of a machine begins anew, with what the log has after an offset, or had when the machine was away.
    func restart(_ machine: Int, from offset: Int = 0, through end: Int? = nil) {
        machines[machine] = Presence()
        machines[machine].know(known[machine], now: clock(machine))
        let end = end ?? log.count
        var newest: [Member: (event: PresenceEvent, id: Cursor)] = [:]
        for entry in log[offset..<end] { newest[entry.event.member] = entry }
        for (event, id) in newest.values { tell(event, id, to: machine) }
        told[machine] = end
        machines[machine].loaded()
    }

    /// The process of a machine reads the log anew, as under a new epoch.
    func readAgain(_ machine: Int) {
        machines[machine].forgetEvents(now: clock(machine))
        for (event, id) in log { tell(event, id, to: machine) }
        machines[machine].loaded()
    }

    func names(_ machine: Int) -> [String] {
        machines[machine].members(of: chat).map(\.member.name)
    }

    /// As in `join 0 1` and `leave`.
    var events: [String] {
        log.map { entry in
            let machines = entry.event.machines.map { " \($0)" }.joined()
            return (entry.event.isJoin ? "join" : "leave") + machines
        }
    }
}
