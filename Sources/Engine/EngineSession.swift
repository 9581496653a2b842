internal import Channels
internal import System

/// A connection to the engine, for one thread at a time; to be replaced after an error that closes it.
package final class EngineSession {
    private let connection: PostgresConnection
    private let schema: String
    private let site: String
    private let machine: String
    /// What operators call the site.
    package private(set) var siteName = ""
    /// The engine's clock and this machine's, read at the same time.
    private var clock: (engine: Int64, own: Int64)?

    package var isOpen: Bool { connection.isOpen }
    package var host: Int { connection.host }

    /// Connects as a machine of the site; begins an epoch if the server is not the one of the current epoch.
    ///
    /// - Parameter readsLong: a statement may take as long as parts of its answer arrive, for reading over a slow path.
    package init(
        _ options: String,
        _ identity: EngineIdentity,
        preferredHost: Int = 0,
        readsLong: Bool = false,
        hostMilliseconds: Int64,
        deadline: Int64
    ) throws(EngineError) {
        (schema, site, machine) = (identity.schema, identity.site, identity.machine)
        do throws(PostgresError) {
            connection = try PostgresConnection.connect(
                options,
                preferred: preferredHost,
                hostMilliseconds: hostMilliseconds
            )
            // Others hold the log's lock for as long as a commit takes. A session that waits longer gives up, and the
            // server itself says so; it does not end a commit that waits for a standby.
            // Each statement is planned once, since planning takes longer than running it, and by an index, however
            // small the tables are at that time. Warnings say that a commit did not wait for a standby. Whether the
            // server takes writes is for its operator to say.
            try connection.runScript(
                """
                SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning;
                SET plan_cache_mode = force_generic_plan; SET random_page_cost = 0.1;
                SET statement_timeout = \(readsLong ? Self.readMilliseconds : Self.lockMilliseconds);
                SET lock_timeout = \(Self.lockMilliseconds)
                """,
                deadline: deadline
            )
        } catch {
            throw EngineError(error, schema: identity.schema)
        }
        let rows = try call(
            "hello($1, $2, $3, $4)",
            [
                .text(identity.site), .text(identity.machine), .integer(identity.keepMilliseconds),
                .integer(identity.keepBytes),
            ],
            deadline
        )
        let format = try Self.read { () throws(PostgresError) in try rows.integer(0, 0) }
        guard format == EngineSchema.format else { throw .format(format) }
        siteName = try Self.read { () throws(PostgresError) in try rows.text(0, 1) }
    }

    private static let lockMilliseconds = 1500
    private static let readMilliseconds = 600_000
    /// How long an answer that has begun may pause on a slow path.
    private static let silenceMilliseconds: Int64 = 5000

    /// 16 random bytes.
    package static func newGroupID() -> [UInt8] { (0..<16).map { _ in .random(in: 0...255) } }

    /// Appends a group. After an ambiguous failure, the same `gid` again, on another session, returns the first
    /// outcome.
    ///
    /// - Parameters:
    ///   - gid: see `newGroupID`.
    ///   - known: the newest entry that the caller knows of.
    ///   - fromOutbox: how many of the messages that SQL published are appended with it.
    package func append(
        gid: [UInt8],
        known: EnginePosition,
        parts: [EnginePart],
        fromOutbox: Int = 0,
        deadline: Int64
    ) throws(EngineError) -> EngineReceipt {
        let rows = try call(
            "append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            [
                .text(site), .bytes(gid), .integer(known.seq), .bytes(known.chain),
                .byteArrays(parts.map(\.body)), .smallIntegers(parts.map { Int32($0.count) }),
                .smallIntegers(parts.map { Int32($0.skipped) }), .byteArrays(parts.map(\.scope)),
                .byteArrays(parts.map(\.digest)), .smallInteger(Int32(clamping: fromOutbox)),
            ],
            deadline
        )
        return try Self.read { () throws(PostgresError) in
            EngineReceipt(
                position: EnginePosition(seq: try rows.integer(0, 0), chain: try rows.bytes(0, 5)),
                base: try rows.integer(0, 1),
                count: try rows.integer(0, 2),
                firsts: try rows.integers(0, 6).map { $0 ?? 0 },
                epoch: try rows.text(0, 4),
                at: try rows.integer(0, 3)
            )
        }
    }

    /// Entries that follow a position, oldest first.
    package struct Portion: Equatable, Sendable {
        package var groups: [EngineGroup]
        /// The log had no more then: a hint comes for whatever follows. False if that is not certain.
        package var isAll = true

        package init(_ groups: [EngineGroup] = []) { self.groups = groups }
    }

    /// The entries after a position, checked against it; about as many bytes at the most, but at least one entry if
    /// there is any.
    ///
    /// - Parameter deadline: for the beginning of the answer; the rest may take as long as parts of it arrive.
    package func read(
        after known: EnginePosition,
        bytes: Int64 = 4 << 20,
        groups: Int32 = 1024,
        deadline: Int64
    ) throws(EngineError) -> Portion {
        let rows = try call(
            "read($1, $2, $3, $4, $5)",
            [
                .text(site), .integer(known.seq), .bytes(known.chain), .integer(bytes),
                .smallInteger(groups),
            ],
            deadline,
            silence: Self.silenceMilliseconds
        )
        var result = Portion()
        result.groups.reserveCapacity(rows.count)
        var before = known
        var length: Int64 = 0
        for at in 0..<rows.count {
            let (row, now) = try Self.read { () throws(PostgresError) in
                (
                    EngineRow(
                        seq: try rows.integer(at, 0),
                        kind: Int32(truncatingIfNeeded: try rows.integer(at, 1)),
                        base: try rows.integer(at, 2),
                        count: Int32(truncatingIfNeeded: try rows.integer(at, 3)),
                        gid: try rows.bytes(at, 4),
                        epoch: Int32(truncatingIfNeeded: try rows.integer(at, 5)),
                        at: try rows.integer(at, 6),
                        chain: try rows.bytes(at, 7),
                        body: try rows.bytes(at, 8)
                    ), try rows.integer(at, 9)
                )
            }
            guard row.follows(before) else { throw .brokenChain(row.seq) }
            result.groups.append(row.group(now: now))
            clock = (now, MonotonicClock.milliseconds())
            length += EngineSchema.entryBytes + Int64(row.body.count)
            before = EnginePosition(seq: row.seq, chain: row.chain)
        }
        result.isAll = rows.count < Int(groups) && length + EngineSchema.entryBytes < bytes
        return result
    }

    package func look(deadline: Int64) throws(EngineError) -> EngineHead {
        let rows = try call("look($1, $2)", [.text(site), .text(machine)], deadline)
        let own = MonotonicClock.milliseconds()
        return try Self.read { () throws(PostgresError) in
            clock = (try rows.integer(0, 3), own)
            return EngineHead(
                seq: try rows.integer(0, 0),
                offset: try rows.integer(0, 1),
                epoch: try rows.text(0, 4),
                ageMilliseconds: max(0, try rows.integer(0, 3) - rows.integer(0, 2)),
                hasOutbox: try rows.integer(0, 5) != 0
            )
        }
    }

    /// The machines of the site, by name.
    package func members(deadline: Int64) throws(EngineError) -> [EngineMachine] {
        let rows = try call("members($1)", [.text(site)], deadline)
        return try Self.read { () throws(PostgresError) in try EngineMachine.all(rows) }
    }

    /// About how many messages that SQL published no machine has taken yet, and for how long the oldest has waited.
    package func backlog(deadline: Int64) throws(EngineError) -> (
        messages: Int64, milliseconds: Int64
    ) {
        let rows = try call("backlog($1)", [.text(site)], deadline)
        return try Self.read { () throws(PostgresError) in
            (try rows.integer(0, 0), try rows.integer(0, 1))
        }
    }

    package func anchor(deadline: Int64) throws(EngineError) -> EngineAnchor {
        let rows = try call("anchor($1)", [.text(site)], deadline)
        return try Self.read { () throws(PostgresError) in
            let names = try rows.array(0, 3)
            let starts = try rows.integers(0, 4)
            let told = try rows.integers(0, 5)
            guard names.count == starts.count, names.count == told.count, !names.isEmpty else {
                throw .malformed
            }
            var epochs: [EngineEpoch] = []
            for at in names.indices {
                guard let name = names[at], let start = starts[at],
                    let epoch = Epoch(String(decoding: name, as: UTF8.self))
                else { throw .malformed }
                epochs.append(EngineEpoch(epoch: epoch, start: start, told: told[at]))
            }
            return EngineAnchor(
                position: EnginePosition(seq: try rows.integer(0, 0), chain: try rows.bytes(0, 1)),
                head: try rows.integer(0, 2),
                epochs: epochs
            )
        }
    }

    /// The number of the newest of these positions that the engine's log has.
    package func common(_ known: [EnginePosition], deadline: Int64) throws(EngineError) -> Int64? {
        let rows = try call(
            "common($1, $2, $3)",
            [.text(site), .integers(known.map(\.seq)), .byteArrays(known.map(\.chain))],
            deadline
        )
        if rows.isNull(0, 0) { return nil }
        return try Self.read { () throws(PostgresError) in try rows.integer(0, 0) }
    }

    /// What the engine lacks of what a machine has.
    package enum Loss: Equatable, Sendable {
        /// Entries after this one, the newest that both have.
        case after(Int64)
        /// Entries that were appended in the epoch of this name.
        case inEpoch(String)
    }

    /// Reports a loss; an epoch begins, once for each loss as far as the engine can tell them apart.
    ///
    /// - Parameter newest: when the newest lost entry was appended, in milliseconds since 1970, by the engine; `.max`:
    ///   unknown.
    package func fork(_ loss: Loss, newest: Int64, deadline: Int64) throws(EngineError) {
        let (common, seen): (Int64, String) =
            switch loss {
            case .after(let seq): (seq, "")
            case .inEpoch(let name): (.max, name)
            }
        _ = try call(
            "fork($1, $2, $3, $4)",
            [.text(site), .integer(common), .text(seen), .integer(newest)],
            deadline
        )
    }

    /// Notes how far this machine is, and removes what no machine needs.
    ///
    /// - Parameter process: a random name of the process that follows for this machine.
    /// - Returns: the name of the one that did so before.
    @discardableResult
    package func tend(
        applied: Int64,
        by process: String,
        deadline: Int64
    ) throws(EngineError) -> String {
        let rows = try call(
            "tend($1, $2, $3, $4)",
            [.text(site), .text(machine), .integer(applied), .text(process)],
            deadline
        )
        return try Self.read { () throws(PostgresError) in try rows.text(0, 0) }
    }

    /// Notes up to which offset this machine's log may lack what others have; returns what is known of all machines.
    package func callRoll(lacking: Int64, deadline: Int64) throws(EngineError) -> [EngineRoll] {
        let rows = try call(
            "roll($1, $2, $3)",
            [.text(site), .text(machine), .integer(lacking)],
            deadline
        )
        return try Self.read { () throws(PostgresError) in
            var roll: [EngineRoll] = []
            for row in 0..<rows.count {
                roll.append(
                    EngineRoll(
                        machine: try rows.text(row, 0),
                        seen: try rows.integer(row, 1),
                        lacking: try rows.integer(row, 2)
                    )
                )
            }
            return roll
        }
    }

    // MARK: Notifications

    /// From now on, notifications hint at new entries.
    package func listen(deadline: Int64) throws(EngineError) {
        _ = try call("listen($1, $2)", [.text(site), .text(machine)], deadline)
    }

    /// Discards the hints that have come, since their entries are read next. Returns whether one of them reported
    /// messages that SQL published.
    package func skipHints() -> Bool { connection.takeNotifications().contains(Self.outbox) }

    private static let outbox = "outbox"

    /// What notifications have told.
    package struct Hint: Equatable, Sendable {
        /// The entries after the position; all of them, unless there may be more.
        package var groups: [EngineGroup] = []
        package var mayHaveMore = true
        /// SQL published something that is not in the log yet.
        package var hasOutbox = false

        package init() {}
    }

    /// Waits for a hint until the deadline; see `PostgresConnection`. If none comes, there may be entries nevertheless.
    ///
    /// Small entries come with their hints, so that they need not be read.
    package func waitForHint(
        after position: EnginePosition,
        deadline: Int64,
        wakesOn other: Int32 = -1
    ) throws(EngineError) -> Hint {
        do throws(PostgresError) {
            return hint(
                try connection.waitForNotification(deadline: deadline, wakesOn: other),
                after: position
            )
        } catch {
            throw EngineError(error, schema: schema)
        }
    }

    private func hint(_ payloads: [String], after position: EnginePosition) -> Hint {
        var hint = Hint()
        hint.mayHaveMore = payloads.isEmpty
        var before = position
        for payload in payloads {
            if payload == Self.outbox {
                hint.hasOutbox = true
                continue
            }
            guard let clock, let row = EngineRow(hint: payload) else {
                hint.mayHaveMore = true
                continue
            }
            // This entry was read already, or another one was in its place.
            if row.seq < before.seq || (row.seq, row.chain) == (before.seq, before.chain) {
                continue
            }
            guard !hint.mayHaveMore, row.follows(before) else {
                hint.mayHaveMore = true
                continue
            }
            let now = clock.engine + MonotonicClock.milliseconds() - clock.own
            hint.groups.append(row.group(now: now))
            before = EnginePosition(seq: row.seq, chain: row.chain)
        }
        return hint
    }

    // MARK: Calls

    private func call(
        _ function: String,
        _ values: [PostgresValue],
        _ deadline: Int64,
        silence: Int64? = nil
    ) throws(EngineError) -> PostgresRows {
        do throws(PostgresError) {
            let rows = try connection.run(
                "SELECT * FROM \(schema).\(function)",
                values,
                deadline: deadline,
                silence: silence
            )
            let mayBeEmpty = function.hasPrefix("read") || function.hasPrefix("members")
            guard rows.count > 0 || mayBeEmpty else { throw .malformed }
            return rows
        } catch {
            throw EngineError(error, schema: schema)
        }
    }

    private static func read<T>(_ body: () throws(PostgresError) -> T) throws(EngineError) -> T {
        do throws(PostgresError) {
            return try body()
        } catch {
            throw .postgres(error)
        }
    }
}
