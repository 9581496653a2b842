internal import Foundation

/// A proxy in front of a PostgreSQL server of one test's own, with a Unix socket in the test's directory.
package final class PgBouncer {
    private static let program = "/usr/sbin/pgbouncer"

    package static var isUsable: Bool { Tool.isCI || Tool.isExecutable(program) }

    private let path: String
    private var process: ChildProcess?

    /// - Parameter mode: `session` or `transaction`.
    package init(directory: TestDirectory, server: PostgreSQL, mode: String) throws {
        path = try directory.makeDirectory("pgbouncer-\(mode)", mode: 0o755)
        let file = "\(path)/pgbouncer.ini"
        try """
        [databases]
        postgres = host=\(server.path) port=5432 dbname=postgres user=postgres
        [pgbouncer]
        listen_addr =
        listen_port = 5432
        unix_socket_dir = \(path)
        auth_type = any
        pool_mode = \(mode)
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let (program, arguments) = PostgreSQL.asItsUser(Self.program, [file])
        if Place.isRoot {
            guard let account = getpwnam("postgres"),
                chown(path, account.pointee.pw_uid, account.pointee.pw_gid) == 0
            else { throw HarnessError.system("giving \(path) to the user postgres") }
        }
        let process = try ChildProcess(
            program,
            arguments,
            name: "pgbouncer-\(mode)",
            directory: directory
        )
        self.process = process
        try waitUntil("PgBouncer accepts connections") {
            guard process.running else {
                throw HarnessError("PgBouncer ended: \(process.errorText)")
            }
            return
                (try? ChildProcess.run(
                    "\(PostgreSQL.programs)/pg_isready",
                    ["-q", "-h", path],
                    directory: directory
                ).exit) == .exited(0)
        }
    }

    deinit {
        process?.signal(SIGTERM)
        _ = try? process?.wait(seconds: 20)
    }

    /// libpq's words for it.
    package var options: String { "host=\(path) dbname=postgres user=postgres" }
}
