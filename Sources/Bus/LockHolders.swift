import CLinux
import Glibc
import System

/// Another process that holds a lock, described as an operator would look for it.
struct LockHolder: Hashable, CustomStringConvertible {
    let process: Int32

    /// `process 1234 (sqlite3)`.
    var description: String {
        let name = SmallFile.firstLine(of: "/proc/\(process)/comm")
        return name.isEmpty ? "process \(process)" : "process \(process) (\(name))"
    }
}

extension Set<LockHolder> {
    var list: String { map(\.description).sorted().joined(separator: ", ") }
}

/// The processes that hold SQLite's locks on the log, from proc(5) locks; empty if that cannot be read. The locks are on
/// bytes of the index, log.sqlite-shm (SQLite's "WAL-mode file format", 2.3).
enum LockHolders {
    private static let writeLock: ClosedRange<Int64> = 120...120
    /// A reader holds one of these: the first while it reads log.sqlite alone, into which nothing may be copied then;
    /// one of the others while it reads the write-ahead log, which cannot be restarted then.
    private static let readLocks: ClosedRange<Int64> = 123...127

    static func writers(of files: LogFileSet) -> Set<LockHolder> { holders(files, writeLock) }

    static func readers(of files: LogFileSet) -> Set<LockHolder> { holders(files, readLocks) }

    private static func holders(_ files: LogFileSet, _ bytes: ClosedRange<Int64>) -> Set<LockHolder>
    {
        guard let index = files.index else { return [] }
        return Set(
            FileLock.all(on: index).filter {
                $0.kind == "POSIX" && $0.process != getpid() && $0.bytes.overlaps(bytes)
            }.map { LockHolder(process: $0.process) }
        )
    }
}

/// A line of proc(5) locks: `5: FLOCK  ADVISORY  WRITE 1234 fe:01:567890 0 EOF`, the device in hexadecimal; `->` in the
/// second place marks one that waits.
struct FileLock {
    let kind: Substring
    let process: Int32
    let bytes: ClosedRange<Int64>

    /// The process that holds the flock on a file; nil if none does, or that cannot be determined.
    static func holder(of file: FileIdentity) -> Int32? {
        all(on: file).first { $0.kind == "FLOCK" }?.process
    }

    static func all(on file: FileIdentity) -> [FileLock] {
        let numbers = file.deviceNumbers
        return SmallFile.text(of: "/proc/locks").split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count >= 8, fields[1] != "->" else { return nil }
            let place = fields[5].split(separator: ":")
            guard place.count == 3, UInt64(place[0], radix: 16) == numbers.major,
                UInt64(place[1], radix: 16) == numbers.minor, UInt64(place[2]) == file.inode,
                let process = Int32(fields[4]), let first = Int64(fields[6])
            else { return nil }
            let last = Int64(fields[7]) ?? .max
            return FileLock(kind: fields[1], process: process, bytes: first...max(first, last))
        }
    }
}
