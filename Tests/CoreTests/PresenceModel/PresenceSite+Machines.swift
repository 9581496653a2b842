import Channels
import Configuration
import Liveness

@testable import Core

extension PresenceSite {
    /// A process of a machine: a core, and how far it was told of the machine's log.
    final class Process {
        let number: Int
        let world: World
        var told = Offset.start
        /// How far the pages go that it has read, which may be further.
        var read = Offset.start
        /// Of the machine's log.
        var generation = -1
        var site: SiteMachines
        /// When it last called the roll.
        var calledAt: Int64 = 0
        var trouble: EngineTrouble? = .catchingUp
        /// Since when it has lacked something, or asked in vain.
        var behindSince: Int64?
        var silentSince: Int64?
        /// From here on its list is what the log says: what was trimmed before it began to read is not.
        var knowsFrom = Offset.start
        var answers: [(at: Int64, read: ReadRequest, page: HistoryPage?)] = []

        init(_ number: Int, _ world: World, _ site: SiteMachines) {
            (self.number, self.world, self.site) = (number, world, site)
        }
    }

    /// A machine with its local log.
    final class Machine {
        let id: MachineID
        var processes: [Process] = []
        /// The engine's entries as far as they were applied.
        var entries: [Entry] = []
        /// The newest event of each member that the log still has.
        var kept: [Key: Event] = [:]
        var lacks = Offset.start
        var generation = 0
        /// No connection to the engine.
        var isCut = false
        /// Nothing runs there, clocks neither.
        var isStalled = false
        /// The process that applies does not go on.
        var isStuck = false
        /// Sections of [presence] that it has.
        var rooms = PresenceSite.rooms
        var grace = PresenceSite.grace
        var roll = RollCall()
        var tendAt: Int64 = 0
        var rollAt: Int64 = 0
        /// Which process applies, and whether it has a connection.
        var follower: Int?
        /// Since when nothing has been wrong here.
        var wellSince: Int64?
        /// Milliseconds of its own clock less those of the model.
        var clockShift: Int64

        init(_ id: MachineID, clockShift: Int64) { (self.id, self.clockShift) = (id, clockShift) }

        var head: Offset { entries.last?.head ?? .start }
        var isReached: Bool { !isCut && !isStalled }
        var epochs: EpochHistory { EpochHistory(entries.compactMap(\.epoch)) }
    }

    // MARK: Machines and processes

    func addMachine() {
        let id = MachineID(UInt64(pick(1...0xffff)))
        guard machines[id] == nil else { return }
        let machine = Machine(id, clockShift: pick(0...100_000_000))
        machines[id] = machine
        engine.machines[id] = (engineClock * 1000 + pick(0...999), .start)
        heardAt[id] = now
        beginAtAnchor(machine)
        for _ in 0..<(chance(60) ? 2 : 1) { startProcess(of: machine) }
        tell("machine \(id) begins at \(machine.head)")
    }

    func settings(of machine: Machine) -> [PresenceRule] {
        machine.rooms.map {
            PresenceRule(pattern: ChannelPattern($0)!, graceSeconds: machine.grace)
        }
    }

    func startProcess(of machine: Machine) {
        let rules = settings(of: machine)
        let world = World(isOpen: false, at: now + machine.clockShift) {
            $0.presence = rules
            $0.bus.engine = EngineSettings(postgresql: "")
        }
        lastProcess += 1
        let process = Process(lastProcess, world, SiteMachines(own: machine.id))
        machine.processes.append(process)
        world.tell(.machines(process.site))
        world.tell(.engine(.catchingUp))
        toldOfSiblings(machine)
        tell("process \(process.number) of \(machine.id) starts")
    }

    func kill(_ process: Process, of machine: Machine) {
        tell("process \(process.number) of \(machine.id) is killed")
        count("killed")
        machine.processes.removeAll { $0 === process }
        holds.removeAll { $0.process === process }
        toldOfSiblings(machine)
    }

    private func toldOfSiblings(_ machine: Machine) {
        for process in machine.processes {
            process.world.core.siblings(
                arePresent: machine.processes.count > 1,
                at: process.world.moment
            )
            process.world.drain()
        }
    }

    /// The log begins where the engine's entries begin.
    func beginAtAnchor(_ machine: Machine) {
        machine.entries = Array(engine.entries[...engine.anchor])
        machine.kept = [:]
        machine.lacks = machine.head
        machine.generation += 1
    }

    // MARK: A turn of a machine

    /// Its processes do what is due, and hear of each other.
    func turn(_ machine: Machine) throws {
        guard !machine.isStalled else {
            // Its clock stands still.
            machine.clockShift -= Self.tick
            return
        }
        for process in machine.processes.shuffled(using: &random) {
            process.world.pass(Self.tick)
            for append in process.world.takeAppends() {
                count("asked")
                flights.append(
                    Flight(
                        append: append,
                        machine: machine.id,
                        process: process.number,
                        told: max(process.told, process.read),
                        knowsFrom: process.knowsFrom,
                        site: process.site,
                        calledAt: process.calledAt,
                        history: isOfEngine(process, machine) ? engine.history : -1,
                        dueAt: now + pick(0...(chance(5) ? 8 : 2)) * Self.tick
                    )
                )
            }
            let isLoaded = process.world.core.presence.isLoaded
            try answerReads(of: process, machine)
            pull(process, machine)
            // What it was told just now may have been trimmed before.
            if !isLoaded || !process.world.core.presence.isLoaded {
                process.knowsFrom = max(process.knowsFrom, machine.lacks)
            }
            watch(process, machine)
            let others = machine.processes.filter { $0 !== process }
            let words = process.world.takeWords()
            let members = process.world.takeMembers()
            guard !others.isEmpty, !words.isEmpty || !members.isEmpty else { continue }
            plan(in: pick(0...2) * Self.tick) {
                for other in others {
                    for word in words { other.world.hear(word) }
                    if !members.isEmpty { other.world.hear(members) }
                }
            }
        }
    }

    /// Whether what the process was told is not lost.
    private func isOfEngine(_ process: Process, _ machine: Machine) -> Bool {
        let last = machine.entries.count - 1
        return process.generation == machine.generation && last < engine.entries.count
            && machine.entries[last].number == engine.entries[last].number
    }

    /// A process is told what its machine's log has.
    private func pull(_ process: Process, _ machine: Machine) {
        guard chance(80) else { return }
        if process.generation != machine.generation {
            process.generation = machine.generation
            (process.told, process.read) = (machine.head, .start)
            let floor = max(machine.lacks, Offset(machine.head.value - 30))
            let events = machine.kept.values.map(\.message).filter { $0.offset > floor }
            process.knowsFrom = machine.lacks
            process.world.tell(
                .opened(
                    LogState(
                        epochs: machine.epochs,
                        head: machine.head,
                        floor: min(floor, machine.head),
                        messages: events.sorted { $0.offset < $1.offset },
                        trims: [],
                        forgottenThrough: .start
                    )
                )
            )
        } else if machine.head > process.told {
            let news = machine.entries.reversed().prefix { $0.head > process.told }
            let messages = news.reversed().compactMap(\.event?.message)
            process.world.tell(
                .committed(
                    CommittedBatch(
                        previous: process.told,
                        head: machine.head,
                        messages: messages,
                        trims: []
                    )
                )
            )
            process.told = machine.head
        }
    }

    /// What a process finds wrong with the engine, and with how far it is.
    private func watch(_ process: Process, _ machine: Machine) {
        let isThere = machine.isReached && engine.isUp
        let isLevel =
            process.told >= engine.head && process.generation == machine.generation
            && machine.entries.last?.number == engine.entries.last?.number
        process.behindSince = isLevel || !isThere ? nil : process.behindSince ?? now
        var trouble = process.trouble
        if !isThere {
            process.silentSince = process.silentSince ?? now
            // Each process asks every two seconds.
            if trouble != .catchingUp, chance(15) { trouble = .following }
        } else if trouble == .following || trouble == .catchingUp {
            let isShort = process.silentSince.map { now - $0 < 10_000 } ?? false
            if isLevel || trouble == .following && isShort { trouble = nil }
        } else {
            let limit = process.silentSince ?? process.behindSince ?? now
            trouble = process.behindSince != nil && now - limit > 10_000 ? .lagging : nil
        }
        if isThere, isLevel { process.silentSince = nil }
        if trouble != process.trouble {
            process.trouble = trouble
            process.world.tell(.engine(trouble))
        }
    }

    // MARK: What the log is asked

    private func answerReads(of process: Process, _ machine: Machine) throws {
        for read in process.world.takeReads() {
            // What was read may be older than what the process is told before it.
            var page: HistoryPage?
            if case .history(let request) = read, chance(50) { page = self.page(request, machine) }
            process.answers.append((now + pick(0...3) * Self.tick, read, page))
        }
        let due = process.answers.filter { $0.at <= now }
        process.answers.removeAll { $0.at <= now }
        for (_, read, page) in due {
            guard !chance(2) else {
                process.world.tell(read.failed)
                continue
            }
            switch read {
            case .message(let ticket, _):
                process.world.tell(.message(ticket: ticket, .success(nil)))
            case .channels(let ticket, _):
                let names = Set(machine.kept.keys.compactMap(\.channel.presence))
                let entries = names.sorted { $0.text < $1.text }.map {
                    ChannelListing.Entry(
                        name: $0,
                        messages: 1,
                        bytes: 0,
                        newest: nil,
                        newestMilliseconds: nil
                    )
                }
                let listing = ChannelListing(entries: entries, next: nil)
                process.world.tell(.channels(ticket: ticket, .success(listing)))
            case .history(let request):
                let page = page ?? self.page(request, machine)
                process.read = max(process.read, page.messages.last?.offset ?? .start)
                process.world.tell(.history(ticket: request.ticket, .success(page)))
            }
        }
    }

    /// Few messages at a time, so that there are further pages.
    private func page(_ request: HistoryRequest, _ machine: Machine) -> HistoryPage {
        let after: Offset
        switch request.start {
        case .after(let offset): after = offset
        case .first: after = .start
        case .last, .age, .newest: after = machine.head
        }
        let found = machine.kept.values.map(\.message)
            .filter { request.channels.contains($0.channel) && $0.offset > after }
            .sorted { $0.offset < $1.offset }
        let page = Array(found.prefix(3))
        let hasMore = page.count < found.count
        return HistoryPage(
            messages: page,
            scanned: hasMore ? page.last!.offset : machine.head,
            more: hasMore,
            gap: nil,
            newest: machine.head
        )
    }

    // MARK: Following the engine

    /// What the process does that applies.
    func follow(_ machine: Machine) throws {
        guard !machine.isStalled, let process = machine.processes.first else { return }
        guard !machine.isStuck else { return }
        guard machine.isReached, engine.isUp, engine.machines[machine.id] != nil else {
            machine.follower = nil
            return
        }
        if machine.follower != process.number {
            guard chance(30) else { return }
            // What was not seen meanwhile proves nothing.
            machine.follower = process.number
            (machine.roll, machine.rollAt) = (RollCall(), 0)
        }
        if now + machine.clockShift >= machine.rollAt { try callRoll(machine, process) }
        if chance(80) { apply(machine) }
        if now + machine.clockShift >= machine.tendAt {
            machine.tendAt = now + machine.clockShift + 5000
            if now - (heardAt[machine.id] ?? 0) > 20_000 { backAt[machine.id] = now }
            heardAt[machine.id] = now
            let seen = engineClock * 1000 + pick(0...999)
            engine.machines[machine.id]?.seen = seen
        }
    }

    private func callRoll(_ machine: Machine, _ process: Process) throws {
        machine.rollAt = now + machine.clockShift + 5000
        process.calledAt = now
        engine.machines[machine.id]?.lacks = machine.lacks
        let present = machine.roll.present(engine.machines.mapValues(\.seen), own: machine.id)
        for (id, heard) in heardAt where engine.machines[id] != nil && !present.contains(id) {
            try expect(now - heard >= 29_000, "\(machine.id) misses \(id), which was heard of")
            count("missed")
        }
        var site: [MachineID: Offset] = [:]
        for id in present { site[id] = engine.machines[id]?.lacks ?? .start }
        let machines = SiteMachines(own: machine.id, present: site)
        guard machines != process.site else { return }
        process.site = machines
        process.world.tell(.machines(machines))
    }

    private func apply(_ machine: Machine) {
        let theirs = engine.entries
        let last = machine.entries.count - 1
        if last < theirs.count, machine.entries[last].number == theirs[last].number {
            guard last >= engine.anchor else {
                tell("\(machine.id) was away for too long")
                count("away")
                return beginAtAnchor(machine)
            }
            let most = Int(pick(1...20))
            for entry in theirs[(last + 1)...].prefix(most) {
                machine.entries.append(entry)
                if entry.epoch != nil {
                    machine.generation += 1
                    // Everything is told anew then, in a turn of its own.
                    break
                }
                if let event = entry.event { machine.kept[event.key] = event }
            }
            return
        }
        // Something was lost: all are told, and this machine goes back to what both have.
        var common = min(last, theirs.count - 1)
        while machine.entries[common].number != theirs[common].number { common -= 1 }
        let isTold = theirs[(common + 1)...].contains { $0.epoch?.beganWithLoss == true }
        if !isTold { beginEpoch(lost: true) }
        tell("\(machine.id) goes back to \(machine.entries[common].head)")
        count("rewound")
        guard common >= engine.anchor else { return beginAtAnchor(machine) }
        machine.entries.removeSubrange((common + 1)...)
        machine.kept = machine.kept.filter { $0.value.offset <= machine.head }
        machine.lacks = machine.head
        machine.generation += 1
    }
}
