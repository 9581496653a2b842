import CSQLite
import Glibc

/// A prepared statement of the log's connection, for the thread that owns the connection only.
///
/// Every use begins with `bind` (which also resets) and takes rows while `step` says so.
@safe final class PreparedStatement {
    // Keeps the connection open.
    private let database: Database
    // Prepared until deinit.
    private let handle: OpaquePointer

    init(_ database: Database, _ sql: String) throws(LogError) {
        self.database = database
        unsafe handle = try database.prepare(sql)
    }

    deinit { unsafe sqlite3_finalize(handle) }

    /// Makes the statement ready to be stepped with these values, in the order of its question marks.
    func bind<each Value: BindableValue>(_ values: repeat each Value) throws(LogError) {
        unsafe sqlite3_reset(handle)
        var at: Int32 = 0
        for value in repeat each values {
            at += 1
            let code = unsafe value.bind(to: handle, at)
            if code != SQLITE_OK { throw database.failure(code) }
        }
    }

    /// Goes to the next row; false at the end, after which the statement holds no lock any more.
    func step() throws(LogError) -> Bool {
        errno = 0
        let code = unsafe sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            unsafe sqlite3_reset(handle)
            return false
        default:
            let error = database.failure(code)
            unsafe sqlite3_reset(handle)
            throw error
        }
    }

    /// Steps to the end, ignoring rows.
    func run() throws(LogError) {
        while try step() {}
    }

    /// Ends a reading before its last row.
    func finish() { unsafe sqlite3_reset(handle) }

    /// Clamped to ±2⁶⁰, so that sums of a few numbers fit into 64 bits whatever the file holds.
    func integer(_ column: Int32) -> Int64 {
        let limit: Int64 = 1 << 60
        return unsafe min(max(sqlite3_column_int64(handle, column), -limit), limit)
    }

    func optionalInteger(_ column: Int32) -> Int64? {
        unsafe sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : integer(column)
    }

    func text(_ column: Int32) -> String { optionalText(column) ?? "" }

    func optionalText(_ column: Int32) -> String? {
        guard let start = unsafe sqlite3_column_text(handle, column) else { return nil }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe String(
            decoding: UnsafeBufferPointer(start: start, count: count),
            as: UTF8.self
        )
    }

    func blob(_ column: Int32) -> [UInt8] {
        guard let start = unsafe sqlite3_column_blob(handle, column) else { return [] }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }
}

/// A value for a question mark of a statement.
protocol BindableValue {
    /// Returns an SQLite result code.
    @unsafe func bind(to statement: OpaquePointer, _ at: Int32) -> Int32
}

extension Int64: BindableValue {
    @unsafe func bind(to statement: OpaquePointer, _ at: Int32) -> Int32 {
        unsafe sqlite3_bind_int64(statement, at, self)
    }
}

extension Int: BindableValue {
    @unsafe func bind(to statement: OpaquePointer, _ at: Int32) -> Int32 {
        unsafe sqlite3_bind_int64(statement, at, Int64(self))
    }
}

extension String: BindableValue {
    @unsafe func bind(to statement: OpaquePointer, _ at: Int32) -> Int32 {
        var text = self
        return text.withUTF8 {
            unsafe $0.withMemoryRebound(to: CChar.self) {
                unsafe sqlite3_bind_text(
                    statement,
                    at,
                    $0.baseAddress ?? UnsafePointer(bitPattern: 1),
                    Int32($0.count),
                    sqliteCopies
                )
            }
        }
    }
}

extension [UInt8]: BindableValue {
    @unsafe func bind(to statement: OpaquePointer, _ at: Int32) -> Int32 {
        if isEmpty { return unsafe sqlite3_bind_zeroblob(statement, at, 0) }
        return unsafe withUnsafeBytes {
            unsafe sqlite3_bind_blob(statement, at, $0.baseAddress, Int32($0.count), sqliteCopies)
        }
    }
}

extension Optional: BindableValue where Wrapped: BindableValue {
    @unsafe func bind(to statement: OpaquePointer, _ at: Int32) -> Int32 {
        if let self {
            unsafe self.bind(to: statement, at)
        } else {
            unsafe sqlite3_bind_null(statement, at)
        }
    }
}

/// SQLITE_TRANSIENT: SQLite makes its own copy.
private var sqliteCopies: sqlite3_destructor_type {
    unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
