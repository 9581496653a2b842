import Glibc
import Harness
import Testing

/// `holdfast pub`, `sub`, `status`, `channels`, `top` and `log`, as people use them.
@Suite struct CommandLineTests {
    private func run(
        _ server: HoldfastServer,
        _ arguments: String...,
        input: String? = nil
    ) throws -> (exit: ChildProcess.Exit, output: String, error: String) {
        let child = try start(server, arguments, input: input == nil ? .standard : .pipe)
        if let input {
            try child.write(input)
            child.closeInput()
        }
        let exit = try child.wait()
        return (exit, child.outputText, child.errorText)
    }

    private func start(
        _ server: HoldfastServer,
        _ arguments: [String],
        input: ChildProcess.Stream = .standard,
        output: ChildProcess.Stream = .standard
    ) throws -> ChildProcess {
        let name = "cli-\(arguments[0])-\(UInt32.random(in: 0...UInt32.max))"
        return try ChildProcess(
            try Place.holdfast,
            arguments,
            name: name,
            directory: server.directory,
            environment: ["HOLDFAST_INI": server.iniFile, "PATH": "/usr/bin:/bin"],
            input: input,
            output: output
        )
    }

    private func texts(_ channel: String, _ server: HoldfastServer) throws -> [String] {
        try server.get("/push/\(channel)?since=first").json["messages"].array
            .map { $0["data"].string ?? "\($0["data"])" }
    }

    private func with(
        _ settings: String = HoldfastServer.open,
        _ body: (HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.with(settings) { server in
            _ = try server.busClient()
            try body(server)
        }
    }

    // MARK: pub

    @Test func `pub publishes a text, what comes on standard input, or JSON`() throws {
        try with { server in
            let said = try run(server, "pub", "a", "hello, world")
            #expect(said.exit == .exited(0))
            #expect(said.output + said.error == "")
            _ = try run(server, "pub", "a", input: "from\nstandard input\n")
            _ = try run(server, "pub", "a", "-", input: "the same")
            _ = try run(server, "pub", "a", "--json", #"{"n": 1}"#, "--type", "a b")
            let id = try run(server, "pub", "a", "x", "--id", "--topic", "t", "--ttl", "60")
            #expect(
                try texts("a", server)
                    == [
                        "hello, world", "from\nstandard input", "the same",
                        #"object(["n": Harness.JSON.number(1.0)])"#, "x",
                    ]
            )
            let messages = try server.get("/push/a?since=first").json["messages"]
            #expect(messages[3]["type"] == "a b")
            #expect(messages[4]["id"].string == id.output.dropLast().description)
        }
    }

    @Test func `pub takes a line each, however many and however slowly they come`() throws {
        try with(HoldfastServer.open + "[retain **]\ncount = 100000\n") { server in
            let lines = (1...5000).map { "line \($0)" }
            let all = try run(
                server,
                "pub",
                "a",
                "--lines",
                input: lines.joined(separator: "\n")
            )
            #expect(all.exit == .exited(0))
            var found: [String] = []
            var cursor = "first"
            while found.count < 5000 {
                let answer = try server.get("/push/a?since=\(cursor)").json
                found += answer["messages"].array.compactMap { $0["data"].string }
                cursor = answer["cursor"].string ?? ""
            }
            #expect(found == lines)
            // A slow writer's line does not wait for the next one.
            let held = try server.hold("/push/b?wait=25")
            let slow = try start(server, ["pub", "b", "--lines"], input: .pipe)
            try slow.write("one\ntw")
            #expect(try held.answer().json["messages"][0]["data"] == "one")
            try slow.write("o\n\nlast")
            slow.closeInput()
            #expect(try slow.wait() == .exited(0))
            #expect(try texts("b", server) == ["one", "two", "", "last"])
        }
    }

    @Test func `pub names the lines that are refused, and publishes the others`() throws {
        try with { server in
            let run = try run(server, "pub", "a", "--lines", "--json", input: "1\n{\n3\n\"\n5\n")
            #expect(run.exit == .exited(1))
            #expect(run.error.contains("line 2: "))
            #expect(run.error.contains("line 4: "))
            #expect(try texts("a", server).count == 3)
        }
    }

    @Test func `pub says what is wrong, with an exit code`() throws {
        try with("[allow open]\npublish = everyone\nread = everyone\n") { server in
            let wrong = try run(server, "pub", "a", "x", "--type", "hello")
            #expect(wrong.exit == .exited(1))
            #expect(wrong.error.contains("reserved_type"))
            #expect(try run(server, "pub").exit == .exited(64))
            #expect(try run(server, "pub", "a", "x", "--lines").exit == .exited(64))
            let socket = server.directory.file("nobody.sock")
            let absent = try run(server, "pub", "a", "x", "--socket", socket)
            #expect(absent.exit == .exited(69))
            #expect(absent.error.contains(socket))
            #expect(absent.error.contains("start it"))
            try server.directory.write("[nonsense]\n", to: "wrong.ini")
            let config = server.directory.file("wrong.ini")
            #expect(try run(server, "pub", "a", "x", "--config", config).exit == .exited(78))
        }
    }

    @Test func `pub waits for another process to take over, and publishes once`() throws {
        try HoldfastGroup.with(2) { group in
            _ = try group.busClient()
            let publisher = try start(group[0], ["pub", "a", "--lines"], input: .pipe)
            for number in 1...60 {
                try publisher.write("\(number)\n")
                if number % 20 == 0 {
                    let server = try group.serving()
                    try server.kill()
                    try publisher.write("\(number) again\n")
                    try server.start()
                }
            }
            publisher.closeInput()
            #expect(try publisher.wait() == .exited(0))
            let expected = (1...60).flatMap { number in
                number % 20 == 0 ? ["\(number)", "\(number) again"] : ["\(number)"]
            }
            #expect(try texts("a", group[1]) == expected)
        }
    }

    // MARK: sub

    @Test func `sub prints messages in three forms`() throws {
        try with { server in
            try server.publish("a", "text")
            _ = try server.post("/push/a", "\u{1}", type: "application/octet-stream")
            _ = try server.post("/push/a", #"{"n":1.0}"#, type: "application/json")
            func sub(_ format: String) throws -> [String] {
                let run = try run(
                    server,
                    "sub",
                    "a",
                    "--since",
                    "first",
                    "--count",
                    "3",
                    "--format",
                    format
                )
                #expect(run.exit == .exited(0))
                return run.output.split(separator: "\n").map(String.init)
            }
            #expect(try sub("raw") == ["text", "\u{1}", #"{"n":1.0}"#])
            let json = try sub("json")
            #expect(json.count == 3)
            #expect(json[0].hasPrefix(#"{"id":""#))
            #expect(json[2].hasSuffix(#""data":{"n":1.0}}"#))
            let lines = try sub("ndjson")
            #expect(lines.count == 4)
            #expect(lines[0].hasPrefix(#"{"kind":"hello""#))
        }
    }

    @Test func `sub comes back after a take-over, and misses nothing`() throws {
        try HoldfastGroup.with(2) { group in
            _ = try group.busClient()
            let arguments = ["sub", "a", "--since", "first", "--format", "raw"]
            let subscriber = try start(group[0], arguments, output: .pipe)
            for number in 1...30 {
                try group[number % 2].publish("a", "\(number)")
                #expect(try subscriber.readLine() == "\(number)")
                if number % 10 == 0 {
                    let server = try group.serving()
                    if number == 10 { try server.stop() } else { try server.kill() }
                    try server.start()
                }
            }
            subscriber.signal(SIGINT)
            #expect(try subscriber.wait() == .killed(SIGINT))
            #expect(subscriber.errorText == "")
        }
    }

    @Test func `sub ends when nobody reads its output any more, without a message`() throws {
        try with { server in
            let subscriber = try start(server, ["sub", "a", "--format", "ndjson"], output: .pipe)
            #expect(try subscriber.readLine()?.contains("hello") == true)
            subscriber.closeOutput()
            #expect(try subscriber.wait() == .killed(SIGPIPE))
            try server.waitForHeld(0)
        }
    }

    @Test func `sub tells of a gap on standard error`() throws {
        try with(HoldfastServer.open + "[retain a]\ncount = 1\n") { server in
            try server.publish("a", "0")
            let cursor = try server.cursor("a")
            for number in 1...3 { try server.publish("a", "\(number)") }
            let run = try run(
                server,
                "sub",
                "a",
                "--since",
                cursor,
                "--count",
                "1",
                "--format",
                "raw"
            )
            #expect(run.output == "3\n")
            #expect(run.error.contains("messages are missing (trimmed)"))
        }
    }

    @Test func `sub runs a command for each message, with its content and nothing of ours`() throws
    {
        try with { server in
            try server.publish("a/b", "first\nsecond")
            let large = String(repeating: "x", count: 60_000)
            try server.publish("a/b", large)
            let command =
                #"[ "$HOLDFAST_CHANNEL" = a/b ] && ls /proc/self/fd | tr '\n' ' ' && [ $(wc -c) -lt 10000 ]"#
            // Python hands on nothing but the first three descriptors, whatever this process has open.
            let run = try ChildProcess.run(
                try Tool.python.path,
                [
                    "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))",
                    try Place.holdfast, "sub", "a/b", "--config", server.iniFile, "--since",
                    "first", "--count", "2", "--exec", command,
                ],
                directory: server.directory
            )
            #expect(run.exit == .exited(1))
            // The fourth is the directory that ls reads.
            #expect(String(decoding: run.output, as: UTF8.self) == "0 1 2 3 0 1 2 3 ")
            #expect(run.error.contains("exited with 1"))
            // A command that does not read what it is given keeps nobody waiting.
            let blind = try self.run(
                server,
                "sub",
                "a/b",
                "--since",
                "first",
                "--count",
                "2",
                "--exec",
                "true"
            )
            #expect(blind.exit == .exited(0))
        }
    }

    @Test func `sub continues where its cursor file ends`() throws {
        try with { server in
            for number in 1...3 { try server.publish("a", "\(number)") }
            let file = server.directory.file("cursor")
            func sub(_ count: Int) throws -> String {
                try run(
                    server,
                    "sub",
                    "a",
                    "--since",
                    "first",
                    "--count",
                    "\(count)",
                    "--format",
                    "raw",
                    "--cursor-file",
                    file
                ).output
            }
            #expect(try sub(2) == "1\n2\n")
            #expect(try sub(1) == "3\n")
            try server.publish("a", "4")
            #expect(try sub(1) == "4\n")
        }
    }

    @Test func `names that would be other commands are refused`() throws {
        try with { server in
            for name in ["a b", "a\nstatus", "", "-/a"] {
                #expect(try run(server, "sub", "--", name).exit == .exited(64))
                #expect(try run(server, "pub", "--", name, "x").exit == .exited(64))
            }
            let since = try run(server, "sub", "a", "--since", "now\nstatus")
            #expect(since.exit == .exited(64))
            let wrong = try run(server, "sub", "a", "--since", "yesterday")
            #expect(wrong.exit == .exited(1))
            #expect(wrong.error.contains("invalid_since"))
        }
    }

    // MARK: Without a service

    @Test func `where no process serves the bus, the owner of the log needs none`() throws {
        try with { server in
            try server.publish("a", "1")
            try server.stop()
            #expect(try run(server, "pub", "a", "2").exit == .exited(0))
            let sub = try run(
                server,
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
            #expect(try run(server, "channels").output.contains("a "))
            try server.start()
            #expect(try texts("a", server) == ["1", "2"])
        }
    }

    @Test func `status and top without a service showed a ready one`() throws {
        try with { server in
            try server.publish("a", "1")
            try server.stop()
            let status = try run(server, "status")
            #expect(status.exit == .exited(69))
            #expect(status.error.contains("no holdfast serves the bus"))
            #expect(status.output.contains("1 messages kept"))
            #expect(!status.output.contains("ready") && !status.output.contains("held"))
            let json = try run(server, "status", "--json")
            #expect(json.exit == .exited(69))
            #expect(try JSON(Array(json.output.utf8))["processes"].array.isEmpty)
            let top = try run(server, "top", "--count", "1")
            #expect(top.exit == .exited(69))
            #expect(top.error.contains("no holdfast serves"))
            #expect(top.output == "")
            try server.start()
            #expect(try run(server, "status").exit == .exited(0))
        }
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to become somebody else"))
    func `nobody else gets at the log where no process serves it`() throws {
        try with { server in
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
            #expect(try texts("a", server) == [])
        }
    }

    // MARK: The rest

    @Test func `status, channels and top show what goes on`() throws {
        try with { server in
            let held = try server.hold("/push/a,b?wait=25")
            try server.publish("c", "xyz")
            let status = try run(server, "status")
            #expect(status.output.contains(/held +1\n/))
            #expect(status.output.contains("serves the bus"))
            #expect(try JSON(Array(try run(server, "status", "--json").output.utf8))["held"] == 1)
            let channels = try run(server, "channels")
            #expect(channels.output.contains(/c +1 +3 +0 +20/))
            let listed = try run(server, "channels", "--json").output
            #expect(try JSON(Array(listed.utf8))["channel"] == "c")
            let top = try run(server, "top", "--count", "2")
            let lines = top.output.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.allSatisfy { $0.hasPrefix("held 1  published ") })
            #expect(!top.output.contains("\u{1b}"))
            try server.publish("a", "end")
            #expect(try held.answer().status == 200)
        }
    }

    @Test func `a backup is a log that can be restored, which subscribers are told`() throws {
        try with { server in
            let old = try server.publish("a", "1")
            let copy = server.directory.file("copy.sqlite")
            #expect(try run(server, "log", "backup", copy).exit == .exited(0))
            #expect(try run(server, "log", "backup", copy).exit == .exited(1))
            try server.publish("a", "2")
            let cursor = try server.cursor("a")
            try server.stop()
            let bus = server.directory.file("bus")
            for name in ["log.sqlite-wal", "log.sqlite-shm"] {
                if Files.exists("\(bus)/\(name)") { try Files.remove("\(bus)/\(name)") }
            }
            #expect(rename(copy, "\(bus)/log.sqlite") == 0)
            #expect(try run(server, "log", "new-epoch").exit == .exited(0))
            try server.start()
            #expect(try texts("a", server) == ["1"])
            #expect(try server.get("/push/a?since=\(cursor)").json["gap"]["reason"] == "restarted")
            #expect(try server.get("/push/a?since=\(old)").json["gap"]["reason"] == "restarted")
        }
    }

    @Test func `a new epoch reaches the processes that run`() throws {
        try with { server in
            let id = try server.publish("a", "1")
            let held = try server.hold("/push/a?wait=25&since=\(id)")
            let run = try run(server, "log", "new-epoch")
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
        try with { server in
            for command in ["serve", "check", "pub", "sub", "status", "channels", "top", "log"] {
                let help = try run(server, command, "--help")
                #expect(help.exit == .exited(0))
                #expect(help.output.contains("USAGE: holdfast \(command)"))
            }
            for shell in ["bash", "zsh", "fish"] {
                let script = try run(server, "--generate-completion-script", shell)
                #expect(script.exit == .exited(0))
                #expect(script.output.contains("cursor-file"))
            }
        }
    }
}
