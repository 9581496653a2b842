import CFrames
import CSQLite
import Glibc
import System

/// A connection to an SQLite file, used by one thread at a time.
///
/// Only what the log needs of SQLite. Nothing here has a thread, a queue or a descriptor besides SQLite's own, so
/// that opening and closing need nothing that may not be had where descriptors or threads have run out. It closes
/// when its last `PreparedStatement` is gone with it.
@safe final class Database {
    enum Access { case readOnly, readWrite, create }

    // Open until deinit.
    private let connection: OpaquePointer
    /// Where SQLite's commit hook notes the size of the write-ahead log, on the connection's thread.
    private let walFrames: UnsafeMutablePointer<Int32>

    /// - Parameter gathersFrames: `commit` writes all frames of a commit at once.
    init(path: String, _ access: Access, gathersFrames: Bool = false) throws(LogError) {
        let mode =
            switch access {
            case .readOnly: SQLITE_OPEN_READONLY
            case .readWrite: SQLITE_OPEN_READWRITE
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            }
        // Also if it is not used, since it configures SQLite, which must come first.
        let gathering = unsafe cframes_vfs()
        var opened: OpaquePointer?
        errno = 0
        let code = unsafe sqlite3_open_v2(
            path,
            &opened,
            mode | SQLITE_OPEN_NOMUTEX,
            gathersFrames ? gathering : nil
        )
        guard let connection = unsafe opened, code == SQLITE_OK else {
            // A connection must be closed even if it could not be opened.
            defer { unsafe sqlite3_close(opened) }
            throw unsafe LogError.database(DatabaseError(code, on: opened))
        }
        unsafe self.connection = connection
        unsafe walFrames = .allocate(capacity: 1)
        unsafe walFrames.initialize(to: 0)
        unsafe sqlite3_extended_result_codes(connection, 1)
    }

    deinit {
        unsafe sqlite3_close(connection)
        unsafe walFrames.deallocate()
    }

    // MARK: Statements

    /// Runs statements to their ends; rows are ignored.
    func execute(_ sql: String) throws(LogError) {
        errno = 0
        let code = unsafe sqlite3_exec(connection, sql, nil, nil, nil)
        if code != SQLITE_OK { throw failure(code) }
    }

    /// The first column of the first row; nil if there is no row.
    func fetchInteger(_ sql: String) throws(LogError) -> Int64? {
        let query = try PreparedStatement(self, sql)
        defer { query.finish() }
        return try query.step() ? query.integer(0) : nil
    }

    func fetchText(_ sql: String) throws(LogError) -> String? {
        let query = try PreparedStatement(self, sql)
        defer { query.finish() }
        return try query.step() ? query.optionalText(0) : nil
    }

    /// A prepared statement, for `PreparedStatement`, which finalizes it.
    func prepare(_ sql: String) throws(LogError) -> OpaquePointer {
        var statement: OpaquePointer?
        errno = 0
        let code = unsafe sqlite3_prepare_v3(
            connection,
            sql,
            -1,
            UInt32(SQLITE_PREPARE_PERSISTENT),
            &statement,
            nil
        )
        guard let statement = unsafe statement, code == SQLITE_OK else { throw failure(code) }
        return unsafe statement
    }

    /// The body's changes are committed all or not at all.
    func inTransaction(_ body: () throws(LogError) -> Void) throws(LogError) {
        try execute("BEGIN IMMEDIATE")
        do {
            try body()
            try execute("COMMIT")
        } catch {
            if isInsideTransaction { try? execute("ROLLBACK") }
            throw error
        }
    }

    /// Runs a prepared COMMIT.
    func commit(_ statement: PreparedStatement) throws(LogError) {
        let gathering = unsafe cframes_begin(connection)
        do throws(LogError) {
            try statement.run()
        } catch {
            _ = unsafe cframes_end(gathering, 0)
            throw error
        }
        errno = 0
        let code = unsafe cframes_end(gathering, 1)
        if code != SQLITE_OK { throw failure(code) }
    }

    /// SQLite ends some transactions by itself, as on a full disk.
    var isInsideTransaction: Bool { unsafe sqlite3_get_autocommit(connection) == 0 }

    /// A number that changes whenever a connection, this one or another, has changed the file, as far as the running
    /// transaction sees it. SQLite itself decides by it whether the pages that it has read are still valid.
    var version: UInt32 {
        var version: UInt32 = 0
        _ = unsafe sqlite3_file_control(
            connection,
            "main",
            SQLITE_FCNTL_DATA_VERSION,
            &version
        )
        return version
    }

    /// The system's errno of the call that just failed, before which errno was 0.
    func failure(_ code: Int32) -> LogError {
        unsafe .database(DatabaseError(code, on: connection))
    }

    // MARK: The connection

    /// How long a statement waits for other connections' locks.
    func waitForLocks(milliseconds: Int32) { unsafe sqlite3_busy_timeout(connection, milliseconds) }

    func leaveWriteAheadLogOnClosing() throws(LogError) {
        let code = unsafe csqlite_no_checkpoint_on_close(connection)
        if code != SQLITE_OK { throw failure(code) }
    }

    /// Keeps `writeAheadFrames` up to date from now on.
    func countWriteAheadFrames() {
        _ = unsafe sqlite3_wal_hook(
            connection,
            { context, _, _, frames in
                unsafe context?.assumingMemoryBound(to: Int32.self).pointee = frames
                return SQLITE_OK
            },
            walFrames
        )
    }

    /// Pages in the write-ahead log after the newest commit of this connection.
    var writeAheadFrames: Int { Int(unsafe walFrames.pointee) }

    enum Checkpoint { case passive, restart, truncate }

    struct Checkpointed {
        /// All of the write-ahead log is in the file.
        var isComplete: Bool
        /// The checkpoint did what its kind says: no reader keeps the write-ahead log from being restarted.
        var isDone: Bool
    }

    /// Copies the write-ahead log into the file, as far as other connections' readers let it.
    func checkpoint(_ kind: Checkpoint) throws(LogError) -> Checkpointed {
        let mode =
            switch kind {
            case .passive: SQLITE_CHECKPOINT_PASSIVE
            case .restart: SQLITE_CHECKPOINT_RESTART
            case .truncate: SQLITE_CHECKPOINT_TRUNCATE
            }
        var frames: Int32 = 0
        var copied: Int32 = 0
        errno = 0
        let code = unsafe sqlite3_wal_checkpoint_v2(connection, nil, mode, &frames, &copied)
        if code != SQLITE_OK, code & 0xff != SQLITE_BUSY { throw failure(code) }
        let isComplete = frames == copied && (code == SQLITE_OK || frames >= 0)
        if code == SQLITE_OK, isComplete, kind != .passive {
            unsafe walFrames.pointee = 0
        }
        return Checkpointed(isComplete: isComplete, isDone: isComplete && code == SQLITE_OK)
    }

    /// Overwrites the other one with all of it, as of one moment.
    func backUp(to other: Database) throws(LogError) {
        guard let backup = unsafe sqlite3_backup_init(other.connection, "main", connection, "main")
        else { throw other.failure(SQLITE_ERROR) }
        errno = 0
        unsafe sqlite3_backup_step(backup, -1)
        let code = unsafe sqlite3_backup_finish(backup)
        // SQLite notes a failure of either side on the target.
        if code != SQLITE_OK { throw other.failure(code) }
    }
}

/// What SQLite could not do, and why.
package struct DatabaseError: Sendable, CustomStringConvertible {
    /// With the details in the bits above the lowest eight.
    let extendedCode: Int32
    /// The system's own errno where a system call failed, else 0.
    let systemError: Int32
    let message: String

    var code: Int32 { extendedCode & 0xff }

    init(_ extendedCode: Int32, systemError: Int32 = 0, message: String? = nil) {
        self.extendedCode = extendedCode
        self.systemError = systemError
        self.message = unsafe message ?? String(cString: sqlite3_errstr(extendedCode))
    }

    fileprivate init(_ code: Int32, on connection: OpaquePointer?) {
        guard let connection = unsafe connection else {
            self.init(code)
            return
        }
        // sqlite3_system_errno is not for this: a COMMIT that fails leaves it as an earlier failure left it. It is errno
        // itself otherwise, and these two codes alone are about that.
        let systemError = errno
        let fromSystem = code & 0xff == SQLITE_IOERR || code & 0xff == SQLITE_CANTOPEN
        unsafe self.init(
            code,
            systemError: fromSystem ? systemError : 0,
            message: String(cString: sqlite3_errmsg(connection))
        )
    }

    package var description: String {
        let reason = systemError == 0 ? "" : ": \(SystemError.sentence(of: systemError))"
        return "\(message)\(reason) (\(extendedCode))"
    }
}
