import CLinux
import CSQLite
import Channels
import Configuration
import Glibc

/// The writer's hold on one incarnation of the log: directory, wake page and file, as they were when opened.
final class OpenLog {
    let directory: BusDirectory
    let page: WakePage
    let identity: FileIdentity
    let store: LogStore

    private init(
        directory: BusDirectory,
        page: WakePage,
        identity: FileIdentity,
        store: LogStore
    ) {
        self.directory = directory
        self.page = page
        self.identity = identity
        self.store = store
    }

    /// Whether the paths still lead to what is open here. Three looks at the directory, under the gate.
    var isCurrent: Bool {
        directory.isCurrent && FileIdentity(path: directory.logPath) == identity
            && FileIdentity(path: directory.wakePath) == page.identity
    }

    /// Opens the log, made if need be; under the gate, which it takes and leaves itself.
    ///
    /// - Parameters:
    ///   - suspect: read all of the file first, since something in it looked damaged.
    ///   - newEpochBecause: begin a new epoch although nothing asks for it.
    static func open(
        _ shared: LogShared,
        suspect: Bool,
        newEpochBecause given: String? = nil
    ) throws -> OpenLog {
        let directory = try BusDirectory(settings: shared.settings)
        try directory.enter()
        defer { directory.leave() }
        guard directory.isCurrent else {
            throw LogProblem("\(directory.path) was moved while it was being opened")
        }
        let page = try WakePage(directory)
        let witness = page.witness
        do {
            let store = try openStore(directory, witness, shared)
            if suspect, try !store.isSound() {
                throw DatabaseError(SQLITE_CORRUPT)
            }
            return try begin(directory, page, witness, store, shared, given)
        } catch let error as DatabaseError where error.isDamage {
            let name = try setAside(directory, shared)
            shared.deliver(
                .notice(
                    "log.sqlite is damaged (\(error.message)): it was kept as \(name), "
                        + "and a new log begins; subscribers are told of the gap"
                )
            )
            let store = try openStore(directory, witness, shared)
            return try begin(directory, page, nil, store, shared)
        }
    }

    private static func openStore(
        _ directory: BusDirectory,
        _ witness: Witness?,
        _ shared: LogShared
    ) throws -> LogStore {
        let path = directory.logPath
        let found = FileIdentity(path: path)
        let foreign =
            found.map { witness?.names($0, boot: shared.clocks.bootName) == false } ?? true
        if foreign {
            // What lies beside it belongs to another file: applying the write-ahead log of a file that is gone
            // would ruin this one. A write-ahead log that came together with it is not the one in the witness.
            _ = unsafe unlink(path + "-shm")
            let wal = FileIdentity(path: path + "-wal")
            if found == nil || wal?.inode == witness?.walInode { _ = unsafe unlink(path + "-wal") }
        }
        try directory.makeFile(path)
        return try LogStore(
            path: path,
            settings: shared.settings,
            channelLimit: shared.channelLimit,
            retention: shared.retention
        )
    }

    /// Decides about the epoch, writes the witness, and tells the process.
    private static func begin(
        _ directory: BusDirectory,
        _ page: WakePage,
        _ witness: Witness?,
        _ store: LogStore,
        _ shared: LogShared,
        _ given: String? = nil
    ) throws -> OpenLog {
        guard let identity = FileIdentity(path: directory.logPath) else {
            throw LogProblem("log.sqlite was taken away while it was being opened")
        }
        shared.resumeClock(store.state.moment, boot: store.state.boot)
        let synced = shared.settings.durability == .power
        let time = shared.time()
        let (state, stamp, reason) = try store.transaction(time) {
            () throws -> (LogState, Int64, String?) in
            let reason =
                reasonForNewEpoch(
                    witness,
                    identity,
                    store.state,
                    epoch: try store.reading.epochs()?.current,
                    boot: shared.clocks.bootName
                ) ?? given
            if reason != nil {
                try store.beginEpoch(
                    told: witness?.position,
                    // What an administrator asks for is about what nobody else can know.
                    isProved: given == nil
                        && proves(witness, identity, boot: shared.clocks.bootName)
                )
            }
            store.state.boot = shared.clocks.bootName
            guard let epochs = try store.reading.epochs() else {
                throw LogProblem("log.sqlite has no epochs")
            }
            return (
                try store.reading.newest(
                    state: store.state,
                    epochs: epochs,
                    messageLimit: shared.settings.memoryMessages,
                    byteLimit: shared.settings.memoryBytes,
                    now: time.retention,
                    retention: store.retention
                ), store.state.trimStamp, reason
            )
        }
        page.write(
            Witness(
                log: identity,
                head: state.head.value,
                boot: shared.clocks.bootName,
                epoch: state.epochs.current.name,
                // One process that does not sync makes the log one that is not synced.
                synced: synced && (reason != nil || witness?.synced ?? true),
                walInode: FileIdentity(path: directory.logPath + "-wal")?.inode ?? 0
            )
        )
        if synced { directory.sync() }
        _ = Reserve(path: directory.reservePath, bytes: shared.settings.reserveBytes)
            .make(in: directory)
        if let reason, state.epochs.stretches.count > 1 {
            shared.deliver(.notice("new epoch \(state.epochs.current): \(reason)"))
        }
        if directory.isInMemory, shared.settings.durability != .memory {
            shared.deliver(
                .notice(
                    "\(directory.path) is on tmpfs: nothing there survives a reboot, although [bus] durability = "
                        + "\(shared.settings.durability.rawValue); say memory, or put it on a disk"
                )
            )
        }
        shared.count { $0.openings += 1 }
        shared.tell(
            opened: state,
            stamp: stamp,
            as: LogShared.Opened(
                path: directory.logPath,
                identity: identity,
                page: page,
                epochs: state.epochs,
                epochNumber: store.state.epoch
            )
        )
        page.ring()
        return OpenLog(directory: directory, page: page, identity: identity, store: store)
    }

    /// Why the newest part of what subscribers were told may not be in this file; nil: it is.
    private static func reasonForNewEpoch(
        _ witness: Witness?,
        _ identity: FileIdentity,
        _ state: StateRow,
        epoch: Epoch?,
        boot: String
    ) -> String? {
        if state.epoch == 0 { return "the log is new" }
        guard let witness else {
            return "the file wake was missing, so that nothing proves the log complete"
        }
        // An inode may be given out again, but then a copy is behind, or of another log, whose epochs nobody here was
        // told.
        if !witness.names(identity, boot: boot) {
            return "the file log.sqlite is another than before"
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

    /// Whether nobody was told more than the witness says: it may have been copied together with the file, or be older
    /// than the newest messages after a loss of power.
    private static func proves(_ witness: Witness?, _ identity: FileIdentity, boot: String) -> Bool
    {
        guard let witness, witness.names(identity, boot: boot) else { return false }
        return witness.boot == boot || witness.synced
    }

    /// Renames a damaged log. Nothing is ever deleted: what is readable in it is the administrator's to recover.
    private static func setAside(_ directory: BusDirectory, _ shared: LogShared) throws -> String {
        for number in 1...3 {
            let name = "\(directory.logPath).damaged-\(number)"
            if FileIdentity(path: name) != nil { continue }
            guard unsafe rename(directory.logPath, name) == 0 else {
                throw BusDirectory.problem("set aside", directory.logPath)
            }
            _ = unsafe rename(directory.logPath + "-wal", name + "-wal")
            _ = unsafe unlink(directory.logPath + "-shm")
            return "log.sqlite.damaged-\(number)"
        }
        throw LogProblem(
            "log.sqlite is damaged, and three damaged logs are kept in \(directory.path) already; "
                + "recover them with sqlite3's .recover or remove them"
        )
    }
}

extension DatabaseError {
    /// The file's content is wrong, as opposed to a disk that is full or does not answer.
    var isDamage: Bool {
        code == SQLITE_CORRUPT || code == SQLITE_NOTADB
    }

    /// There was no room, in the file or on the disk. SQLite says some of it as input/output errors, which have many
    /// other causes, against which making room is no help.
    var isFull: Bool {
        code == SQLITE_FULL || [ENOSPC, EDQUOT, EFBIG].contains(systemError)
    }
}
