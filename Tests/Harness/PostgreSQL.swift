internal import Foundation

/// A PostgreSQL server of one test's own, with its data in the test's directory and a Unix socket there; no TCP.
package final class PostgreSQL {
    package static let programs = "/usr/lib/postgresql/15/bin"

    package static var isUsable: Bool {
        Tool.isCI || Tool.isExecutable("\(programs)/postgres")
    }

    package let name: String
    /// Data and socket are in it; the server's user owns it.
    package let path: String
    private let directory: TestDirectory
    private var settings: [String]
    private var process: ChildProcess?

    /// Makes a cluster and starts it.
    ///
    /// - Parameter settings: as in postgresql.conf, `name=value`.
    package convenience init(
        directory: TestDirectory,
        name: String = "pg",
        settings: [String] = []
    ) throws {
        try self.init(empty: directory, name, settings)
        let template = try Self.template.get()
        let copy = try ChildProcess.run(
            "/bin/cp",
            ["--archive", "\(template)/data", "\(path)/data"],
            directory: directory
        )
        guard copy.exit == .exited(0) else { throw HarnessError(copy.error) }
        try start()
    }

    /// A cluster that never serves, of which each test has a copy: making one takes as long as ten copies. All have the
    /// same system identifier.
    private static let template: Result<String, any Error> = Result { try makeTemplate() }

    private static func makeTemplate() throws -> String {
        let directory = try TestDirectory()
        let cluster = try PostgreSQL(empty: directory, "template", [])
        try cluster.run(
            "initdb",
            [
                "--pgdata=\(cluster.path)/data", "--auth=trust", "--username=postgres",
                "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync",
                "--no-instructions",
            ]
        )
        try cluster.shrink()
        let access = "local all all trust\nlocal replication all trust\n"
        try write(access, over: "\(cluster.path)/data/pg_hba.conf")
        // Until the tests end.
        _ = Unmanaged.passRetained(directory)
        atexit { PostgreSQL.removeTemplate() }
        return cluster.path
    }

    /// Takes out what no test needs, so that a copy is 8 MB in 370 files instead of 28 in 970: the databases that others
    /// are made from, and segments of the log for later.
    private func shrink() throws {
        let commands = try directory.write(
            """
            UPDATE pg_database SET datistemplate = false
            DROP DATABASE template0
            DROP DATABASE template1

            """,
            to: "shrink.sql"
        )
        let server = "\(Self.programs)/postgres --single -F -c exit_on_error=on"
        let (program, arguments) = Self.asItsUser(
            "/bin/sh",
            ["-c", "exec \(server) -D '\(path)/data' postgres <'\(commands)'"]
        )
        let outcome = try ChildProcess.run(program, arguments, directory: directory)
        guard outcome.exit == .exited(0) else { throw HarnessError(outcome.error) }
        try run("pg_resetwal", ["\(path)/data"])
    }

    private static func removeTemplate() {
        guard let path = try? template.get() else { return }
        try? FileManager.default.removeItem(
            at: URL(fileURLWithPath: path).deletingLastPathComponent()
        )
    }

    private init(empty directory: TestDirectory, _ name: String, _ settings: [String]) throws {
        self.directory = directory
        self.name = name
        self.settings = settings
        path = try directory.makeDirectory(name, mode: 0o700)
        if Place.isRoot {
            guard let account = getpwnam("postgres"),
                chown(path, account.pointee.pw_uid, account.pointee.pw_gid) == 0,
                // The programs of a test that connect run as others.
                chmod(path, 0o755) == 0
            else { throw HarnessError.system("giving \(path) to the user postgres") }
        }
    }

    deinit { stop() }

    /// libpq's words for it.
    package var options: String { "host=\(path) dbname=postgres user=postgres" }

    package func start() throws {
        let (program, arguments) = Self.asItsUser(
            "\(Self.programs)/postgres",
            [
                "-D", "\(path)/data", "-c", "listen_addresses=", "-c",
                "unix_socket_directories=\(path)",
            ]
                + settings.flatMap { ["-c", $0] }
        )
        process = try ChildProcess(program, arguments, name: name, directory: directory)
        try waitUntil("PostgreSQL \(name) accepts connections") {
            guard process?.running == true else {
                throw HarnessError("PostgreSQL ended: \(process?.errorText ?? "")")
            }
            return
                (try? ChildProcess.run(
                    "\(Self.programs)/pg_isready",
                    ["-q", "-h", path],
                    directory: directory
                ).exit) == .exited(0)
        }
    }

    /// In order, but without waiting for clients.
    package func stop() {
        process?.signal(SIGINT)
        _ = try? process?.wait(seconds: 20)
        process = nil
    }

    /// All of its processes at once, as when the machine loses power.
    package func killAll() throws {
        guard let process else { return }
        let children = Files.text("/proc/\(process.pid)/task/\(process.pid)/children")
        process.signal(SIGKILL)
        for child in children.split(whereSeparator: \.isWhitespace).compactMap({ Int32($0) })
        where child > 1 { kill(child, SIGKILL) }
        try process.wait()
        self.process = nil
    }

    /// Runs SQL with psql as a superuser; returns its output, unaligned and without headers.
    @discardableResult
    package func sql(_ text: String, user: String = "postgres") throws -> String {
        let outcome = try ChildProcess.run(
            "\(Self.programs)/psql",
            [
                "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", path, "-U", user,
                "-d", "postgres", "-c", text,
            ],
            directory: directory
        )
        guard outcome.exit == .exited(0) else { throw HarnessError(outcome.error) }
        return String(decoding: outcome.output, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// From now on commits wait for a standby that never comes; returns when they do.
    package func withholdCommits() throws {
        try sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try sql("SELECT pg_reload_conf()")
        // The setting is in force when the server's checkpointer has read it, which nothing tells.
        let waiting =
            "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'withheld'"
        for attempt in 0..<1000 {
            let writer = try ChildProcess(
                "\(Self.programs)/psql",
                [
                    "-X", "-q", "-d",
                    "host=\(path) user=postgres dbname=postgres application_name=withheld",
                    "-c", "CREATE TABLE withheld_\(attempt) ()",
                ],
                name: "withheld-\(attempt)",
                directory: directory
            )
            var isWaiting = false
            try waitUntil("a commit ends or waits") {
                isWaiting = try sql("SELECT count(*) \(waiting)") == "1"
                return isWaiting || !writer.running
            }
            guard isWaiting else { continue }
            try sql("SELECT pg_cancel_backend(pid) \(waiting)")
            try writer.wait()
            return
        }
        throw HarnessError("commits do not wait")
    }

    package func releaseCommits() throws {
        try sql("ALTER SYSTEM RESET synchronous_standby_names")
        try sql("SELECT pg_reload_conf()")
    }

    // MARK: Standbys

    /// A started standby that streams from this server.
    package func standby(_ name: String, settings: [String] = []) throws -> PostgreSQL {
        let other = try PostgreSQL(empty: directory, name, settings)
        try other.run(
            "pg_basebackup",
            [
                "--pgdata=\(other.path)/data", "--write-recovery-conf", "--checkpoint=fast",
                "--no-sync",
                "--dbname=host=\(path) user=postgres application_name=\(name)",
            ]
        )
        try other.start()
        return other
    }

    /// Returns when it takes writes. Waits from outside: the snapshot of a statement that waits may be in the way of what
    /// is still to be replayed.
    package func promote() throws {
        try sql("SELECT pg_promote(false)")
        try waitUntil("PostgreSQL \(name) is promoted") {
            try sql("SELECT pg_is_in_recovery()") == "f"
        }
    }

    /// Lets a standby follow another server from now on.
    package func follow(_ primary: PostgreSQL) throws {
        let options = "host=\(primary.path) user=postgres application_name=\(name)"
        try sql("ALTER SYSTEM SET primary_conninfo = '\(options)'")
        try sql("SELECT pg_reload_conf()")
    }

    // MARK: Programs

    private func run(_ program: String, _ arguments: [String]) throws {
        let (executable, all) = Self.asItsUser("\(Self.programs)/\(program)", arguments)
        let outcome = try ChildProcess.run(executable, all, directory: directory)
        guard outcome.exit == .exited(0) else { throw HarnessError("\(program): \(outcome.error)") }
    }

    /// PostgreSQL refuses to run as root.
    static func asItsUser(_ path: String, _ arguments: [String]) -> (String, [String]) {
        guard Place.isRoot else { return (path, arguments) }
        return (
            "/usr/bin/setpriv",
            ["--reuid=postgres", "--regid=postgres", "--clear-groups", path] + arguments
        )
    }

    /// Keeps the file's owner.
    private static func write(_ text: String, over path: String) throws {
        guard let file = fopen(path, "w") else { throw HarnessError.system("writing \(path)") }
        fputs(text, file)
        fclose(file)
    }
}
