import Bus
import Channels
import Engine
import Foundation
import Harness
import Testing

/// What happens to machines and to the engine.
extension SiteRun {
    enum Way { case asItIs, deleted, copied }

    /// How a log stands to the engine's.
    private enum Standing: Equatable {
        case isPart
        /// Its place is no longer kept, and is believed.
        case isAway
        case contradicts
    }

    private func standing(_ place: EnginePosition?, _ log: EngineLog) -> Standing {
        guard let place else { return .isPart }
        if log.chains[place.seq] == place.chain { return .isPart }
        return log.chains[place.seq] == nil && place.seq < log.oldest ? .isAway : .contradicts
    }

    // MARK: Machines

    func stop(_ index: Int) throws {
        tell("stop machine \(index)")
        for probe in machines[index].probes {
            try expect(probe.log.stop(patienceMilliseconds: 60_000), "a log does not stop")
            // A machine that is slow to apply is late by design.
            let problems = probe.now.problems.filter { !$0.contains("answered before") }
            try expect(problems == [], "machine \(index): \(problems)")
        }
        machines[index].probes = []
        guard Int.random(in: 0..<3, using: &random) == 0 else { return }
        let path = site.directory.file("copy-\(copies.count)")
        try FileManager.default.copyItem(
            atPath: machines[index].settings.directory + "/log.sqlite",
            toPath: path
        )
        copies.append(
            Copy(path: path, log: machines[index].log, witnessed: machines[index].witnessed)
        )
    }

    func start(_ index: Int, _ way: Way) throws {
        let directory = machines[index].settings.directory
        let copy = way == .copied ? copies.randomElement(using: &random) : nil
        if way == .deleted || copy != nil {
            for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake"] {
                try? FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
            machines[index].witnessed = []
        }
        if let copy {
            try FileManager.default.copyItem(
                atPath: copy.path,
                toPath: directory + "/log.sqlite"
            )
            (machines[index].log, machines[index].witnessed) = (copy.log, copy.witnessed)
        }
        let positions = try enginePositions(directory)
        tell("start machine \(index), \(way), at \(positions.first?.seq ?? -1)")
        try meet(index, positions, try engineLog())
        for _ in 0..<machines[index].processes {
            let probe = LogProbe(
                machines[index].settings,
                retention: keep(count: 1_000_000, bytes: 1 << 30),
                start: false
            )
            probe.log.start()
            machines[index].probes.append(probe)
        }
        for probe in machines[index].probes { probe.wait("opened") { !$0.opened.isEmpty } }
    }

    /// What becomes of a machine's log that meets the engine's.
    private func meet(_ index: Int, _ positions: [EnginePosition], _ log: EngineLog) throws {
        let anchor = log.heads[log.oldest] ?? 0
        guard let place = positions.first else {
            return machines[index].log.restart(model.entries, at: anchor)
        }
        switch standing(place, log) {
        case .isPart: break
        case .isAway:
            // The names of epochs may tell, which is not promised.
            if !machines[index].witnessed.isEmpty { mostLostEpochs += 1 }
            machines[index].witnessed = []
            machines[index].log.restart(model.entries, at: anchor)
        case .contradicts:
            for loss in machines[index].witnessed { losses[loss].isTold = true }
            machines[index].witnessed = []
            mostLostEpochs += 1
            let common = positions.first { log.chains[$0.seq] == $0.chain }
            if let common {
                machines[index].log.rewind(to: log.heads[common.seq] ?? 0)
            } else {
                machines[index].log.restart(model.entries, at: anchor)
            }
        }
    }

    // MARK: The engine

    /// Everything except the members, which no failover changes.
    private func tables() throws -> [String] {
        let rows = try ask(
            """
            SELECT relname::text FROM pg_class WHERE relnamespace = 'holdfast'::regnamespace
                AND relkind = 'r' AND relname NOT IN ('site', 'machines')
            """
        )
        return try (0..<rows.count).map { try rows.text($0, 0) }
    }

    /// Where it is noted which server this is.
    private func servers() throws -> String {
        try ask(
            """
            SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE relnamespace = 'holdfast'::regnamespace AND relkind = 'r' AND attname = 'timeline'
            """
        ).text(0, 0)
    }

    func keepSnapshot() throws {
        let number = round
        tell("snapshot at \(model.head)")
        let copies = try tables().map {
            "CREATE UNLOGGED TABLE \($0)_\(number) AS TABLE holdfast.\($0);"
        }
        try script("BEGIN; \(copies.joined(separator: " ")) COMMIT")
        snapshots.append(
            Snapshot(number: number, model: model, losses: losses, receipts: receipts)
        )
        if snapshots.count > 6 { snapshots.removeFirst() }
    }

    /// The engine is as it was, as after a failover that lost the newest, or from a backup.
    func restore() throws {
        guard
            let chosen = snapshots.indices.randomElement(using: &random)
        else { return try keepSnapshot() }
        // Often the newest, as a failover has it.
        let at = Bool.random(using: &random) ? snapshots.count - 1 : chosen
        let snapshot = snapshots[at]
        // Later ones are of a history that no longer exists.
        snapshots.removeSubrange((at + 1)...)
        let before = try engineLog()
        let places = try machines.map { try enginePositions($0.settings.directory) }
        let isAnother = Bool.random(using: &random)
        let endsConnections = Int.random(in: 0..<6, using: &random) == 0
        tell(
            "restore from \(model.head) to \(snapshot.model.head), the server is another: \(isAnother)"
                + (endsConnections ? ", connections end" : "")
        )
        let tables = try tables()
        // A process that waits for the locks finds what was put back.
        var change = tables.map { "LOCK TABLE holdfast.\($0);" }
        change += tables.map {
            "DELETE FROM holdfast.\($0); INSERT INTO holdfast.\($0) OVERRIDING SYSTEM VALUE "
                + "TABLE \($0)_\(snapshot.number);"
        }
        if isAnother { change.append("UPDATE \(try servers()) SET timeline = -1;") }
        try script("BEGIN; \(change.joined(separator: " ")) NOTIFY holdfast; COMMIT")
        if endsConnections {
            try script(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
                """
            )
        }
        let lost = model.head - snapshot.model.head
        var loss = SiteModel.Loss(head: snapshot.model.head, isReal: lost > 0)
        loss.isBoundary = isAnother
        // What was told, or began an epoch, after the snapshot has been lost, too.
        for index in losses.indices {
            let known = index < snapshot.losses.count ? snapshot.losses[index] : nil
            losses[index].isTold = known?.isTold ?? false
            losses[index].isBoundary = known?.isBoundary ?? false
        }
        losses.append(loss)
        (model, receipts) = (snapshot.model, snapshot.receipts)

        let after = try engineLog()
        for index in machines.indices {
            let was = standing(places[index].first, before)
            switch standing(places[index].first, after) {
            case .contradicts where was == .isPart:
                machines[index].witnessed.insert(losses.count - 1)
            case .isPart: machines[index].witnessed = []
            default: break
            }
        }
        lostEpochs = try engineHead().lostEpochs
        // Each publisher that knows of something lost may begin an epoch, rather than none.
        let processes = running.reduce(0) { $0 + machines[$1].probes.count }
        mostLostEpochs = lostEpochs + Int64(processes) + 1
        for index in running { try meet(index, places[index], after) }
        // Says hello to the other server, which begins an epoch before anything is appended.
        publisher = nil
        if isAnother { try greet() }
    }

    /// The oldest groups are no longer kept.
    func trim() throws {
        let log = try engineLog()
        let oldest = Int64.random(in: log.oldest...log.newest, using: &random)
        tell("groups before \(oldest) go")
        try script("DELETE FROM holdfast.log WHERE seq < \(oldest)")
        receipts = receipts.filter { $0.value.position.seq >= oldest }
        let gids = Set(receipts.keys)
        // A repetition of those would publish them again, that late.
        groups.removeAll { group in !gids.contains(group.gid) }
    }
}
