import CLinux
import Channels
package import Configuration
import Glibc

/// What an administrator does with the log's file, also while processes use it.
package enum LogFiles {
    /// Writes a complete copy, as of one moment, to a file that is not there yet.
    package static func backUp(_ settings: BusSettings, to path: String) throws {
        let source = settings.directory + "/log.sqlite"
        guard FileIdentity(path: source) != nil else {
            throw LogProblem("there is no log at \(source)")
        }
        // SQLite would make the file with the umask's mode, and write into one that is there.
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw BusDirectory.problem("make", path) }
        close(file)
        do {
            let log = try Database(path: source, .readOnly)
            log.waitForLocks(milliseconds: 5000)
            try log.backUp(to: Database(path: path, .readWrite))
        } catch {
            _ = unsafe unlink(path)
            throw error
        }
    }

    /// Begins a new epoch, so that every cursor given out before is told of a gap; returns its name.
    package static func beginEpoch(_ settings: BusSettings) throws -> String {
        guard FileIdentity(path: settings.directory + "/log.sqlite") != nil else {
            throw LogProblem("there is no log in \(settings.directory)")
        }
        // Opening it is all that is done; nothing is trimmed.
        let shared = LogShared(
            settings: settings,
            channelLimit: 1,
            clocks: .system,
            retention: { _ in Retention() },
            deliver: { _ in }
        )
        _ = try OpenLog.open(shared, suspect: false, newEpochBecause: "it was asked for")
        return shared.position.opened?.epochs.current.name ?? ""
    }
}
