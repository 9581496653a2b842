import CLinux
package import Channels
import Glibc
import System

/// The operations of an administrator on the log's file, also while processes use it.
package enum LogFiles {
    /// Writes a complete and consistent copy to a new file.
    package static func backUp(_ settings: BusSettings, to path: String) throws(LogError) {
        let source = settings.directory + "/log.sqlite"
        try requireLog(source)
        // SQLite would create the file with the umask's mode, and overwrite an existing one.
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw BusDirectory.problem("make", path) }
        close(file)
        do throws(LogError) {
            let log = try Database(path: source, .readOnly)
            log.waitForLocks(milliseconds: 5000)
            try log.backUp(to: Database(path: path, .readWrite))
        } catch {
            _ = unsafe unlink(path)
            throw error
        }
    }

    /// Begins a new epoch, so that every cursor given out before is told of a gap; returns its name.
    package static func beginEpoch(_ settings: BusSettings) throws(LogError) -> String {
        try requireLog(settings.directory + "/log.sqlite")
        guard settings.engine == nil else {
            throw LogError.problem(
                "the epochs of a site of several machines are the engine's; a restored engine reports its loss by itself"
            )
        }
        let shared = unserved(settings)
        _ = try OpenLog.open(shared, suspect: false, newEpochBecause: "it was asked for")
        return shared.position.opened?.epochs.current.name ?? ""
    }

    /// Settings for a log that is only opened; nothing is trimmed.
    static func unserved(
        _ settings: BusSettings,
        deliver: @escaping @Sendable ([LogEvent]) -> Void = { _ in }
    ) -> LogShared {
        LogShared(
            settings: settings,
            channelLimit: 1,
            clocks: .system,
            retention: { _ in Retention() },
            deliver: deliver
        )
    }

    /// That there is a log, and that this user may use it.
    private static func requireLog(_ path: String) throws(LogError) {
        if unsafe access(path, R_OK | W_OK) == 0 { return }
        switch errno {
        case ENOENT: throw LogError.problem("there is no log at \(path)")
        case EACCES:
            throw LogError.problem(
                "permission denied: \(inTheWay(path)); run this as that user, or as root"
            )
        case let code:
            throw LogError.problem("cannot use \(path): \(SystemError.sentence(of: code))")
        }
    }

    /// What keeps this user from ever using the log in this directory: a sentence that names it and its owner. Nil where
    /// nothing like that is to be seen.
    package static func obstacle(_ settings: BusSettings) -> String? {
        let directory = settings.directory
        if let file = FileOwner.fileInPlaceOfDirectory(directory) {
            return
                "\(file) is not a directory; move it away, or set [bus] directory to another path"
        }
        guard unsafe access(directory, F_OK) == 0 else {
            switch errno {
            case ENOENT:
                let parent = directory[..<(directory.lastIndex(of: "/") ?? directory.startIndex)]
                if unsafe access("\(parent)/", W_OK | X_OK) == 0 { return nil }
                return "\(directory) is not there and cannot be made; make it, for this user"
            case EACCES: return inTheWay(directory)
            default: return nil
            }
        }
        guard unsafe access(directory, R_OK | W_OK | X_OK) == 0 else {
            return errno == EROFS
                ? inTheWay(directory)
                : "\(inTheWay(directory)); \(remedy(directory, Accounts.ownName, geteuid(), directory))"
        }
        for path in files(directory)
        where unsafe access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0 {
            return errno == EROFS
                ? inTheWay(path)
                : "\(inTheWay(path)); \(remedy(path, Accounts.ownName, geteuid(), directory))"
        }
        return nil
    }

    /// A sentence on the first file in a log's directory that the directory's owner cannot use, such as one that root
    /// left there in a trial; nil if there is none.
    package static func leftover(_ directory: String) -> String? {
        var whole = stat()
        guard unsafe stat(directory, &whole) == 0, whole.st_uid != 0 else { return nil }
        for path in files(directory) {
            var file = stat()
            guard unsafe stat(path, &file) == 0 else { continue }
            let needed: mode_t =
                if file.st_uid == whole.st_uid {
                    0o600
                } else if file.st_gid == whole.st_gid {
                    0o060
                } else {
                    0o006
                }
            guard file.st_mode & needed != needed, let owner = FileOwner.owner(path) else {
                continue
            }
            let user = Accounts.name(ofUser: whole.st_uid)
            return
                "\(path) \(owner), and the directory to \(user); \(remedy(path, user, whole.st_uid, directory))"
        }
        return nil
    }

    private static func files(_ directory: String) -> [String] {
        [
            "log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "wake", "serve", "reserve", "apply",
            "engine",
        ].map {
            directory + "/" + $0
        }
    }

    /// What makes a file or the directory itself usable for that user.
    private static func remedy(
        _ path: String,
        _ user: String,
        _ number: uid_t,
        _ directory: String
    ) -> String {
        var file = stat()
        return unsafe stat(path, &file) == 0 && file.st_uid == number
            ? "let its owner use it: chmod -R u+rwX \(directory)"
            : "give it to that user: chown -R \(user): \(directory)"
    }

    /// The reason for a failed call on it.
    private static func inTheWay(_ path: String) -> String {
        if errno == EROFS { return "\(path) is on a disk that is mounted read-only" }
        return
            "\(path) \(FileOwner.sentence(path) ?? "is in a directory that this process may not search")"
    }
}
