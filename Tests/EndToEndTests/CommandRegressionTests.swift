import Glibc
import Harness
import Testing

/// Bugs of `holdfast pub`, `sub`, `status` and `top`, named after what went wrong.
@Suite struct CommandRegressionTests {
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

    @Test func `a type beyond ASCII was encoded twice`() throws {
        try with { server in
            #expect(try server.command("pub", "a", "x", "--type", "é 日").exit == .exited(0))
            let message = try server.get("/push/a?since=first").json["messages"][0]
            #expect(message["type"] == "é 日")
        }
    }

    @Test func `pub read without a bound`() throws {
        try with { server in
            let text = try server.shell("head -c 100M /dev/zero | \"$HOLDFAST\" pub a")
            #expect(text.exit == .exited(1))
            #expect(text.error.contains("The bus accepts at most 1048576 bytes"))
            let lines = try server.shell(
                "{ echo one; head -c 3M /dev/zero; echo; echo two; head -c 3M /dev/zero; }"
                    + " | \"$HOLDFAST\" pub a --lines"
            )
            #expect(lines.exit == .exited(1))
            #expect(lines.error.contains("line 2: The bus accepts at most"))
            #expect(lines.error.contains("line 4: The bus accepts at most"))
            #expect(try server.texts("a") == ["one", "two"])
        }
    }

    @Test func `empty lines among JSON lines were refused, or not`() throws {
        try with { server in
            let input = "\n\n{\"n\":1}\n \r\n\nbad\n\n{\"n\":2}\n\n"
            let run = try server.command("pub", "a", "--lines", "--json", input: input)
            #expect(run.exit == .exited(1))
            #expect(run.error.hasPrefix("holdfast: line 6: "))
            #expect(run.error.split(separator: "\n").count == 1)
            #expect(try server.get("/push/a?since=first").json["messages"].array.count == 2)
            let empty = try server.command("pub", "a", "--lines", "--json", input: "\n\n")
            #expect(empty.exit == .exited(0))
            // Of texts, an empty one is a message.
            #expect(try server.command("pub", "b", "--lines", input: "\nx\n").exit == .exited(0))
            #expect(try server.texts("b") == ["", "x"])
        }
    }

    @Test(arguments: [
        ["pub", "a", "x", "--timeout", "9223372036854775807"],
        ["pub", "a", "x", "--timeout", "86401"], ["top", "--count", "0"],
        ["top", "--interval", "9223372036854775807"], ["sub", "a", "--since", ""],
    ])
    func `numbers that make no sense were taken`(arguments: [String]) throws {
        try with { server in
            let child = try server.start(arguments)
            #expect(try child.wait() == .exited(64))
        }
    }

    // MARK: sub

    @Test func `a damaged cursor file became words of the command`() throws {
        try with { server in
            let names = ["other now", "now\npublish a forged", "abc", "a-1 b", "\u{0}"]
            for (index, content) in names.enumerated() {
                let file = try server.directory.write(content, to: "cursor-\(index)")
                let run = try server.command("sub", "a", "--cursor-file", file, "--count", "1")
                #expect(run.exit == .exited(78))
                #expect(run.error.contains("\(file) does not hold a cursor; remove it"))
            }
            let directory = try server.directory.makeDirectory("cursors")
            let run = try server.command("sub", "a", "--cursor-file", directory, "--count", "1")
            #expect(run.exit == .exited(78))
            #expect(run.error.contains("\(directory) cannot be read"))
            #expect(try server.metrics()["holdfast_messages_total"] == 0)
        }
    }

    @Test func `a killed sub left temporary files beside its cursor file`() throws {
        try with { server in
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
        try with { server in
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

    // MARK: status and top

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
}
