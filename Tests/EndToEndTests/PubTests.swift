import Glibc
import Harness
import Testing

/// `holdfast pub`.
@Suite struct PubTests {
    @Test func `pub publishes a text, what comes on standard input, or JSON`() throws {
        try HoldfastServer.withBus { server in
            let said = try server.command("pub", "a", "hello, world")
            #expect(said.exit == .exited(0))
            #expect(said.output + said.error == "")
            _ = try server.command("pub", "a", input: "from\nstandard input\n")
            _ = try server.command("pub", "a", "-", input: "the same")
            _ = try server.command("pub", "a", "--json", #"{"n": 1}"#, "--type", "a b")
            let id = try server.command("pub", "a", "x", "--id", "--topic", "t", "--ttl", "60")
            #expect(
                try server.texts("a")
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
        try HoldfastServer.withBus(HoldfastServer.open + "[retain **]\ncount = 100000\n") {
            server in
            let lines = (1...5000).map { "line \($0)" }
            let all = try server.command(
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
            let slow = try server.start(["pub", "b", "--lines"], input: .pipe)
            try slow.write("one\ntw")
            #expect(try held.answer().json["messages"][0]["data"] == "one")
            try slow.write("o\n\nlast")
            slow.closeInput()
            #expect(try slow.wait() == .exited(0))
            #expect(try server.texts("b") == ["one", "two", "", "last"])
        }
    }

    @Test func `pub names the lines that are refused, and publishes the others`() throws {
        try HoldfastServer.withBus { server in
            let run = try server.command("pub", "a", "--lines", "--json", input: "1\n{\n3\n\"\n5\n")
            #expect(run.exit == .exited(1))
            #expect(run.error.contains("line 2: This is not valid JSON"))
            #expect(run.error.contains("line 4: This is not valid JSON"))
            #expect(try server.texts("a").count == 3)
        }
    }

    @Test func `pub says what is wrong, with an exit code`() throws {
        try HoldfastServer.withBus("[allow open]\npublish = everyone\nread = everyone\n") {
            server in
            let wrong = try server.command("pub", "a", "x", "--type", "hello")
            #expect(wrong.exit == .exited(1))
            #expect(wrong.error.contains("reserved_type"))
            #expect(try server.command("pub").exit == .exited(64))
            #expect(try server.command("pub", "a", "x", "--lines").exit == .exited(64))
            let socket = server.directory.file("nobody.sock")
            let absent = try server.command("pub", "a", "x", "--socket", socket)
            #expect(absent.exit == .exited(69))
            #expect(absent.error.contains(socket))
            #expect(absent.error.contains("start it"))
            try server.directory.write("[nonsense]\n", to: "wrong.ini")
            let config = server.directory.file("wrong.ini")
            #expect(try server.command("pub", "a", "x", "--config", config).exit == .exited(78))
        }
    }

    @Test func `pub waits for another process to take over, and publishes once`() throws {
        try HoldfastGroup.with(2) { group in
            _ = try group.busClient()
            let publisher = try group[0].start(["pub", "a", "--lines"], input: .pipe)
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
            #expect(try group[1].texts("a") == expected)
        }
    }

    @Test func `a type beyond ASCII was encoded twice`() throws {
        try HoldfastServer.withBus { server in
            #expect(try server.command("pub", "a", "x", "--type", "é 日").exit == .exited(0))
            let message = try server.get("/push/a?since=first").json["messages"][0]
            #expect(message["type"] == "é 日")
        }
    }

    @Test func `pub read without a bound`() throws {
        try HoldfastServer.withBus { server in
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
        try HoldfastServer.withBus { server in
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

    @Test func `an argument that is not UTF-8 was published as another text`() throws {
        try HoldfastServer.withBus { server in
            let run = try server.shell(#"exec "$HOLDFAST" pub a "$(printf 'caf\351')""#)
            #expect(run.exit == .exited(64))
            #expect(run.error.contains("not UTF-8"))
            #expect(try server.get("/push/a?since=first").json["messages"].array.isEmpty)
        }
    }

    @Test func `pub with lines gave up where its quota asked it to wait`() throws {
        let quota = "[quota unix:\(geteuid())]\nmessages = 64\nper = 1s\n"
        try HoldfastServer.withBus(HoldfastServer.open + quota) { server in
            let lines = (1...130).map { "\($0)" }.joined(separator: "\n")
            let run = try server.command("pub", "a", "--lines", input: lines)
            #expect(run.exit == .exited(0))
            #expect(run.error == "")
            let messages = try server.get("/push/a?since=first&limit=200").json["messages"].array
            #expect(messages.count == 130)
        }
    }
}
