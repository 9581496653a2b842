package import Channels
import Engine
import Glibc
import System
import Text

/// What `holdfast engine` does with a machine's own log.
package enum EngineFiles {
    /// Of which site the log is (nil: of none), its newest offset, and how many messages it has. Nil where there is no log.
    package static func place(_ settings: BusSettings) throws(LogError) -> (
        site: String?, head: Int64, messages: Int64
    )? {
        let path = settings.directory + "/log.sqlite"
        guard unsafe access(path, F_OK) == 0 else { return nil }
        let database = try Database(path: path, .readOnly)
        database.waitForLocks(milliseconds: 5000)
        let head = try database.fetchInteger("SELECT head FROM state WHERE id = 1") ?? 0
        let messages = try database.fetchInteger("SELECT messages FROM state WHERE id = 1") ?? 0
        guard try EngineTable.isUsed(in: database) else { return (nil, head, messages) }
        return (try database.fetchText("SELECT site FROM engine WHERE id = 1"), head, messages)
    }

    /// No process of this machine may apply while it joins or leaves.
    package static func requireStopped(_ settings: BusSettings) throws(LogError) {
        for name in ["serve", "apply"] {
            let file = unsafe open(
                "\(settings.directory)/\(name)",
                O_RDONLY | O_CLOEXEC | O_NOFOLLOW
            )
            guard file >= 0 else { continue }
            defer { close(file) }
            if flock(file, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK {
                throw LogError.problem(
                    "Holdfast runs on this machine; stop all of its processes first"
                )
            }
        }
    }

    /// The log is of no site any more: it is a bus by itself, or begins anew as part of another site. It has an epoch of its
    /// own from the same moment on, since what follows is not what the site has at these offsets.
    package static func detach(_ settings: BusSettings) throws(LogError) {
        let path = settings.directory + "/log.sqlite"
        guard unsafe access(path, F_OK) == 0 else { return }
        let directory = try BusDirectory(settings: settings)
        try directory.enter()
        defer { directory.leave() }
        let database = try Database(path: path, .readWrite)
        database.waitForLocks(milliseconds: 5000)
        try database.leaveWriteAheadLogOnClosing()
        try database.inTransaction { () throws(LogError) in
            guard try EngineTable.isUsed(in: database) else { return }
            try database.execute(
                """
                DROP TABLE engine; DROP TABLE IF EXISTS engine_lack; DROP TABLE IF EXISTS engine_positions;
                UPDATE state SET epoch = epoch + 1;
                INSERT INTO epochs (number, name, start) SELECT epoch, '\(String.randomName())', head + 1 FROM state;
                """
            )
            try LogSchema.mark(ofSite: false, database)
        }
    }

    /// The machine is a bus by itself, under an epoch of its own: what follows is not what the site has.
    package static func leave(_ settings: BusSettings) throws(LogError) {
        // Nothing of the site has reached a log whose history the site was about to adopt.
        let site = try place(settings)?.site
        let isUntouched = site == nil && EngineMembership.read(settings)?.isAdopting == true
        try detach(settings)
        var alone = settings
        alone.engine = nil
        if !isUntouched, unsafe access(settings.directory + "/log.sqlite", F_OK) == 0 {
            // The one from before is the log's, and this one also that of the file `wake`.
            _ = try LogFiles.beginEpoch(alone)
        }
        // Last, so that it can be repeated if it was cut off.
        try EngineMembership.remove(settings)
    }

    package static func hostName() -> String {
        String(readText("/proc/sys/kernel/hostname").prefix { $0 != "\n" })
    }
}
