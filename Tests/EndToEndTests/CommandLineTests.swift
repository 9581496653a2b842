import Glibc
import Harness
import Testing

/// `holdfast status`, `channels`, `top` and `log`, and what all commands have in common.
@Suite struct CommandLineTests {
    @Test func `names that would be other commands are refused`() throws {
        try HoldfastServer.withBus { server in
            for name in ["a b", "a\nstatus", "", "-/a"] {
                #expect(try server.command("sub", "--", name).exit == .exited(64))
                #expect(try server.command("pub", "--", name, "x").exit == .exited(64))
            }
            let since = try server.command("sub", "a", "--since", "now\nstatus")
            #expect(since.exit == .exited(64))
            let wrong = try server.command("sub", "a", "--since", "yesterday")
            #expect(wrong.exit == .exited(1))
            #expect(wrong.error.contains("invalid_since"))
        }
    }

    /// The help was shown, as for `-h`, with a success, and nothing was published.
    @Test func `a text that begins with a minus sign is refused unless it stands after two`() throws
    {
        try HoldfastServer.withBus { server in
            let help = try server.command("pub", "a", "-hello")
            #expect(help.exit == .exited(64))
            #expect(
                help.error.contains(
                    "unknown option '-hello'; put '--' before a text that begins with '-'"
                )
            )
            #expect(try server.command("pub", "a", "-h=1").exit == .exited(64))
            let number = try server.command("pub", "--ttl", "-10", "a", "x")
            #expect(number.error.contains("Missing value for '--ttl"))
            #expect(try server.command("pub", "a", "--", "-hello").exit == .exited(0))
            #expect(try server.command("pub", "-h").exit == .exited(0))
            #expect(try server.texts("a") == ["-hello"])
        }
    }

    // MARK: Without a service

    @Test func `where no process serves the bus, the owner of the log needs none`() throws {
        try HoldfastServer.withBus { server in
            try server.publish("a", "1")
            try server.stop()
            #expect(try server.command("pub", "a", "2").exit == .exited(0))
            let sub = try server.command(
                "sub",
                "a",
                "--since",
                "first",
                "--count",
                "2",
                "--format",
                "raw"
            )
            #expect(sub.output == "1\n2\n")
            #expect(try server.command("channels").output.contains("a "))
            try server.start()
            #expect(try server.texts("a") == ["1", "2"])
        }
    }

    @Test func `status and top without a service showed a ready one`() throws {
        try HoldfastServer.withBus { server in
            try server.publish("a", "1")
            try server.stop()
            let status = try server.command("status")
            #expect(status.exit == .exited(69))
            #expect(status.error.contains("no holdfast serves the bus"))
            #expect(status.output.contains("1 messages kept"))
            #expect(!status.output.contains("ready") && !status.output.contains("held"))
            let json = try server.command("status", "--json")
            #expect(json.exit == .exited(69))
            #expect(try JSON(Array(json.output.utf8))["processes"].array.isEmpty)
            let top = try server.command("top", "--count", "1")
            #expect(top.exit == .exited(69))
            #expect(top.error.contains("no holdfast serves"))
            #expect(top.output == "")
            try server.start()
            #expect(try server.command("status").exit == .exited(0))
        }
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to become somebody else"))
    func `no other user gets at the log where no process serves it`() throws {
        try HoldfastServer.withBus { server in
            try server.stop()
            let run = try ChildProcess.run(
                "/usr/bin/setpriv",
                [
                    "--reuid=65534", "--regid=65534", "--clear-groups", try Place.holdfast, "pub",
                    "--config", server.iniFile, "a", "x",
                ],
                directory: server.directory
            )
            #expect(run.exit == .exited(69), "\(run.error)")
            try server.start()
            #expect(try server.texts("a") == [])
        }
    }

    // MARK: With a service

    @Test func `status, channels and top show what goes on`() throws {
        try HoldfastServer.withBus { server in
            let held = try server.hold("/push/a,b?wait=25")
            try server.publish("c", "xyz")
            let status = try server.command("status")
            #expect(status.output.contains(/held +1\n/))
            #expect(status.output.contains("serves the bus"))
            #expect(
                try JSON(Array(try server.command("status", "--json").output.utf8))["held"] == 1
            )
            let channels = try server.command("channels")
            #expect(channels.output.contains(/c +1 +3 +0 +20/))
            let listed = try server.command("channels", "--json").output
            #expect(try JSON(Array(listed.utf8))["channel"] == "c")
            let top = try server.command("top", "--count", "2")
            let lines = top.output.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.allSatisfy { $0.hasPrefix("held 1  published ") })
            #expect(!top.output.contains("\u{1b}"))
            try server.publish("a", "end")
            #expect(try held.answer().status == 200)
        }
    }

    @Test func `a backup is a log that can be restored, which subscribers are told`() throws {
        try HoldfastServer.withBus { server in
            let old = try server.publish("a", "1")
            let copy = server.directory.file("copy.sqlite")
            #expect(try server.command("log", "backup", copy).exit == .exited(0))
            #expect(try server.command("log", "backup", copy).exit == .exited(1))
            try server.publish("a", "2")
            let cursor = try server.cursor("a")
            try server.stop()
            let bus = server.directory.file("bus")
            for name in ["log.sqlite-wal", "log.sqlite-shm"] {
                if Files.exists("\(bus)/\(name)") { try Files.remove("\(bus)/\(name)") }
            }
            #expect(rename(copy, "\(bus)/log.sqlite") == 0)
            #expect(try server.command("log", "new-epoch").exit == .exited(0))
            try server.start()
            #expect(try server.texts("a") == ["1"])
            #expect(try server.get("/push/a?since=\(cursor)").json["gap"]["reason"] == "restarted")
            #expect(try server.get("/push/a?since=\(old)").json["gap"]["reason"] == "restarted")
        }
    }

    @Test func `a new epoch reaches the processes that run`() throws {
        try HoldfastServer.withBus { server in
            let id = try server.publish("a", "1")
            let held = try server.hold("/push/a?wait=25&since=\(id)")
            let run = try server.command("log", "new-epoch")
            #expect(run.exit == .exited(0))
            let next = try server.publish("a", "2")
            #expect(next.prefix(8) != id.prefix(8))
            #expect(run.output.contains(next.prefix(8)))
            let told = try held.answer().json
            #expect(told["gap"]["reason"] == "restarted")
            let cursor = try #require(told["cursor"].string)
            let answer = try server.get("/push/a?since=\(cursor)").json
            #expect(answer["messages"][0]["id"].string == next && answer["gap"] == .null)
        }
    }

    @Test func `every command explains itself, and the shell can complete it`() throws {
        try HoldfastServer.withBus { server in
            for command in ["serve", "check", "pub", "sub", "status", "channels", "top", "log"] {
                let help = try server.command(command, "--help")
                #expect(help.exit == .exited(0))
                #expect(help.output.contains("USAGE: holdfast \(command)"))
            }
            for shell in ["bash", "zsh", "fish"] {
                let script = try server.command("--generate-completion-script", shell)
                #expect(script.exit == .exited(0))
                #expect(script.output.contains("cursor-file"))
            }
        }
    }

    @Test(arguments: [["status"], ["channels"], ["top", "--count", "1"]])
    func `a question gave up where pub and sub go on`(command: [String]) throws {
        let settings = HoldfastServer.open + "[limits]\nbus_clients = 1\n"
        try HoldfastServer.with(settings) { server in
            let occupant = try server.busClient()
            _ = try occupant.ask("ping")
            let child = try server.start(command)
            try waitUntil("it is turned away") { try server.metrics().bound("bus_clients") > 0 }
            occupant.socket.close()
            #expect(try child.wait() == .exited(0))
        }
    }

    @Test func `top showed rates that never were when a process came or went`() throws {
        try HoldfastGroup.with(2) { group in
            let serving = try group.serving()
            let other = try #require(group.servers.first { $0 !== serving })
            for _ in 0..<500 { try other.publish("a", "x") }
            let top = try serving.start(["top"], output: .pipe)
            /// The next line with rates, or without.
            func line(hasRates: Bool) throws -> String {
                for _ in 0..<20 {
                    let line = try #require(try top.readLine())
                    if line.contains("delivered -/s") != hasRates { return line }
                }
                throw HarnessError("twenty lines \(hasRates ? "without" : "with") rates")
            }
            // Nothing is known at the first look, nor when the other has gone or come.
            _ = try line(hasRates: false)
            _ = try line(hasRates: true)
            try other.kill()
            let gone = try line(hasRates: false)
            #expect(!gone.contains(/[0-9]\/s/))
            _ = try line(hasRates: true)
            try other.start()
            _ = try line(hasRates: false)
            top.signal(SIGTERM)
            _ = try top.wait()
        }
    }

    @Test(arguments: [
        ["pub", "a", "x", "--timeout", "9223372036854775807"],
        ["pub", "a", "x", "--timeout", "86401"], ["top", "--count", "0"],
        ["top", "--interval", "9223372036854775807"], ["sub", "a", "--since", ""],
    ])
    func `numbers that make no sense were taken`(arguments: [String]) throws {
        try HoldfastServer.withBus { server in
            let child = try server.start(arguments)
            #expect(try child.wait() == .exited(64))
        }
    }

    @Test func `sign printed the usage of another command`() throws {
        try HoldfastServer.with("[key web]\nsecret = 0123456789abcdef0123456789abcdef\n") {
            server in
            let many = (0..<200).map { "c\($0)" }
            for (arguments, sentence) in [
                ([], "Missing expected argument"), (["/a"], "a channel name must not begin"),
                (["a", "--expires", "x"], "--expires must be a duration"),
                (["a", "--user", "\u{7}"], "--user must be at most"),
                (["a", "--key", "other"], "has no section [key other]"),
                (many, "a request may name at most"),
            ] {
                let run = try server.start(["sign"] + arguments)
                #expect(try run.wait() == .exited(64), "\(arguments)")
                #expect(run.errorText.hasPrefix("Error: ") && run.errorText.contains(sentence))
                #expect(run.errorText.contains("Usage: holdfast sign "), "\(run.errorText)")
            }
        }
    }

    @Test func `status counts the channels`() throws {
        try HoldfastServer.withBus { server in
            for name in ["a", "b", "c"] { try server.publish(name, "x") }
            // Up to a second later than those published.
            #expect(try server.command("status").output.contains("3 remembered, 3 messages kept"))
        }
    }
}
