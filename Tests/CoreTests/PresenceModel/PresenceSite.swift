import Channels
import Configuration
import Endpoint
import Liveness
import SeededRandom

@testable import Core

/// Machines that share one order of joins and leaves, each with a few processes, and clients that come, move and vanish
/// while machines, the engine and the networks between them fail: all from one seed.
///
/// The processes are `Core`s, and who is missed is decided by `RollCall`; the engine, the logs of the machines and the
/// threads in between are modelled. What must be true is in `PresenceSite+Checks`.
final class PresenceSite {
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// A member on a channel.
    struct Key: Hashable, Comparable, CustomStringConvertible {
        let channel: ChannelName
        let topic: String

        var description: String { "\(topic) on \(channel)" }

        static func < (a: Key, b: Key) -> Bool {
            (a.channel.text, a.topic) < (b.channel.text, b.topic)
        }
    }

    /// A join or a leave in the one order.
    struct Event {
        let key: Key
        let isJoin: Bool
        let machines: [MachineID]
        let since: Int64?
        let message: Message
        /// Milliseconds of the model's clock.
        let at: Int64

        var offset: Offset { message.offset }
    }

    /// What the engine's log has at a place; the number is different in another history.
    struct Entry {
        let number: Int
        /// The newest offset after it.
        let head: Offset
        var event: Event?
        var epoch: EpochHistory.Stretch?
    }

    /// What the newest event says of a member.
    struct Standing: Equatable {
        var isPresent: Bool
        var machines: [MachineID]
        var since: Int64
        var offset: Offset
        /// When two machines told of the first join at once.
        var racedAt: Int64 = .min / 2
    }

    struct Engine {
        var entries: [Entry] = []
        /// The entries before are no longer kept.
        var anchor = 0
        var keys: [String: (draft: Draft, offset: Offset, at: Int64)] = [:]
        /// When each machine was here last by the engine's clock, which jumps; and what its log lacks.
        var machines: [MachineID: (seen: Int64, lacks: Offset)] = [:]
        var clockShift: Int64 = 0
        var lastAt: Int64 = 0
        var isUp = true
        var standings: [Key: Standing] = [:]
        /// The number of histories so far.
        var history = 0

        var head: Offset { entries.last?.head ?? .start }
    }

    /// An event on its way from a process to the engine.
    struct Flight {
        let append: Append
        let machine: MachineID
        let process: Int
        /// What the process knew when it gave the event away.
        let told: Offset
        let knowsFrom: Offset
        let site: SiteMachines
        /// When the roll was last called there.
        let calledAt: Int64
        let history: Int
        var dueAt: Int64
    }

    static let tick: Int64 = 250
    static let rooms = ["room", "hall"]
    static let grace = 10
    /// What a few seeds together have.
    static let events = [
        "came", "moved", "left", "join", "leave", "further join", "told again", "asked", "repeated",
        "conflict",
        "missed", "away", "rewound", "lost", "promoted", "cut", "engine away", "killed", "deleted",
        "stalled",
        "stuck", "trimmed", "engine trimmed", "reloaded", "clock", "joined", "dismissed",
        "event of a lost history", "rest",
    ]

    let seed: UInt64
    var random: SplitMix64
    var now: Int64 = 1_000_000
    var engine = Engine()
    /// What a standby has that is behind: the machines as they were noted a while ago.
    var olderMachines: [MachineID: (seen: Int64, lacks: Offset)] = [:]
    var olderHeardAt: [MachineID: Int64] = [:]
    var machines: [MachineID: Machine] = [:]
    var clients: [Client] = []
    var keys: [Key] = []
    var holds: [Hold] = []
    var flights: [Flight] = []
    var lastNumber = 0
    var lastProcess = 0
    /// When each machine was heard of in truth.
    var heardAt: [MachineID: Int64] = [:]
    /// And when after a silence.
    var backAt: [MachineID: Int64] = [:]
    /// Nothing goes wrong, and no client comes or goes.
    var isQuiet = false
    /// Since when nothing has gone wrong.
    var calmSince: Int64 = 0
    var plans: [(at: Int64, act: () throws -> Void)] = []
    var held: [Key: Held] = [:]
    /// Since when something has not been as it should be, by what that is.
    var wrongSince: [String: Int64] = [:]
    /// What happened how often, so that a run in which nothing happened is noticed.
    var seen: [String: Int] = [:]
    private var story: [String] = []

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        beginEpoch(lost: false)
        for _ in 0..<3 { addMachine() }
        clients = (0..<14).map { number in
            Client(
                // Some names are those of several.
                name: "m\(number % 10)",
                channels: ["room", "room", "hall", "room,hall"][number % 4],
                subscriber: number % 5 == 0 ? nil : "subscriber-\(100_000 + number)",
                polls: number % 3 == 0
            )
        }
        keys = Set(clients.flatMap(\.keys)).sorted()
    }

    // MARK: Chance

    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    func pick(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random) }
    func pick<T>(_ things: [T]) -> T? { things.randomElement(using: &random) }

    // MARK: Telling

    func tell(_ step: String) { story = story.suffix(39) + ["\(now): \(step)"] }

    func fault(_ what: String) -> Fault {
        Fault(
            description: "HOLDFAST_PRESENCE_SEED=\(seed), at \(now): \(what)\n"
                + story.joined(separator: "\n") + "\n\(places)"
        )
    }

    /// Where all machines and processes are.
    private var places: String {
        let lines = machines.values.sorted { $0.id < $1.id }.map { machine in
            let processes = machine.processes.map { process in
                "\(process.number) at \(process.told) \(process.trouble.map { "\($0)" } ?? "well")"
            }
            return "\(machine.id) at \(machine.head) lacks \(machine.lacks): \(processes)"
        }
        return (["engine at \(engine.head)"] + lines).joined(separator: "\n")
    }

    func expect(_ holds: Bool, _ what: @autoclosure () -> String) throws {
        guard holds else { throw fault(what()) }
    }

    func count(_ what: String) { seen[what, default: 0] += 1 }

    // MARK: Time

    /// All that happens in a tick, in an order that is another one each time.
    func step() throws {
        now += Self.tick
        let due = plans.filter { $0.at <= now }
        plans.removeAll { $0.at <= now }
        for plan in due { try plan.act() }
        for machine in machines.values.sorted(by: { $0.id < $1.id }).shuffled(using: &random) {
            try turn(machine)
        }
        try carryFlights()
        for machine in machines.values.sorted(by: { $0.id < $1.id }).shuffled(using: &random) {
            try follow(machine)
        }
        moveClients()
        try checkStanding()
    }

    func pass(_ milliseconds: Int64) throws {
        let end = now + milliseconds
        while now < end { try step() }
    }

    func plan(in milliseconds: Int64, _ act: @escaping () throws -> Void) {
        plans.append((now + milliseconds, act))
    }

    // MARK: The engine

    var engineClock: Int64 { now + 1_766_000_000_000 + engine.clockShift }

    func append(_ entry: Entry) {
        engine.entries.append(entry)
        if let event = entry.event { Self.apply(event, to: &engine.standings) }
    }

    func beginEpoch(lost: Bool) {
        lastNumber += 1
        let head = engine.head
        append(
            Entry(
                number: lastNumber,
                head: head,
                epoch: .init(
                    epoch: epoch("e\(lastNumber)"),
                    start: head.next,
                    told: lost ? head.next : head
                )
            )
        )
    }

    static func apply(_ event: Event, to standings: inout [Key: Standing]) {
        let before = standings[event.key]
        let isRace = event.isJoin && event.since == nil && before?.isPresent == true
        standings[event.key] = Standing(
            isPresent: event.isJoin,
            machines: event.machines,
            since: event.since ?? event.message.timeMilliseconds,
            offset: event.offset,
            racedAt: isRace ? event.at : before?.racedAt ?? .min / 2
        )
    }

    static func standings(of entries: ArraySlice<Entry>) -> [Key: Standing] {
        var standings: [Key: Standing] = [:]
        for case let event? in entries.lazy.map(\.event) { apply(event, to: &standings) }
        return standings
    }

    private func carryFlights() throws {
        let due = flights.filter { $0.dueAt <= now }.shuffled(using: &random)
        flights.removeAll { $0.dueAt <= now }
        for flight in due {
            guard let machine = machines[flight.machine], machine.isReached, engine.isUp else {
                answer(flight, .unavailable)
                continue
            }
            let outcome = try decide(flight)
            // The answer is lost now and then.
            answer(flight, chance(6) ? .unavailable : outcome)
        }
    }

    private func decide(_ flight: Flight) throws -> AppendOutcome {
        guard let draft = flight.append.drafts.first, let key = flight.append.idempotency?.key
        else {
            throw fault("an event without a draft or a key")
        }
        engine.lastAt = max(engine.lastAt, engineClock)
        let scope = "\(draft.channel) \(key)"
        let used = engine.keys[scope]
        if let used, used.at > engine.lastAt - 300_000 {
            count(used.draft == draft ? "repeated" : "conflict")
            return used.draft == draft ? .repeated(ids: []) : .conflict
        }
        let offset = engine.head.next
        engine.keys[scope] = (draft, offset, engine.lastAt)
        let message = Message(
            offset: offset,
            epoch: engine.entries.compactMap(\.epoch).last!.epoch,
            channel: draft.channel,
            timeMilliseconds: engine.lastAt,
            kind: draft.kind,
            contentType: draft.contentType,
            body: draft.body,
            type: draft.type,
            topic: draft.topic
        )
        let told = PresenceEvent.told(by: message)
        let event = Event(
            key: Key(channel: draft.channel.subject, topic: draft.topic ?? ""),
            isJoin: draft.type == "join",
            machines: told.machines,
            since: told.sinceMilliseconds,
            message: message,
            at: now
        )
        tell(
            "\(flight.machine) tells \(offset): \(draft.type ?? "") \(event.key) at \(event.machines)"
        )
        try check(event, by: flight, isForgotten: used != nil)
        lastNumber += 1
        append(Entry(number: lastNumber, head: offset, event: event))
        return .committed(ids: [])
    }

    private func answer(_ flight: Flight, _ outcome: AppendOutcome) {
        plan(in: pick(0...2) * Self.tick) { [weak self] in
            guard let machine = self?.machines[flight.machine] else { return }
            let process = machine.processes.first { $0.number == flight.process }
            process?.world.tell(.appended(ticket: flight.append.ticket, outcome))
        }
    }
}
