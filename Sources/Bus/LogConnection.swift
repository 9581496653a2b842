import Channels

/// An open connection to the log's file that never checkpoints by itself.
///
/// Used by one thread at a time: the writer's by the writer, the reader's by the reader.
final class LogConnection {
    /// A new file's page size. A commit writes whole pages, mostly one of each table and index: small ones cost it less.
    /// On a disk they are the file system's blocks, parts of which it would have to read before it writes them.
    static func newPageBytes(inMemory: Bool) -> Int64 { inMemory ? 2048 : 4096 }

    /// How long statements wait for SQLite's own locks. Only another program can hold the write lock, since Holdfast's
    /// writers queue at the gate.
    static let patienceMilliseconds: Int32 = 250

    private let database: Database
    let pageBytes: Int64
    /// The configured size; SQLite raises it to what the file has already.
    let maximumPages: Int64

    /// Pages in the write-ahead log after the newest commit of this connection.
    var walPages: Int { database.writeAheadFrames }

    /// - Parameter isInMemory: the file is; nil: it is only read.
    init(path: String, settings: BusSettings, isInMemory: Bool?) throws(LogError) {
        let readOnly = isInMemory == nil
        database = try Database(
            path: path,
            readOnly ? .readOnly : .readWrite,
            gathersFrames: !readOnly
        )
        database.waitForLocks(milliseconds: Self.patienceMilliseconds)
        try database.leaveWriteAheadLogOnClosing()
        try database.execute(
            """
            PRAGMA mmap_size = 0;
            PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -8000;
            PRAGMA wal_autocheckpoint = 0;
            """
        )
        if let isInMemory {
            try database.execute("PRAGMA page_size = \(Self.newPageBytes(inMemory: isInMemory))")
        }
        pageBytes = try database.fetchInteger("PRAGMA page_size") ?? 4096
        maximumPages = max(64, settings.maxBytes / pageBytes)
        if readOnly { return }
        // Debian's SQLite would also overwrite with zeros the pages of removed messages: as many bytes written for each
        // message again as it had. What was committed stays in the write-ahead log for a while in any case.
        try database.execute(
            """
            PRAGMA secure_delete = FAST;
            PRAGMA journal_mode = WAL;
            PRAGMA journal_size_limit = 4194304;
            PRAGMA synchronous = \(settings.durability == .power ? "FULL" : "NORMAL");
            PRAGMA max_page_count = \(maximumPages);
            """
        )
        database.countWriteAheadFrames()
    }

    /// - Parameter patienceMilliseconds: how long to wait for readers.
    func checkpoint(
        _ kind: Database.Checkpoint,
        _ patienceMilliseconds: Int32
    ) throws(LogError) -> Database.Checkpointed {
        database.waitForLocks(milliseconds: patienceMilliseconds)
        defer { database.waitForLocks(milliseconds: Self.patienceMilliseconds) }
        return try database.checkpoint(kind)
    }

    /// Runs the body, in which statements fail at once where another connection has a lock.
    func withoutPatience<T>(_ body: () throws(LogError) -> T) throws(LogError) -> T {
        database.waitForLocks(milliseconds: 0)
        defer { database.waitForLocks(milliseconds: Self.patienceMilliseconds) }
        return try body()
    }

    func use<T>(_ body: (Database) throws(LogError) -> T) throws(LogError) -> T {
        try body(database)
    }
}
