import CLinux
import Glibc
import Synchronization
import System

/// The paths of an open log, and whether they still lead to what was opened. Any thread.
///
/// The write-ahead log and its index count as much as log.sqlite: a process that opens the log after one of them was
/// removed works on a new one, and neither process sees the commits of the other.
final class OpenPaths: Sendable {
    let directory: BusDirectory
    let files: LogFileSet
    private let wake: FileIdentity

    /// The directory's change time at a check that found all files in place, if it was old enough to be trusted.
    private let settled = Atomic<Int64>(.min)
    /// Two changes this far apart have different times on every file system.
    private let settlingNanoseconds: Int64

    /// Which paths lead to the opened files.
    struct Check {
        /// The directory and the three files of the log.
        var log: Bool
        /// And the file `wake` as well.
        var all: Bool
    }

    /// - Parameter settlingNanoseconds: tests give less.
    init(
        _ directory: BusDirectory,
        _ files: LogFileSet,
        wake: FileIdentity,
        settlingNanoseconds: Int64 = 3_000_000_000
    ) {
        self.settlingNanoseconds = settlingNanoseconds
        self.directory = directory
        self.files = files
        self.wake = wake
    }

    /// Checks the directory, and its files only if it has changed: creating, removing and renaming files gives a
    /// directory a new change time, which no program can set. A mount over a file gives it none, and a clock that is
    /// set back to the very tick of the last change may repeat one; `checkAll`, once a second, finds these too.
    func check() -> Check {
        guard let found = fileStatus(AT_FDCWD, directory.path), found.identity == directory.identity
        else { return Check(log: false, all: false) }
        if found.changed == settled.load(ordering: .relaxed) { return Check(log: true, all: true) }
        return check(changed: found.changed)
    }

    /// Checks each of them.
    func checkAll() -> Check {
        guard let found = fileStatus(AT_FDCWD, directory.path), found.identity == directory.identity
        else { return Check(log: false, all: false) }
        return check(changed: found.changed)
    }

    private func check(changed: Int64) -> Check {
        let now = SystemClock.wallMilliseconds() * 1_000_000
        let isSettled = now - changed > settlingNanoseconds
        let log = directory.files == files
        let all = log && directory.wake == wake
        settled.store(all && isSettled ? changed : .min, ordering: .relaxed)
        return Check(log: log, all: all)
    }
}
