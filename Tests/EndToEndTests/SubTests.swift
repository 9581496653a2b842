import Glibc
import Harness
import Testing

/// `holdfast sub`.
@Suite struct SubTests {
    @Test func `sub prints messages in three forms`() throws {
        try HoldfastServer.withBus { server in
            try server.publish("a", "text")
            _ = try server.post("/push/a", "\u{1}", type: "application/octet-stream")
            _ = try server.post("/push/a", #"{"n":1.0}"#, type: "application/json")
            func sub(_ format: String) throws -> [String] {
                let run = try server.command(
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
            let subscriber = try group[0].start(arguments, output: .pipe)
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

    @Test func `sub ends when its output has no reader any more, without a message`() throws {
        try HoldfastServer.withBus { server in
            let subscriber = try server.start(["sub", "a", "--format", "ndjson"], output: .pipe)
            #expect(try subscriber.readLine()?.contains("hello") == true)
            subscriber.closeOutput()
            #expect(try subscriber.wait() == .killed(SIGPIPE))
            try server.waitForHeld(0)
        }
    }

    @Test func `sub tells of a gap on standard error`() throws {
        try HoldfastServer.withBus(HoldfastServer.open + "[retain a]\ncount = 1\n") { server in
            try server.publish("a", "0")
            let cursor = try server.cursor("a")
            for number in 1...3 { try server.publish("a", "\(number)") }
            let run = try server.command(
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
        try HoldfastServer.withBus { server in
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
            // A command that does not read its input blocks nothing.
            let blind = try server.command(
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
        try HoldfastServer.withBus { server in
            for number in 1...3 { try server.publish("a", "\(number)") }
            let file = server.directory.file("cursor")
            func sub(_ count: Int) throws -> String {
                try server.command(
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

    @Test func `a damaged cursor file became words of the command`() throws {
        try HoldfastServer.withBus { server in
            let names = ["other now", "now\npublish a forged", "abc", "a-1 b", "\u{0}"]
            for (index, content) in names.enumerated() {
                let file = try server.directory.write(content, to: "cursor-\(index)")
                let run = try server.command("sub", "a", "--cursor-file", file, "--count", "1")
                #expect(run.exit == .exited(78))
                #expect(run.error.contains("\(file) does not hold a cursor; remove it"))
            }
            #expect(try server.metrics()["holdfast_messages_total"] == 0)
        }
    }

    @Test func `a killed sub left temporary files beside its cursor file`() throws {
        try HoldfastServer.withBus { server in
            let directory = try server.directory.makeDirectory("cursors")
            let file = directory + "/seen"
            for round in 1...10 {
                for _ in 0..<20 { try server.publish("a", "x") }
                let sub = try server.start(
                    ["sub", "a", "--since", "first", "--cursor-file", file],
                    output: .pipe
                )
                for _ in 0...round { _ = try #require(try sub.readLine()) }
                sub.signal(SIGKILL)
                _ = try sub.wait()
            }
            #expect(try server.shell("ls -A '\(directory)'").output == "seen\n")
            try server.publish("a", "last")
            let next = try server.command("sub", "a", "--cursor-file", file, "--count", "1")
            #expect(next.exit == .exited(0) && next.error.isEmpty)
        }
    }

    @Test func `a cursor file is overwritten in place, blanks and all`() throws {
        try HoldfastServer.withBus { server in
            let first = try server.publish("a", "1")
            try server.publish("a", "2")
            let file = try server.directory.write(
                first + String(repeating: " ", count: 40) + "\n",
                to: "cursor"
            )
            for expected in ["2", "3"] {
                if expected == "3" { try server.publish("a", "3") }
                let command = "sub a --cursor-file '\(file)' --count 1 --format raw"
                #expect(try server.shell("\"$HOLDFAST\" \(command)").output == expected + "\n")
            }
        }
    }
}
