import CSQLite
import Glibc
import System

/// Why the log, or an operation on it, failed.
package enum LogError: Error, CustomStringConvertible {
    case database(DatabaseError)
    /// A sentence on why the log cannot be used, for the operator.
    case problem(String)
    /// The same where another attempt fails, too, until somebody does what the sentence says.
    case lasting(String)
    /// The same where the content of log.sqlite is wrong, although SQLite itself finds no fault with it.
    case damage(String)
    /// Acknowledged messages were in a write-ahead log that has no name any more. A process that has it open still saves
    /// them within a second or so.
    case writeAheadLogMissing
    /// The log begins where the site's messages begin, which the engine has not said yet.
    case engineAwaited
    /// The transaction would last long, which the thread that runs it must not wait for.
    case wouldLast

    package var description: String {
        switch self {
        case .database(let error): error.description
        case .problem(let sentence), .lasting(let sentence), .damage(let sentence): sentence
        case .writeAheadLogMissing: "log.sqlite-wal is missing, and held messages"
        case .engineAwaited: "the engine has not said yet where the site's messages begin"
        case .wouldLast: "the transaction would last long"
        }
    }

    /// The description without SQLite's numbers.
    var summary: String { database?.message ?? description }

    private var database: DatabaseError? {
        if case .database(let error) = self { error } else { nil }
    }

    /// Another connection holds a lock that is needed.
    var isBusy: Bool { database?.code == SQLITE_BUSY }

    /// The file's content is wrong, as opposed to a disk that is full or fails.
    var isDamage: Bool {
        if case .damage = self { return true }
        return database?.code == SQLITE_CORRUPT || database?.code == SQLITE_NOTADB
    }

    /// There was no room, in the file or on the disk. SQLite says some of it as input/output errors, which have many
    /// other causes, against which making room is no help.
    var isFull: Bool {
        guard let database else { return false }
        return database.code == SQLITE_FULL
            || [ENOSPC, EDQUOT, EFBIG].contains(database.systemError)
    }
}
