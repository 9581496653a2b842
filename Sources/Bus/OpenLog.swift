import CLinux
import CSQLite
import Channels
import Engine
import Glibc
import System

/// The writer's hold on one incarnation of the log: directory, wake page and file, as they were when opened.
final class OpenLog {
    let paths: OpenPaths
    let page: WakePage
    let database: WriterDatabase
    let reserve: Reserve
    /// The name of the running boot.
    let boot: String
    /// The largest size of log.sqlite so far.
    private var logBytes: Int64

    private init(
        paths: OpenPaths,
        page: WakePage,
        database: WriterDatabase,
        reserve: Reserve,
        boot: String
    ) {
        self.paths = paths
        self.page = page
        self.database = database
        self.reserve = reserve
        self.boot = boot
        logBytes = paths.directory.logBytes ?? 0
    }

    var directory: BusDirectory { paths.directory }
    var files: LogFileSet { paths.files }

    /// Enters the gate, and counts how long that took.
    func enterGate(_ shared: LogShared) throws(LogError) {
        let before = MonotonicClock.microseconds()
        try directory.enter()
        let waited = MonotonicClock.microseconds() - before
        shared.count {
            $0.gateWaits += 1
            $0.gateWaitMicroseconds += waited
            $0.longestGateWaitMicroseconds = max($0.longestGateWaitMicroseconds, waited)
        }
    }

    /// Throws if log.sqlite has become shorter than it was and than it is to be: another program has cut it. SQLite would
    /// notice only when it needs a page that is gone and no longer in its memory, and acknowledge messages until then.
    func checkLength() throws(LogError) {
        guard let bytes = directory.logBytes else { return }
        // VACUUM makes the log itself shorter.
        let whole = try database.pages() * database.connection.pageBytes
        guard bytes >= min(logBytes, whole) else {
            throw LogError.damage("it was cut from \(logBytes) bytes to \(bytes)")
        }
        logBytes = min(bytes, whole)
    }

    /// Opens the log, creating it if necessary; under the gate, which this enters and leaves itself.
    ///
    /// - Parameters:
    ///   - suspect: read all of the file first, since something in it looked damaged.
    ///   - isPatient: fail rather than continue without what another process may still have open.
    ///   - known: what this process itself had open and reported, if the file `wake` no longer says.
    ///   - given: begin a new epoch although nothing else asks for it.
    static func open(
        _ shared: LogShared,
        suspect: Bool,
        isPatient: Bool = false,
        known: LogWitness? = nil,
        newEpochBecause given: String? = nil
    ) throws(LogError) -> OpenLog {
        let directory = try BusDirectory(settings: shared.settings)
        try directory.enter()
        defer { directory.leave() }
        guard directory.isCurrent else {
            throw LogError.problem("\(directory.path) was moved while it was being opened")
        }
        let page = try WakePage(directory, boot: shared.clocks.bootName)
        let witness = page.witness ?? known
        do throws(LogError) {
            let hadWriteAhead = witness?.files.writeAhead == directory.files.writeAhead
            let database = try openDatabase(directory, witness, shared)
            if isPatient, !hadWriteAhead, let witness, database.state.head < witness.head,
                directory.files.log.map({ witness.names($0, boot: shared.clocks.bootName) })
                    ?? false
            {
                throw LogError.writeAheadLogMissing
            }
            if suspect, try !database.isSound() {
                throw LogError.database(DatabaseError(SQLITE_CORRUPT))
            }
            return try begin(directory, page, witness, database, shared, given)
        } catch  where error.isDamage {
            let name = try SetAside.damaged.keep(
                "log.sqlite",
                with: "log.sqlite-wal",
                in: directory
            )
            _ = unsafe unlink(directory.logPath + "-shm")
            shared.say(
                "log.sqlite is damaged (\(error.summary)): it was kept as \(name), "
                    + "and a new log begins; subscribers are told of the gap",
                .error
            )
            let database = try openDatabase(directory, witness, shared)
            return try begin(directory, page, nil, database, shared)
        }
    }

    private static func openDatabase(
        _ directory: BusDirectory,
        _ witness: LogWitness?,
        _ shared: LogShared
    ) throws(LogError) -> WriterDatabase {
        let path = directory.logPath
        try partFromForeign(directory, witness, shared)
        try directory.makeFile(path)
        return try WriterDatabase(
            path: path,
            isInMemory: directory.isInMemory,
            settings: shared.settings,
            channelLimit: shared.channelLimit,
            retention: { shared.retention($0) }
        )
    }

    /// The files beside log.sqlite may belong to another log.sqlite that is gone, whose write-ahead log would corrupt this
    /// one. Only files that the witness names belong to another one for certain; files that came with a copy belong to it.
    private static func partFromForeign(
        _ directory: BusDirectory,
        _ witness: LogWitness?,
        _ shared: LogShared
    ) throws(LogError) {
        let found = directory.files
        func isNamed(_ file: FileIdentity?, _ noted: FileIdentity?) -> Bool {
            guard let file, let witness else { return false }
            return file.isSame(as: noted, sameBoot: witness.boot == shared.clocks.bootName)
        }
        let hasLog = isNamed(found.log, witness?.files.log)
        let hasWriteAhead = isNamed(found.writeAhead, witness?.files.writeAhead)
        if found.log == nil || (hasWriteAhead && !hasLog) {
            if directory.writeAheadBytes > 0 {
                let name = try SetAside.orphaned.keep("log.sqlite-wal", in: directory)
                shared.say(
                    "log.sqlite-wal belongs to a log.sqlite that is gone, and may hold messages: it was kept as \(name)",
                    .warning
                )
            } else {
                _ = unsafe unlink(directory.logPath + "-wal")
            }
        }
        // An index holds no messages. One that others still have open, for other files than are there now, would
        // mislead; any other is made anew by SQLite itself.
        if isNamed(found.index, witness?.files.index), !(hasLog && hasWriteAhead) {
            _ = unsafe unlink(directory.logPath + "-shm")
        }
    }

    /// Decides about the epoch, writes the witness, and tells the process.
    private static func begin(
        _ directory: BusDirectory,
        _ page: WakePage,
        _ witness: LogWitness?,
        _ database: WriterDatabase,
        _ shared: LogShared,
        _ given: String? = nil
    ) throws(LogError) -> OpenLog {
        guard let identity = FileIdentity(path: directory.logPath) else {
            throw LogError.problem("log.sqlite was removed while it was being opened")
        }
        shared.resumeClock(database.state.moment, boot: database.state.boot)
        let synced = shared.settings.durability == .power
        let time = shared.time()
        let (state, stamp, reason) = try database.transaction(time) {
            transaction throws(LogError) -> (LogState, Int64, String?) in
            if let table = database.engine {
                try joinSite(table, &transaction, shared)
                try database.connection.use { database throws(LogError) in
                    try LogSchema.mark(ofSite: true, database)
                }
            }
            // With an engine, what is missing here comes again, under the site's epochs.
            let reason =
                database.engine != nil
                ? nil
                : reasonForNewEpoch(
                    witness,
                    identity,
                    transaction.state,
                    epoch: try database.queries.epochs()?.current,
                    boot: shared.clocks.bootName,
                    isCopied: page.isCopied
                ) ?? given
            if reason != nil {
                try transaction.beginEpoch(
                    told: witness?.position,
                    // Only the administrator knows why a new epoch was asked for, so nothing is proved then.
                    // Without a witness, other processes may have told more than this one knows.
                    isProved: given == nil && page.witness != nil
                        && proves(witness, identity, boot: shared.clocks.bootName)
                )
            }
            transaction.note(boot: shared.clocks.bootName)
            guard let epochs = try database.queries.epochs() else {
                throw LogError.damage("it has lost its epochs")
            }
            let state = try database.queries.newest(
                transaction.state,
                epochs,
                now: time.retention,
                shared
            )
            return (state, transaction.state.trimStamp, reason)
        }
        let files = directory.files
        guard files.log == identity else {
            throw LogError.problem("log.sqlite was replaced while it was being opened")
        }
        page.write(
            LogWitness(
                files: files,
                head: state.head.value,
                boot: shared.clocks.bootName,
                epoch: state.epochs.current.name,
                // If one process does not sync, the log is not synced.
                synced: synced && (reason != nil || witness?.synced ?? true)
            )
        )
        if synced { directory.sync() }
        if let reason, state.epochs.stretches.count > 1 {
            shared.say("new epoch \(state.epochs.current): \(reason)", .warning)
        } else if reason != nil, let witness, witness.head > 0 {
            shared.say(
                "log.sqlite is new, although messages up to \(Offset(witness.head)) were committed before; "
                    + "subscribers are told of the gap",
                .warning
            )
        }
        if directory.isInMemory, shared.settings.durability != .memory {
            shared.say(
                "\(directory.path) is on tmpfs: nothing there survives a reboot, although [bus] durability = "
                    + "\(shared.settings.durability.rawValue); set durability = memory, or move the directory to a disk",
                .warning
            )
        }
        let (channels, messages) = (Int(database.state.channels), Int(database.state.messages))
        shared.count {
            $0.openings += 1
            // Before the log is reported as opened: statistics may be asked for at once.
            ($0.channels, $0.messagesKept) = (channels, messages)
        }
        let paths = OpenPaths(directory, files, wake: page.identity)
        shared.tell(
            opened: state,
            stamp: stamp,
            as: LogShared.Opened(
                paths: paths,
                page: page,
                epochs: state.epochs,
                epochNumber: database.state.epoch
            )
        )
        page.ringForOthers()
        return OpenLog(
            paths: paths,
            page: page,
            database: database,
            reserve: Reserve(
                path: directory.reservePath,
                wantedBytes: shared.settings.reserveBytes
            ),
            boot: shared.clocks.bootName
        )
    }

    /// Applies the site's epochs and the place where its log begins here, unless it has them.
    private static func joinSite(
        _ table: EngineTable,
        _ transaction: inout WriteTransaction,
        _ shared: LogShared
    ) throws(LogError) {
        guard let link = shared.link else { return }
        let membership = EngineMembership.read(shared.settings)
        if let obstacle = EngineMembership.obstacle(membership) {
            throw LogError.lasting(obstacle)
        }
        guard let membership else { return }
        link.introduce(EngineMembership.id(of: membership.machine), shared)
        let place = try table.place()
        if let place, place.site != membership.site {
            throw LogError.lasting(
                "log.sqlite is of site \(place.site), and this machine of \(membership.site); "
                    + "move log.sqlite away, or run holdfast engine join"
            )
        }
        if let position = place?.position {
            return link.isAt(position)
        }
        // Holdfast may have run without [engine] meanwhile, or an older copy was put back: the operator has not given up
        // these messages.
        let messages = transaction.state.messages
        guard place != nil || messages == 0 else {
            throw LogError.lasting(
                "log.sqlite has \(messages) messages that are not those of the site: move it away, "
                    + "or holdfast engine join --discard drops them, or holdfast engine leave keeps them"
            )
        }
        guard let anchor = link.anchor else {
            link.isNowhere()
            throw LogError.engineAwaited
        }
        try transaction.restart(at: anchor, of: membership.site, table)
        link.hasBegun(at: anchor.position)
    }

    /// Why the newest messages that subscribers were told may be missing from this file; nil if they are not.
    private static func reasonForNewEpoch(
        _ witness: LogWitness?,
        _ identity: FileIdentity,
        _ state: StateRow,
        epoch: Epoch?,
        boot: String,
        isCopied: Bool
    ) -> String? {
        if state.epoch == 0 { return "the log is new" }
        guard let witness else {
            return isCopied
                ? "the directory or its file wake is a copy, so that nothing proves the log complete"
                : "the file wake was missing or of another release, so that nothing proves the log complete"
        }
        // An inode may be reused, but then the copy is behind, or of another log, whose epochs are unknown here.
        if !witness.names(identity, boot: boot) {
            return "log.sqlite is not the file that was there before"
        }
        if state.head < witness.head {
            return "the log ends at \(state.head), but \(witness.head) was committed before"
        }
        // As long as the witness, but from before the newest epoch: an older copy that was written to elsewhere.
        if witness.epoch != epoch?.name {
            return "the log's newest epoch is not the one it was left in"
        }
        if witness.boot != boot && !witness.synced {
            return "the machine was restarted, which may have lost the newest messages"
        }
        return nil
    }

    /// Whether no process told more than the witness says. Two cases are left unproved: after a loss of power the witness
    /// may be older than the newest messages; and if log.sqlite is another file, both may have been restored, `wake` by
    /// writing over it, which keeps its identity. An unneeded report of a gap makes subscribers read again once; a
    /// missing one would lose messages silently.
    private static func proves(_ witness: LogWitness?, _ identity: FileIdentity, boot: String)
        -> Bool
    {
        guard let witness, witness.names(identity, boot: boot) else { return false }
        return witness.boot == boot || witness.synced
    }
}
