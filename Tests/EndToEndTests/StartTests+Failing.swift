import Glibc
import Harness
import Testing

/// Starts that cannot succeed, and their exit status.
extension StartTests {
    /// The shell becomes another user.
    private static let asNobody =
        #"exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@""#

    private func server(_ directory: TestDirectory, as user: Int32) throws -> HoldfastServer {
        let server = try HoldfastServer(
            prelude: user == 0 ? nil : Self.asNobody,
            directory: directory
        )
        // Only root may give the socket to a group.
        let text = Files.text(server.iniFile).replacing("group = www-data\n", with: "")
        try directory.write(text, to: "holdfast.ini")
        return server
    }

    private func directoryOfNobody() throws -> TestDirectory {
        let directory = try TestDirectory()
        for path in [directory.path, try directory.makeDirectory("bus", mode: 0o770)] {
            #expect(chown(path, 65_534, 65_534) == 0)
        }
        return directory
    }

    @Test(.enabled(if: Place.isRoot, "only root can be another user"))
    func `a trial as root kept the service from ever starting`() throws {
        let directory = try directoryOfNobody()
        let trial = try server(directory, as: 0)
        try trial.start()
        try trial.kill()
        // What else root has made belongs to the group, with the directory's set-group-ID bit.
        for name in Files.names(in: directory.file("bus")) {
            #expect(chown(directory.file("bus/\(name)"), 0, 65_534) == 0)
        }
        let service = try server(directory, as: 65_534)
        try service.start()
        try service.finish()
    }

    @Test func `a kill between the making of a file and its mode kept out the group`() throws {
        try HoldfastServer.with { server in
            let status = Files.text("/proc/\(server.process?.pid ?? 0)/status")
            #expect(status.contains("\nUmask:\t0007\n"))
        }
    }

    @Test(
        .enabled(if: Place.isRoot, "only root can be another user"),
        arguments: ["holdfast.sock.lock", "bus", "bus/log.sqlite"]
    )
    func `a file in the way was not named, and the start was tried for ever`(name: String) throws {
        let directory = try directoryOfNobody()
        let trial = try server(directory, as: 0)
        try trial.start()
        try trial.kill()
        let service = try server(directory, as: 65_534)
        #expect(chown(directory.file(name), 0, 0) == 0)
        #expect(chmod(directory.file(name), 0o600) == 0)
        try service.launch()
        #expect(try service.process?.wait() == .exited(78))
        #expect(
            service.log.contains("\(directory.file(name)) is in the way: it belongs to root:root")
                || service.log.contains(
                    "\(directory.file(name)) belongs to root:root with mode 0600"
                )
        )
        // One sentence, and what to do.
        #expect(service.errorLines.count == 1)
        guard name == "bus/log.sqlite" else { return }
        let user = String(try #require(service.log.firstMatch(of: /runs as ([^;]+);/)).1)
        let remedy = "; give it to that user: chown -R \(user): \(directory.file("bus"))"
        #expect(service.log.contains(remedy))
        let check = try service.command("check")
        #expect(check.exit == .exited(1))
        #expect(check.error.contains("the directory to \(user)\(remedy)"))
    }

    @Test(
        .enabled(if: Place.isRoot, "root may use all files"),
        arguments: ["bus", "bus/log.sqlite"]
    )
    func `a file of the service's own was to be given to its owner`(name: String) throws {
        let directory = try directoryOfNobody()
        let service = try server(directory, as: 65_534)
        try service.start()
        try service.finish()
        #expect(chmod(directory.file(name), 0) == 0)
        try service.launch()
        #expect(try service.process?.wait() == .exited(78))
        let bus = directory.file("bus")
        #expect(service.log.contains("; let its owner use it: chmod -R u+rwX \(bus)\n"))
    }

    /// The loop waited for a writer. A pipe that was read at the start is empty now, which closed every channel.
    @Test func `a pipe in the place of the ini file is not read again`() throws {
        try HoldfastServer.with { server in
            #expect(unlink(server.iniFile) == 0 && mkfifo(server.iniFile, 0o600) == 0)
            server.reload()
            try waitUntil("the refusal") {
                server.log.contains("\(server.iniFile): is not a file but a named pipe")
            }
            try server.publish("a", "1")
            #expect(try server.texts("a") == ["1"])
            server.expectsErrors = true
        }
    }

    @Test func `a file where a directory should be was called out of reach`() throws {
        let server = try HoldfastServer()
        let text = Files.text(server.iniFile)
        let file = try server.directory.write("", to: "file")
        for path in [file, "\(file)/log"] {
            let bus = "directory = \(server.directory.file("bus"))\n"
            try server.directory.write(
                text.replacing(bus, with: "directory = \(path)\n"),
                to: "holdfast.ini"
            )
            try server.launch()
            #expect(try server.process?.wait() == .exited(78))
            #expect(server.log.contains("not started: \(file) is not a directory; move it away"))
            let check = try server.command("check")
            #expect(check.error.contains("directory = \(path): \(file) is not a directory"))
        }
    }

    @Test(
        .enabled(
            if: Place.isRoot
                && Files.text("/proc/sys/net/ipv4/ip_unprivileged_port_start") == "1024\n",
            "only root can be another user, and ports must be root's"
        )
    )
    func `a port of root's was called a directory`() throws {
        let directory = try directoryOfNobody()
        let server = try server(directory, as: 65_534)
        let text = Files.text(server.iniFile)
            .replacing("listen = \(server.address)", with: "listen = 127.0.0.1:90")
        try directory.write(text, to: "holdfast.ini")
        try server.launch()
        #expect(try server.process?.wait() == .exited(78))
        #expect(server.log.contains("127.0.0.1:90: only root may use ports below 1024"))
    }

    @Test(.enabled(if: Place.isRoot, "only root can be another user"))
    func `a backup that may not read the log said that there is none`() throws {
        try HoldfastServer.with { server in
            try server.publish("a", "x")
            #expect(chmod(server.directory.file("bus"), 0o700) == 0)
            let run = try ChildProcess.run(
                "/bin/sh",
                [
                    "-c", Self.asNobody, try Place.holdfast, "log", "backup", "-c", server.iniFile,
                    "/nowhere/copy",
                ],
                directory: server.directory
            )
            #expect(run.exit == .exited(1))
            #expect(run.error.contains("permission denied"))
            #expect(!run.error.contains("there is no log"))
        }
    }

    @Test func `check passed users, groups and directories that do not exist`() throws {
        let directory = try TestDirectory()
        let file = try directory.write(
            """
            [fastcgi]
            listen = \(directory.path)/none/holdfast.sock
            group = no-such-group
            [bus]
            directory = \(directory.path)/none/bus
            socket = none
            [allow a]
            read = user:no-such-user group:0
            """,
            to: "holdfast.ini"
        )
        let here = try ChildProcess.run(
            try Place.holdfast,
            ["check", "-c", file],
            directory: directory
        )
        #expect(here.exit == .exited(1))
        for (line, word) in [
            (2, "no directory \(directory.path)/none"), (3, "no such group"),
            (5, "no directory \(directory.path)/none"), (8, "no such user"),
        ] {
            let said = here.error.split(separator: "\n").first { $0.hasPrefix("\(file):\(line): ") }
            #expect(said?.contains(word) == true)
        }
        #expect(here.error.split(separator: "\n").count == 4)
        let elsewhere = try ChildProcess.run(
            try Place.holdfast,
            ["check", "-c", file, "--elsewhere"],
            directory: directory
        )
        #expect(elsewhere.exit == .exited(0))
    }

    // MARK: Exit status

    @Test(arguments: [
        ("[engine]\npostgresql = host=/nowhere\n", "holdfast engine join makes it one"),
        ("[bus]\ngroup = no-such-group\n", "there is no such group on this machine"),
    ])
    func `systemd tried again and again what somebody must do first`(
        settings: String,
        sentence: String
    ) throws {
        let directory = try TestDirectory()
        var bus = "directory = \(directory.file("bus"))\nsocket = \(directory.file("bus.sock"))\n"
        bus = settings.hasPrefix("[bus]\n") ? settings + bus : "[bus]\n" + bus + settings
        let listen = "[fastcgi]\nlisten = \(directory.file("holdfast.sock"))\n"
        let ini = try directory.write(listen + bus, to: "holdfast.ini")
        let run = try ChildProcess.run(
            try Place.holdfast,
            ["serve", "--config", ini],
            directory: directory
        )
        #expect(run.exit == .exited(78), "\(run.error)")
        #expect(run.error.contains("critical not started: "))
        #expect(run.error.contains("\(sentence)\n"), "\(run.error)")
    }

    @Test(.enabled(if: Tool.usable(.python), "python3 is not installed"))
    func `systemd tried again and again to open the database of another program`() throws {
        let server = try HoldfastServer()
        let log = try server.directory.makeDirectory("bus") + "/log.sqlite"
        let script = "import sqlite3; sqlite3.connect('\(log)').execute('CREATE TABLE theirs (a)')"
        let made = try ChildProcess.run(
            try Tool.python.path,
            ["-c", script],
            directory: server.directory
        )
        #expect(made.exit == .exited(0))
        let run = try ChildProcess.run(
            try Place.holdfast,
            ["serve", "--config", server.iniFile],
            directory: server.directory
        )
        #expect(run.exit == .exited(78), "\(run.error)")
        #expect(run.error.contains("not started: log.sqlite is a database of another program"))
    }
}
