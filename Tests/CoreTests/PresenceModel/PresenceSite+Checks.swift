import Channels
import Liveness

@testable import Core

/// What must be true.
extension PresenceSite {
    /// How a member was held, on whatever machine.
    struct Held {
        var last: Int64 = .min / 2
        /// The same on machines that the engine heard of then, and on each.
        var lastReached: Int64 = .min / 2
        var lastOn: [MachineID: Int64] = [:]
        /// Since when, but for moments that its grace period covers.
        var steadySince: Int64 = .max
    }

    var isCalm: Bool { calmSince <= now - 120_000 }

    func holds(of key: Key) -> [Hold] { holds.filter { $0.keys.contains(key) } }

    /// What the newest event says that some machine's log has. A loss may take one that had replaced another on all machines.
    func standing(of key: Key) -> Standing? {
        engine.standings[key].flatMap { standing in
            let isKept = machines.values.contains { $0.kept[key]?.offset == standing.offset }
            return isKept ? standing : nil
        }
    }

    // MARK: Each event

    /// That it follows from the one before, and that who tells it may.
    ///
    /// - Parameter isForgotten: the engine took an event with this key so long ago that it does not know it any more.
    func check(_ event: Event, by flight: Flight, isForgotten: Bool) throws {
        // A process may not know yet that what it goes by was lost.
        guard flight.history == engine.history else { return count("event of a lost history") }
        // It stood still meanwhile, or the engine's clock has jumped.
        guard !isForgotten else { return count("event after a forgotten key") }
        let before = engine.standings[event.key]
        let wasPresent = before?.isPresent ?? false
        let newest = before?.offset ?? .start
        let isUnheard = newest > flight.told
        // Two machines may tell of the same first join at once, neither of which knows of the other; each then adds itself.
        let isRace = before.map { $0.racedAt > now - 10_000 } ?? false
        if !event.isJoin {
            count("leave")
            try expect(wasPresent, "a leave of one who has left, or never came")
            let others = before?.machines.filter { $0 != flight.machine } ?? []
            // Of two first joins at once, it may know its own alone.
            if !isRace || !isUnheard {
                for machine in others { try checkLost(machine, by: flight) }
            }
            let here = holds(of: event.key).filter { $0.machine.id == flight.machine }
            try expect(
                here.allSatisfy { $0.since > now - 5000 },
                "\(flight.machine) tells that one has left who is there: \(describe(event.key))"
            )
            try expect(
                !here.isEmpty || held[event.key]?.lastOn[flight.machine] ?? 0 < now - 5000,
                "\(flight.machine) tells that one has left who was there just now: \(describe(event.key))"
            )
            let isSteady = held[event.key].map {
                $0.steadySince <= now - 60_000 && $0.last >= now - 5000
            }
            try expect(
                !isCalm || isSteady != true,
                "a leave of one who has been there all the time: \(describe(event.key))"
            )
            return
        }
        guard let since = event.since else {
            count("join")
            // What its log does not have any more is not known to who has begun to read it since.
            let isUnknown = isUnheard || newest <= flight.knowsFrom
            try expect(
                !wasPresent || isUnknown,
                "a join of one who is there, as if it were the first"
            )
            try expect(event.machines == [flight.machine], "a first join at other machines")
            return
        }
        try expect(wasPresent, "a further join of one who is not there")
        try expect(!isUnheard || isRace, "a further join that does not follow the newest event")
        try expect(
            isRace || since == before?.since,
            "a further join with another time of the first"
        )
        let (old, new) = (before?.machines ?? [], event.machines)
        for machine in Set(old).subtracting(new) {
            // The first joins of two machines may each have left out the other, which adds itself again.
            if !isRace, machine != flight.machine { try checkLost(machine, by: flight) }
        }
        count(old == new ? "told again" : "further join")
        try expect(
            old != new || isRace || newest <= flight.site.lacking,
            "a join told again that no machine lacks"
        )
    }

    /// That a machine is left out which is gone. One that has come back is known to be there from the next roll call on,
    /// a new one is at once.
    private func checkLost(_ machine: MachineID, by flight: Flight) throws {
        try expect(
            flight.site.hasLost(machine),
            "\(machine) no longer has a member, says \(flight.machine), which has not missed it"
        )
        guard engine.machines[machine] != nil, let heard = heardAt[machine] else { return }
        let isBack = flight.calledAt <= backAt[machine] ?? 0
        try expect(
            isBack || now - heard > 20_000,
            "\(machine) no longer has a member, says \(flight.machine), and was heard of"
        )
    }

    // MARK: After each tick

    func checkStanding() throws {
        for machine in machines.values { noteWell(machine) }
        var held: [Key: [Hold]] = [:]
        for hold in holds { for key in hold.keys { held[key, default: []].append(hold) } }
        for key in keys { try check(key, held[key] ?? []) }
        guard now.isMultiple(of: 5000) else { return }
        for machine in machines.values {
            for process in machine.processes { try checkList(of: process, machine) }
        }
    }

    private func noteWell(_ machine: Machine) {
        let isWell =
            machine.isReached && engine.isUp && !machine.isStuck && !machine.processes.isEmpty
            && machine.follower == machine.processes.first?.number && machine.rooms == Self.rooms
            && machine.processes.allSatisfy { $0.trouble == nil && $0.world.core.presence.isLoaded }
        machine.wellSince = isWell ? machine.wellSince ?? now : nil
    }

    private func isWell(_ machine: Machine, for milliseconds: Int64) -> Bool {
        machine.wellSince.map { $0 <= now - milliseconds } ?? false
    }

    func note(_ key: Key) {
        let isSteady = held[key].map { $0.last >= now - 5000 && $0.steadySince < .max } ?? false
        if !isSteady { held[key, default: Held()].steadySince = now }
        held[key]?.last = now
    }

    private func describe(_ key: Key) -> String {
        let places = holds(of: key).map {
            "on \($0.process.number) of \($0.machine.id) since \($0.since)"
        }
        let held = held[key] ?? Held()
        return "\(key) \(places), last \(held.last), steady since \(held.steadySince)"
    }

    private func check(_ key: Key, _ holds: [Hold]) throws {
        if !holds.isEmpty { note(key) }
        for machine in Set(holds.map(\.machine.id)) {
            held[key]?.lastOn[machine] = now
            if heardAt[machine] ?? 0 > now - 10_000 { held[key]?.lastReached = now }
        }
        let standing = standing(of: key)
        let isListed = standing?.isPresent ?? false
        let isSeen = holds.contains { $0.since <= now - 20_000 && isWell($0.machine, for: 20_000) }
        try expectSoon(isListed || !isSeen, 15_000, "\(key) is there, and not listed")
        let last = held[key]?.lastReached ?? .min / 2
        guard isListed, last <= now - 60_000 else { return }
        // A loss may have left the event to a machine alone that is cut off.
        let isWatched = machines.values.contains {
            isWell($0, for: 120_000) && $0.kept[key]?.offset == standing?.offset
        }
        try expect(
            !isListed || last > now - 120_000 || !isWatched,
            "\(key) has gone, and is listed"
        )
        try expect(
            !isListed || last > now - 60_000 || !isCalm,
            "\(key) has gone, and is listed for long"
        )
    }

    /// What may be wrong for a while.
    private func expectSoon(_ holds: Bool, _ milliseconds: Int64, _ what: String) throws {
        guard !holds else {
            wrongSince[what] = nil
            return
        }
        let since = wrongSince[what] ?? now
        wrongSince[what] = since
        try expect(now - since <= milliseconds, what)
    }

    /// A list is what the joins and leaves say that the process was told of.
    private func checkList(of process: Process, _ machine: Machine) throws {
        let presence = process.world.core.presence
        guard presence.isLoaded, process.generation == machine.generation else { return }
        let told = machine.entries.prefix { $0.head <= process.told }
        let standings = Self.standings(of: told)
        // The pages that it has read may have what it is told of later.
        let read = machine.entries.prefix { $0.head <= max(process.read, process.told) }
        let later = read.count > told.count ? Self.standings(of: read) : standings
        func since(_ standing: Standing?) -> Int64? {
            standing.flatMap { $0.isPresent ? $0.since : nil }
        }
        for room in machine.rooms {
            let name = channel(room)
            let listed = presence.members(of: name).map { ($0.member.topic, $0.sinceMilliseconds) }
            let list = Dictionary(uniqueKeysWithValues: listed)
            for key in Set(keys.filter { $0.channel == name }.map(\.topic)).union(list.keys) {
                let standing = standings[Key(channel: name, topic: key)]
                // What its log does not have any more is no matter of its own.
                if list[key] == nil, (standing?.offset ?? .start) <= process.knowsFrom { continue }
                let (now, soon) = (since(standing), since(later[Key(channel: name, topic: key)]))
                try expect(
                    list[key] == now || list[key] == soon,
                    "process \(process.number) of \(machine.id) lists \(key) on \(room) since "
                        + "\(list[key] ?? 0), and the log says \(now ?? 0)"
                )
            }
        }
    }

    // MARK: At rest

    /// Who is there is listed everywhere, nobody else is, and nothing more is told.
    func rest() throws {
        try pass(60_000)
        try checkAll()
        let events = engine.entries.count
        try pass(60_000)
        try expect(engine.entries.count == events, "events are told though nothing happens")
        try checkAll()
        count("rest")
    }

    private func checkAll() throws {
        for key in keys {
            let there = holds(of: key).map(\.machine.id)
            let standing = standing(of: key)
            let listed = standing.flatMap { $0.isPresent ? $0.machines : nil } ?? []
            try expect(
                Set(there).isSubset(of: listed),
                "\(key) is on \(there), and the newest event says \(listed)"
            )
            try expect(
                listed.first.map(there.contains) ?? true,
                "\(key) is on \(there), and \(listed) are to judge"
            )
            for machine in machines.values {
                for process in machine.processes {
                    try expect(
                        process.trouble == nil && process.told == engine.head,
                        "process \(process.number) of \(machine.id) is not level"
                    )
                    let list = process.world.core.presence.members(of: key.channel)
                    let since = list.first { $0.member.topic == key.topic }?.sinceMilliseconds
                    try expect(
                        since == (there.isEmpty ? nil : standing?.since),
                        "process \(process.number) of \(machine.id) lists \(key) since \(since ?? 0)"
                    )
                }
            }
        }
    }
}
