import CLinux
import Glibc
import Synchronization
import System

/// The paths of an open log, and whether they still lead to what was opened. Any thread.
///
/// The write-ahead log and its index count as much as log.sqlite: whoever opened the log after one of them was taken
/// away would work on another one, and what either of both commits would be lost to the other.
final class OpenPaths: Sendable {
    let directory: BusDirectory
    let files: LogFileSet
    private let wake: FileIdentity

    /// The time of the newest change in the directory when all of its files were in place.
    private let settled = Atomic<Int64>(.min)
    /// A change that follows another one so much later has another time, on every file system.
    private static let settlingNanoseconds: Int64 = 3_000_000_000

    /// Which of them lead to what was opened.
    struct Look {
        /// The directory and the three files of the log.
        var log: Bool
        /// And the file `wake`.
        var all: Bool
    }

    init(_ directory: BusDirectory, _ files: LogFileSet, wake: FileIdentity) {
        self.directory = directory
        self.files = files
        self.wake = wake
    }

    /// Looks at the directory, and at what is in it only where that has changed. Making, removing and renaming files
    /// gives a directory a new time, which nobody can set as he likes. What is mounted over a file does not, nor what
    /// happens in the very tick that a clock was set back to; `lookAtAll`, once a second, sees these too.
    func look() -> Look {
        guard let found = fileStatus(AT_FDCWD, directory.path), found.identity == directory.identity
        else { return Look(log: false, all: false) }
        if found.changed == settled.load(ordering: .relaxed) { return Look(log: true, all: true) }
        return look(changed: found.changed)
    }

    /// Looks at each of them.
    func lookAtAll() -> Look {
        guard let found = fileStatus(AT_FDCWD, directory.path), found.identity == directory.identity
        else { return Look(log: false, all: false) }
        return look(changed: found.changed)
    }

    private func look(changed: Int64) -> Look {
        let isSettled = SystemClock.wallMilliseconds() * 1_000_000 - changed > Self.settlingNanoseconds
        let log = directory.files == files
        let all = log && directory.wake == wake
        settled.store(all && isSettled ? changed : .min, ordering: .relaxed)
        return Look(log: log, all: all)
    }
}
