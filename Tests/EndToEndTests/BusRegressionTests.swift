import Glibc
import Harness
import Testing

/// Bugs of the bus socket, its pipes and the command line, named after what went wrong.
@Suite struct BusRegressionTests {
    private func with(
        _ settings: String = HoldfastServer.open,
        _ body: (HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.with(settings) { server in
            // Served means that the pipes are read too.
            _ = try server.busClient()
            try body(server)
        }
    }

    private func command(
        _ server: HoldfastServer,
        _ arguments: [String],
        input: String = ""
    ) throws -> (exit: ChildProcess.Exit, output: String, error: String) {
        let child = try ChildProcess(
            try Place.holdfast,
            arguments,
            name: "command-\(UInt32.random(in: 0...UInt32.max))",
            directory: server.directory,
            environment: ["HOLDFAST_INI": server.iniFile, "PATH": "/usr/bin:/bin"],
            input: .pipe
        )
        try child.write(input)
        child.closeInput()
        let exit = try child.wait()
        return (exit, child.outputText, child.errorText)
    }

    private func shell(_ script: String, _ server: HoldfastServer) throws -> (
        exit: ChildProcess.Exit, output: [UInt8], error: String
    ) {
        try ChildProcess.run(
            "/bin/sh",
            ["-c", script],
            directory: server.directory,
            environment: [
                "HOLDFAST_INI": server.iniFile, "PATH": "/usr/bin:/bin",
                "HOLDFAST": try Place.holdfast,
            ]
        )
    }

    // MARK: Streams

    @Test func `a stream cut off between hello and gap was never told the gap`() throws {
        try with(HoldfastServer.open + "[retain a]\ncount = 1\n") { server in
            try server.publish("a", "0")
            let cursor = try server.cursor("a")
            for number in 1...3 { try server.publish("a", "\(number)") }
            let client = try server.busClient()
            try client.send("subscribe a since \(cursor)\n")
            #expect(try client.next("hello")["cursor"].string == cursor)
            let gap = try client.next("gap")
            #expect(gap["reason"] == "trimmed")
            #expect(gap["cursor"].string != cursor)
        }
    }

    @Test func `a gap was told anew with each piece of a long replay`() throws {
        let settings = HoldfastServer.open + "[retain b]\ncount = 2\n[retain **]\ncount = 100000\n"
        try with(settings) { server in
            try server.publish("b", "0")
            let cursor = try server.cursor("a,b")
            for number in 1...3 { try server.publish("b", "\(number)") }
            let publisher = try server.busClient()
            // More than memory keeps, and than one piece takes.
            for part in 0..<12 {
                let lines = (0..<1000).map { "\(part) \($0)" }.joined(separator: "\n")
                try publisher.send("put a \(lines.utf8.count) split=lines\n\(lines)")
                try publisher.next("ok")
            }
            for number in 4...5 { try server.publish("b", "\(number)") }
            let client = try server.busClient()
            try client.send("subscribe a b since \(cursor)\n")
            try client.next("hello")
            var (gaps, messages) = (0, 0)
            while messages < 12_002 {
                let line = try #require(try client.next())
                if line["kind"] == "gap" { gaps += 1 }
                if line["kind"] == "message" { messages += 1 }
            }
            #expect(gaps == 1)
        }
    }

    @Test func `a stream beside a command that loses the thread ended without a word`() throws {
        try with { server in
            let client = try server.busClient()
            try client.send("subscribe a\n")
            try client.next("hello")
            try client.send("put\n")
            #expect(try client.next("error")["code"] == "invalid_length")
            #expect(try client.next("bye")["reason"] == "error")
            #expect(try client.next() == nil)
            try server.waitForHeld(0)
        }
    }

    @Test func `a command that was not complete at the end was dropped in silence`() throws {
        try with { server in
            for (sent, line) in [("publish a hel", 1), ("ping\nput a 9\nhello", 2)] {
                let client = try server.busClient()
                try client.send(sent)
                client.socket.halfClose()
                if line == 2 { try client.next("pong") }
                let error = try client.next("error")
                #expect(error["code"] == "unfinished_command")
                #expect(error["line"].number == Double(line))
                #expect(try client.next() == nil)
            }
            #expect(try server.get("/push/a?since=first").json["messages"].array.isEmpty)
        }
    }

    @Test func `a body that never came to its end was waited for without a limit`() throws {
        let settings = HoldfastServer.open + "[limits]\nrequest_timeout = 1s\n"
        try HoldfastServer.with(settings) { server in
            let client = try server.busClient()
            try client.send("ping\nput a 100\nhello")
            try client.next("pong")
            let error = try client.next("error")
            #expect(error["code"] == "request_timeout")
            #expect(error["line"] == 2)
            #expect(try client.next() == nil)
            #expect(try server.get("/push/a?since=first").json["messages"].array.isEmpty)
        }
    }

    @Test func `bodies on the bus socket were kept without a bound for all together`() throws {
        let settings = HoldfastServer.open + "[limits]\nunfinished_bytes = 4M\n"
        try HoldfastServer.with(settings) { server in
            let body = String(repeating: "x", count: 900_000)
            let clients = try (0..<12).map { _ in
                let client = try server.busClient()
                try client.send("put a 1000000\n" + body)
                return client
            }
            try waitUntil("the first ones give way") {
                try server.metrics().bound("unfinished_bytes") >= 6
            }
            #expect(try server.metrics()["holdfast_unfinished_bytes"] <= 4 << 20)
            #expect(try clients[0].next("error")["code"] == "too_many_uploads")
            #expect(try clients[0].next() == nil)
            #expect(try server.busClient().ask("publish a hello")["kind"] == "ok")
        }
    }

    // MARK: Pipes

    @Test func `a line that names one channel too many kept the lines beside it waiting`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file("bus.pipe")
        let settings = HoldfastServer.open + "[limits]\nchannels = 2\n[pipe \(pipe)]\n"
        try with(settings) { server in
            try server.publish("a", "0")
            try server.publish("b", "0")
            let file = open(pipe, O_RDWR)
            defer { close(file) }
            let lines = "a\t1\nc\t2\nb\t3\nd\t4\na\t5\n"
            _ = write(file, lines, lines.utf8.count)
            try waitUntil("all lines") {
                let metrics = try server.metrics()
                return metrics["holdfast_pipe_lines_total"] == 3
                    && metrics["holdfast_pipe_refusals_total"] == 2
            }
            let messages = try server.get("/push/a,b?since=first").json["messages"].array
            #expect(messages.compactMap { $0["data"].string } == ["0", "0", "1", "3", "5"])
            #expect(server.log.contains("as many channels as it may"))
        }
    }

    @Test func `a publisher on the web is told that there are too many channels`() throws {
        try with(HoldfastServer.open + "[limits]\nchannels = 1\n") { server in
            try server.publish("a", "0")
            let refused = try server.post("/push/b", "x")
            #expect(refused.status == 507)
            #expect(try refused.json["code"] == "no_more_channels")
            let client = try server.busClient()
            #expect(try client.ask("publish b x")["code"] == "no_more_channels")
        }
    }

    @Test func `a publisher on the web could use the keys of one on this machine`() throws {
        try with { server in
            let client = try server.busClient()
            try client.send("put a 1 key=k\nx")
            let first = try client.next("ok")
            let name = "unix:\(geteuid())"
            let second = try server.post(
                "/push/a",
                "y",
                fields: ["Idempotency-Key": "k"],
                params: [("HOLDFAST_PUBLISHER", name)]
            )
            #expect(second.status == 201)
            #expect(try second.json["id"] != first["id"])
        }
    }

    // MARK: Processes

    @Test func `a process that is stopping kept the bus from the next one`() throws {
        try HoldfastGroup.with(2) { group in
            let serving = try group.serving()
            let other = try #require(group.servers.first { $0 !== serving })
            // A web server that takes its time keeps the process from ending.
            let peer = try serving.peer()
            try peer.send(FastCGIRequest("GET", "/push/a?wait=25"))
            try serving.waitForHeld(1)
            serving.process?.signal(SIGTERM)
            try waitUntil("the other serves") { other.log.contains("serving the bus") }
            _ = try peer.answer()
        }
    }

    @Test func `a process that does not answer is named`() throws {
        try HoldfastGroup.with(2) { group in
            let serving = try group.serving()
            let other = try #require(group.servers.first { $0 !== serving })
            let pid = try #require(serving.process?.pid)
            serving.process?.signal(SIGSTOP)
            defer { serving.process?.signal(SIGCONT) }
            let status = try command(other, ["pub", "a", "x", "--timeout", "1"])
            #expect(status.exit == .exited(75))
            #expect(status.error.contains("process \(pid) serves the bus"))
            try waitUntil("it is named") { other.log.contains("process \(pid) of this bus") }
            serving.process?.signal(SIGCONT)
            try waitUntil("it is back") { other.log.contains("\(pid) of this bus answers again") }
        }
    }

    // MARK: Command line

    @Test func `a program with closed descriptors wrote into its own files`() throws {
        try with { server in
            let closed = try shell("exec \"$HOLDFAST\" pub a hello >&- 2>&-", server)
            #expect(closed.exit == .exited(0))
            let input = try shell("exec \"$HOLDFAST\" pub a <&-", server)
            #expect(input.exit == .exited(74))
            #expect(input.error.contains("standard input"))
            let full = try shell("exec \"$HOLDFAST\" status > /dev/full", server)
            #expect(full.exit == .exited(74))
            let messages = try server.get("/push/a?since=first").json["messages"].array
            #expect(messages.compactMap { $0["data"].string } == ["hello"])
        }
    }

    @Test func `an argument that is not UTF-8 was published as another text`() throws {
        try with { server in
            let run = try shell(#"exec "$HOLDFAST" pub a "$(printf 'caf\351')""#, server)
            #expect(run.exit == .exited(64))
            #expect(run.error.contains("not UTF-8"))
            #expect(try server.get("/push/a?since=first").json["messages"].array.isEmpty)
        }
    }

    @Test func `pub with lines gave up where its quota asked it to wait`() throws {
        let quota = "[quota unix:\(geteuid())]\nmessages = 64\nper = 1s\n"
        try with(HoldfastServer.open + quota) { server in
            let lines = (1...130).map { "\($0)" }.joined(separator: "\n")
            let run = try command(server, ["pub", "a", "--lines"], input: lines)
            #expect(run.exit == .exited(0))
            #expect(run.error == "")
            let messages = try server.get("/push/a?since=first&limit=200").json["messages"].array
            #expect(messages.count == 130)
        }
    }

    @Test func `status counts the channels`() throws {
        try with { server in
            for name in ["a", "b", "c"] { try server.publish(name, "x") }
            try waitUntil("counted") {
                try command(server, ["status"]).output.contains("3 remembered, 3 messages kept")
            }
        }
    }
}
