package import Channels
import Engine
import Glibc
import System
import Text

/// What `holdfast engine` does with a machine's own log.
package enum EngineFiles {
    /// The log's site (nil: none), its newest offset, and how many messages it has. Nil if there is no log.
    package static func place(_ settings: BusSettings) throws(LogError) -> (
        site: String?, head: Int64, messages: Int64
    )? {
        guard let database = try openLog(settings, .readOnly) else { return nil }
        let head = try database.fetchInteger("SELECT head FROM state WHERE id = 1") ?? 0
        let messages = try database.fetchInteger("SELECT messages FROM state WHERE id = 1") ?? 0
        guard try EngineTable.isUsed(in: database) else { return (nil, head, messages) }
        return (try database.fetchText("SELECT site FROM engine WHERE id = 1"), head, messages)
    }

    /// The log's file for a command, which can wait for other programs; nil if there is none.
    static func openLog(
        _ settings: BusSettings,
        _ access: Database.Access
    ) throws(LogError) -> Database? {
        let path = settings.directory + "/log.sqlite"
        guard unsafe Glibc.access(path, F_OK) == 0 else { return nil }
        let database = try Database(path: path, access)
        database.waitForLocks(milliseconds: 5000)
        return database
    }

    /// Whether the log's content is to be dropped at the next start, as after `join --discard`.
    package static func hasGivenUp(_ settings: BusSettings) throws(LogError) -> Bool {
        guard let database = try openLog(settings, .readOnly) else { return false }
        guard try EngineTable.isUsed(in: database) else { return false }
        return try database.fetchInteger("SELECT seq FROM engine WHERE id = 1") ?? 0 < 0
    }

    /// Throws if a process of this machine runs: none may apply while the machine joins or leaves.
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

    /// Makes this machine a member of the site; its log goes on as one if it has a place in the site's, and begins anew
    /// otherwise. If it is killed between any two of these steps, it is repeated; no process serves the log meanwhile,
    /// unless the machine was a member before:
    /// 1. The file `engine` says that the machine is about to join, under this id.
    /// 2. The site lists it.
    /// 3. The log's content is given up, if it is not of the site.
    /// 4. The file `engine` says that the machine is a member.
    package static func join(
        _ settings: BusSettings,
        _ engine: EngineSettings,
        site: String,
        machine: String,
        machineName: String
    ) throws(JoinError) {
        let before = EngineMembership.read(settings)
        let member = EngineMembership(site: site, machine: machine)
        if before != member {
            try JoinError.ofLog { () throws(LogError) in
                try EngineMembership(site: site, machine: machine, state: .joining).write(settings)
            }
        }
        try JoinError.ofSite(settings, before: before) { () throws(EngineError) in
            let joined = try EngineAdministration.join(
                engine.postgresql,
                schema: engine.schema,
                machine: machine,
                machineName: machineName
            )
            guard joined == site else {
                throw .otherSite("the schema \(engine.schema) holds another site by now; try again")
            }
        }
        try JoinError.ofLog { () throws(LogError) in
            if let local = try place(settings), local.site != site {
                try giveUp(settings, for: site)
            }
            if before != member { try member.write(settings) }
        }
    }

    /// The log's content is to be dropped when it is known where the log begins as that of a member.
    package static func giveUp(_ settings: BusSettings, for site: String) throws(LogError) {
        try change(settings) { database throws(LogError) in
            // Its tables may be missing.
            try EngineTable(database).giveUp(for: site)
            try LogSchema.mark(ofSite: true, database)
        }
    }

    /// The log belongs to no site any more: it is a bus of its own, or begins anew as part of another site. It gets an
    /// epoch of its own in the same step, since what follows is not what the site has at these offsets.
    package static func detach(_ settings: BusSettings) throws(LogError) {
        try change(settings) { database throws(LogError) in
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

    /// Changes the log's file, if there is one, in one transaction. It is on the disk afterwards whatever [bus]
    /// durability says: the membership, which is written next, must not get there before it.
    static func change(
        _ settings: BusSettings,
        _ body: (Database) throws(LogError) -> Void
    ) throws(LogError) {
        guard unsafe access(settings.directory + "/log.sqlite", F_OK) == 0 else { return }
        let directory = try BusDirectory(settings: settings)
        try directory.enter()
        defer { directory.leave() }
        guard let database = try openLog(settings, .readWrite) else { return }
        try database.leaveWriteAheadLogOnClosing()
        try database.execute("PRAGMA synchronous = FULL")
        try database.inTransaction { () throws(LogError) in try body(database) }
    }

    /// The first step of leaving. If it is killed before the last one, it is repeated, and meanwhile no process serves
    /// the log as that of a member: without a place in the site's log it would begin anew.
    package static func beginLeaving(_ settings: BusSettings) throws(LogError) {
        guard var membership = EngineMembership.read(settings) else { return }
        membership.state = .leaving
        try membership.write(settings)
    }

    /// The machine is a bus of its own, in an epoch of its own: what follows is not what the site has.
    package static func leave(_ settings: BusSettings) throws(LogError) {
        // A log without a place in the site's has had nothing of it, or has its epoch from before.
        let isPart = try place(settings)?.site != nil
        try detach(settings)
        if isPart {
            var alone = settings
            alone.engine = nil
            // The log has its epoch already; this one also resets the file `wake`.
            _ = try LogFiles.beginEpoch(alone)
        }
        // Last, so that an interrupted command can be repeated.
        try EngineMembership.remove(settings)
    }

    package static func hostName() -> String {
        SmallFile.firstLine(of: "/proc/sys/kernel/hostname")
    }
}
