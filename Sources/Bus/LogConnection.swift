import CSQLite
import Configuration
import GRDB

/// An open connection to the log's file, set up so that nothing checkpoints but who says so.
///
/// Used by one thread at a time: the writer's by the writer, the reader's by the reader.
final class LogConnection {
    static let pageBytes: Int64 = 4096

    private let queue: DatabaseQueue
    private let wal: WALSize
    /// The configured size; SQLite raises it to what the file has already.
    let maximumPages: Int64

    /// Pages in the write-ahead log after the newest commit of this connection.
    var walPages: Int { wal.pages }

    init(path: String, settings: BusSettings, readOnly: Bool) throws {
        let wal = WALSize()
        let maximumPages = max(64, settings.maxBytes / Self.pageBytes)
        self.maximumPages = maximumPages
        var configuration = GRDB.Configuration()
        configuration.readonly = readOnly
        configuration.foreignKeysEnabled = false
        // Nobody but a stranger's tool holds SQLite's write lock, since ours queue at the gate; checkpoints wait
        // this long for readers.
        configuration.busyMode = .timeout(0.25)
        configuration.label = readOnly ? "holdfast.log.reader" : "holdfast.log.writer"
        configuration.prepareDatabase { database in
            guard let connection = unsafe database.sqliteConnection,
                unsafe csqlite_no_checkpoint_on_close(connection) == SQLITE_OK
            else { throw LogProblem("this SQLite can't leave its log alone on closing") }
            try database.execute(
                sql: """
                    PRAGMA mmap_size = 0;
                    PRAGMA temp_store = MEMORY;
                    PRAGMA cache_size = -8000;
                    PRAGMA wal_autocheckpoint = 0;
                    """
            )
            if readOnly { return }
            try database.execute(
                sql: """
                    PRAGMA page_size = \(Self.pageBytes);
                    PRAGMA journal_mode = WAL;
                    PRAGMA journal_size_limit = 4194304;
                    PRAGMA synchronous = \(settings.durability == .power ? "FULL" : "NORMAL");
                    PRAGMA max_page_count = \(maximumPages);
                    """
            )
            unsafe wal.watch(connection)
        }
        self.wal = wal
        queue = try DatabaseQueue(path: path, configuration: configuration)
    }

    func use<T>(_ body: (Database) throws -> T) throws -> T {
        try queue.inDatabase(body)
    }
}

/// Where SQLite's commit hook notes the size of the write-ahead log.
@safe private final class WALSize: @unchecked Sendable {
    // Written by the hook and read after the commit, both on the connection's thread.
    private let count: UnsafeMutablePointer<Int32>

    init() {
        unsafe count = .allocate(capacity: 1)
        unsafe count.initialize(to: 0)
    }

    deinit { unsafe count.deallocate() }

    var pages: Int { Int(unsafe count.pointee) }

    func watch(_ connection: OpaquePointer) {
        _ = unsafe sqlite3_wal_hook(
            connection,
            { context, _, _, pages in
                unsafe context?.assumingMemoryBound(to: Int32.self).pointee = pages
                return SQLITE_OK
            },
            count
        )
    }
}
