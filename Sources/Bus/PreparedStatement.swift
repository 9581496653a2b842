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

    init(_ database: Database, _ sql: String) throws(DatabaseError) {
        self.database = database
        unsafe handle = try database.prepare(sql)
    }

    deinit { unsafe sqlite3_finalize(handle) }

    enum Value {
        case null
        case integer(Int64)
        case text(String)
        case blob([UInt8])

        static func optional(_ value: Int64?) -> Value { value.map(Value.integer) ?? .null }
        static func optional(_ value: String?) -> Value { value.map(Value.text) ?? .null }
        static func integer(_ value: Int) -> Value { .integer(Int64(value)) }
    }

    /// Makes the statement ready to be stepped with these values, in the order of its question marks.
    func bind(_ values: Value...) throws(DatabaseError) {
        unsafe sqlite3_reset(handle)
        // SQLITE_TRANSIENT: SQLite makes its own copy.
        let copy = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        for (index, value) in values.enumerated() {
            let at = Int32(index + 1)
            let code: Int32 =
                switch value {
                case .null: unsafe sqlite3_bind_null(handle, at)
                case .integer(let number): unsafe sqlite3_bind_int64(handle, at, number)
                case .text(var text):
                    text.withUTF8 {
                        unsafe $0.withMemoryRebound(to: CChar.self) {
                            unsafe sqlite3_bind_text(
                                handle,
                                at,
                                $0.baseAddress ?? UnsafePointer(bitPattern: 1),
                                Int32($0.count),
                                copy
                            )
                        }
                    }
                case .blob(let bytes):
                    unsafe bytes.isEmpty
                        ? sqlite3_bind_zeroblob(handle, at, 0)
                        : bytes.withUnsafeBytes {
                            unsafe sqlite3_bind_blob(
                                handle,
                                at,
                                $0.baseAddress,
                                Int32($0.count),
                                copy
                            )
                        }
                }
            if code != SQLITE_OK { throw database.failure(code) }
        }
    }

    /// Goes to the next row; false at the end, after which the statement holds no lock any more.
    func step() throws(DatabaseError) -> Bool {
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

    /// Binds and steps to the end, for statements without rows or with rows nobody wants.
    func run() throws(DatabaseError) {
        while try step() {}
    }

    /// Ends a reading before its last row.
    func finish() { unsafe sqlite3_reset(handle) }

    /// So that sums with a few of them fit into 64 bits, whoever wrote them, no number is larger than 2⁶⁰.
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
