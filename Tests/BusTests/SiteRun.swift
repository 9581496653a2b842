import Bus
import Channels
import Engine
import Foundation
import Harness
import SeededRandom
import System
import Testing

/// A site on a real PostgreSQL with machines that have real logs, and beside it the model of what all must have.
///
/// One thing happens after the other, except for what is published at once by several machines, whose order the answers
/// tell. After each step the running machines level: all have applied what the engine has.
final class SiteRun {
    struct Fault: Error, CustomStringConvertible { var description: String }

    struct Machine {
        var settings: BusSettings
        var processes: Int
        var probes: [LogProbe] = []
        var log = SiteModel.Machine()
        /// The losses of what this machine's log has.
        var witnessed: Set<Int> = []
        var isRunning: Bool { !probes.isEmpty }
    }

    /// A machine's log at a former moment, as `log backup` makes it.
    struct Copy {
        var path: String
        var log: SiteModel.Machine
        var witnessed: Set<Int>
    }

    /// The engine at a former moment.
    struct Snapshot {
        var number: Int
        var model: SiteModel
        var losses: [SiteModel.Loss]
        var receipts: [[UInt8]: EngineReceipt]
    }

    struct EngineHead {
        var seq: Int64
        var place: String
        var offset: Int64
        var epoch: String
        var outbox: Int64
        var lostEpochs: Int64
    }

    static let channels = (0..<5).map { "c\($0)" }

    let seed: UInt64
    let site: EngineSite
    let administrator: PostgresConnection
    var random: SplitMix64
    var round = 0
    /// How often what a reader may be told was told, so that a run in which nothing happened is noticed.
    var seen: [String: Int] = [:]
    /// The newest steps, for finding a fault.
    private var story: [String] = []

    var model = SiteModel()
    var machines: [Machine] = []
    var copies: [Copy] = []
    var snapshots: [Snapshot] = []
    var losses: [SiteModel.Loss] = []
    var readers: [SiteModel.Reader] = []
    var lostEpochs: Int64 = 0
    /// As many epochs as may have begun with a loss.
    var mostLostEpochs: Int64 = 0

    /// Publishes groups without a machine.
    var publisher: EngineSession?
    var known = EnginePosition.none
    var receipts: [[UInt8]: EngineReceipt] = [:]
    var groups: [(gid: [UInt8], parts: [EnginePart], entries: [SiteModel.Entry])] = []
    var published: [(key: IdempotencyKey, drafts: [Draft])] = []
    let identity: EngineIdentity

    init(seed: UInt64) throws {
        self.seed = seed
        random = SplitMix64(seed: seed)
        site = try EngineSite()
        administrator = try PostgresConnection.connect(
            site.server.options,
            hostMilliseconds: 20_000
        )
        let id = try EngineAdministration.join(
            site.server.options,
            schema: "holdfast",
            machine: "publisher",
            machineName: "publisher"
        )
        identity = EngineIdentity(
            schema: "holdfast",
            site: id,
            machine: "publisher",
            keepMilliseconds: 3_600_000
        )
        for number in 0..<4 {
            var settings = try site.machine("\(number)")
            settings.memoryMessages = 20
            machines.append(Machine(settings: settings, processes: number == 0 ? 2 : 1))
        }
    }

    // MARK: Rounds

    /// - Throws: a `Fault` that says in which round, after what.
    func run(rounds: Int) throws {
        defer { for machine in machines { machine.probes.forEach { _ = $0.log.stop() } } }
        try start(0, .asItIs)
        try start(1, .asItIs)
        for round in 1...rounds {
            self.round = round
            try step()
            try level()
            if round.isMultiple(of: 10) { for index in running { try compare(index) } }
            try read()
        }
        round += 1
        for index in machines.indices where !machines[index].isRunning {
            try start(index, .asItIs)
            try level()
        }
        for index in machines.indices {
            try compare(index)
            for var reader in readers { try check(&reader, at: index) }
        }
        for outcome in ["restarted", "valid", "gap"] {
            try expect(seen[outcome] != nil, "no reader was told \(outcome): \(seen)")
        }
        for index in machines.indices {
            try stop(index)
            let directory = machines[index].settings.directory
            try expect(try integrity(directory) == "ok", "the log of \(index) is damaged")
            try expect(try countsAgree(directory), "the counts of \(index) are wrong")
        }
    }

    func tell(_ step: String) { story = story.suffix(11) + ["\(round): \(step)"] }

    func fault(_ what: String) -> Fault {
        Fault(
            description: "HOLDFAST_SITE_SEED=\(seed), round \(round): \(what)\n"
                + story.joined(separator: "\n")
        )
    }

    func expect(_ holds: Bool, _ what: @autoclosure () -> String) throws {
        guard holds else { throw fault(what()) }
    }

    var running: [Int] { machines.indices.filter { machines[$0].isRunning } }

    private func step() throws {
        let number = Int.random(in: 0..<100, using: &random)
        switch number {
        case 0..<36: try publish()
        case 36..<42: try repeatKey()
        case 42..<50: try drop()
        case 50..<58: try appendGroup()
        case 58..<62: try repeatGroup()
        case 62..<70: try publishBySQL()
        case 70..<75:
            if let index = running.randomElement(using: &random) { try stop(index) }
        case 75..<85:
            let stopped = machines.indices.filter { !machines[$0].isRunning }
            if let index = stopped.randomElement(using: &random) {
                let ways: [Way] = [.asItIs, .asItIs, .asItIs, .deleted, .copied]
                try start(index, ways.randomElement(using: &random)!)
            }
        case 85..<91: try keepSnapshot()
        case 91..<97: try restore()
        default: try trim()
        }
    }

    // MARK: The engine

    var soon: Int64 { MonotonicClock.milliseconds() + 60_000 }

    func ask(_ sql: String) throws -> PostgresRows { try administrator.run(sql, deadline: soon) }

    func script(_ sql: String) throws { try administrator.runScript(sql, deadline: soon) }

    func engineHead() throws -> EngineHead {
        let row = try ask(
            """
            SELECT h.seq, h.seq || ' ' || encode(h.chain, 'hex'), h.last_offset, e.name,
                (SELECT count(*) FROM holdfast.outbox),
                (SELECT count(*) FROM holdfast.epochs WHERE told >= start)
            FROM holdfast.head h JOIN holdfast.epochs e ON e.number = h.epoch
            """
        )
        return EngineHead(
            seq: try row.integer(0, 0),
            place: try row.text(0, 1),
            offset: try row.integer(0, 2),
            epoch: try row.text(0, 3),
            outbox: try row.integer(0, 4),
            lostEpochs: try row.integer(0, 5)
        )
    }

    struct EngineLog {
        var chains: [Int64: [UInt8]] = [:]
        /// The newest offset after each entry.
        var heads: [Int64: Int64] = [:]
        var oldest: Int64 = 0
        var newest: Int64 = 0
    }

    func engineLog() throws -> EngineLog {
        let rows = try ask(
            "SELECT seq, chain, base + count - 1 FROM holdfast.log ORDER BY seq"
        )
        var log = EngineLog()
        for row in 0..<rows.count {
            let seq = try rows.integer(row, 0)
            if row == 0 { log.oldest = seq }
            log.newest = seq
            log.chains[seq] = try rows.bytes(row, 1)
            log.heads[seq] = try rows.integer(row, 2)
        }
        return log
    }

    /// Waits until all running machines have what the engine has; the model's machines then have it, too.
    func level() throws {
        if !running.isEmpty { model.takePending() }
        let end = soon
        var head: EngineHead
        repeat {
            head = try engineHead()
            let lagging = try running.filter { try !isLevel(machines[$0], head) }
            if head.outbox == Int64(model.pending.count), lagging.isEmpty { break }
            guard MonotonicClock.milliseconds() < end else {
                let notices = lagging.flatMap { machines[$0].probes.flatMap { $0.now.notices } }
                throw fault("\(lagging) do not come to \(head): \(notices.suffix(5))")
            }
            poll(nil, 0, 2)
        } while true
        try expect(
            head.offset == model.head,
            "the engine's log ends at \(head.offset), not at \(model.head)"
        )
        try expect(
            head.lostEpochs <= mostLostEpochs,
            "\(head.lostEpochs) epochs began with a loss, at most \(mostLostEpochs) may"
        )
        lostEpochs = head.lostEpochs
        for index in running { machines[index].log.apply(model.entries) }
    }

    private func isLevel(_ machine: Machine, _ head: EngineHead) throws -> Bool {
        for probe in machine.probes {
            let now = probe.now
            guard now.head.value == head.offset, now.epochs?.current.name == head.epoch else {
                return false
            }
        }
        return try enginePlace(machine.settings.directory) == head.place
    }
}
