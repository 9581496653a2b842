import Harness
import Testing

/// Local programs that publish and subscribe with lines of text.
@Suite struct BusSocketTests {
    @Test func `a message published on the bus is committed, and reaches web subscribers`()
        throws
    {
        try HoldfastServer.with { server in
            let waiting = try server.hold("/push/news?wait=25")
            let client = try server.busClient()
            let ok = try client.ask("publish news hello world")
            #expect(ok["kind"] == "ok")
            let message = try waiting.answer().json["messages"][0]
            #expect(message["data"] == "hello world")
            #expect(message["id"] == ok["id"])
            #expect(try client.ask("json news {\"a\": [1]}")["kind"] == "ok")
            try client.send("put news 4 type=goal content-type=image/png\n\u{0}\n\u{1}\n")
            #expect(try client.next("ok")["kind"] == "ok")
            let all = try server.get("/push/news?since=first").json["messages"]
            #expect(all[1]["data"] == ["a": [1]])
            #expect(all[2]["data"] == "AAoBCg==")
            #expect(all[2]["type"] == "goal")
        }
    }

    @Test func `pipelined commands are answered in their order`() throws {
        try HoldfastServer.with { server in
            let client = try server.busClient()
            var text = ""
            for number in 1...500 {
                text +=
                    number % 7 == 0
                    ? "ping\n" : number % 11 == 0 ? "nonsense\n" : "publish a \(number)\n"
            }
            try client.send(text)
            var cursors: [String] = []
            for number in 1...500 {
                let answer = try #require(try client.next())
                let kind = number % 7 == 0 ? "pong" : number % 11 == 0 ? "error" : "ok"
                #expect(answer["kind"].string == kind, "\(number)")
                if kind == "error" { #expect(answer["line"].number == Double(number)) }
                if kind == "ok" { cursors.append(answer["id"].string ?? "") }
            }
            let messages = try server.get("/push/a?since=first").json["messages"].array
            #expect(messages.map { $0["id"].string ?? "" } == cursors)
        }
    }

    @Test func `a subscriber gets the backlog and then what comes, once and in order`() throws {
        try HoldfastServer.with { server in
            for number in 1...1000 { try server.publish("a", "\(number)") }
            let client = try server.busClient()
            try client.send("subscribe a since first\n")
            #expect(try client.next("hello")["cursor"].string?.hasSuffix("-0") == true)
            for number in 1001...1100 { try server.publish("a", "\(number)") }
            for number in 1...1100 {
                #expect(try client.next("message")["data"].string == "\(number)")
            }
            // A subscriber may publish on the same connection.
            try client.send("publish a 1101\n")
            let two = [try client.next(), try client.next()].compactMap { $0?["kind"].string }
            #expect(two.sorted() == ["message", "ok"])
        }
    }

    @Test func `a subscriber continues from a cursor, with several channels in their common order`()
        throws
    {
        try HoldfastServer.with { server in
            try server.publish("a", "1")
            let cursor = try server.cursor("a,b")
            try server.publish("b", "2")
            try server.publish("c", "not asked for")
            try server.publish("a", "3")
            let client = try server.busClient()
            try client.send("subscribe a b since \(cursor)\n")
            #expect(try client.next("hello")["cursor"].string == cursor)
            #expect(try client.next("message")["data"] == "2")
            #expect(try client.next("message")["data"] == "3")
            try server.publish("b", "4")
            #expect(try client.next("message")["channel"] == "b")
        }
    }

    @Test func `a gap is told before what is left`() throws {
        let retain = "[retain a]\ncount = 2\n"
        try HoldfastServer.with(HoldfastServer.open + retain) { server in
            try server.publish("a", "0")
            let cursor = try server.cursor("a")
            for number in 1...5 { try server.publish("a", "\(number)") }
            let client = try server.busClient()
            try client.send("subscribe a since \(cursor)\n")
            try client.next("hello")
            #expect(try client.next("gap")["reason"] == "trimmed")
            #expect(try client.next("message")["data"] == "4")
            #expect(try client.next("message")["data"] == "5")
            let other = try server.busClient()
            try other.send("subscribe a since zzzzzzzz-5\n")
            try other.next("hello")
            #expect(try other.next("gap")["reason"] == "restarted")
            #expect(try server.exchange(FastCGIRequest("DELETE", "/push/a")).status == 204)
            #expect(try client.next("gap")["reason"] == "deleted")
        }
    }

    @Test func `a client that sends and closes its sending side still gets its answers`() throws {
        try HoldfastServer.with { server in
            try server.publish("a", "1")
            let client = try server.busClient()
            try client.send("publish a 2\nsubscribe a since first")
            try client.send("\n")
            client.socket.halfClose()
            try client.next("ok")
            try client.next("hello")
            #expect(try client.next("message")["data"] == "1")
            #expect(try client.next("message")["data"] == "2")
            try server.publish("a", "3")
            #expect(try client.next("message")["data"] == "3")
            try server.waitForHeld(1)
            client.socket.close()
            try server.waitForHeld(0)
            let sender = try server.busClient()
            try sender.send("ping\n")
            sender.socket.halfClose()
            try sender.next("pong")
            #expect(try sender.next() == nil)
        }
    }

    @Test func `an invalid line is reported with its number, and the next one is read`()
        throws
    {
        let limits = "[limits]\nmessage_bytes = 1k\nbatch_bytes = 2k\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            let client = try server.busClient()
            let long = String(repeating: "x", count: 100_000)
            try client.send("publish a \(long)\nput a 100000\n\(long)publish a fine\nput a what\n")
            #expect(try client.next("error")["code"] == "line_too_long")
            let second = try client.next("error")
            #expect(second["code"] == "batch_too_large")
            #expect(second["line"] == 2)
            try client.next("ok")
            #expect(try client.next("error")["code"] == "invalid_length")
            #expect(try client.next() == nil)
            #expect(try server.get("/push/a?since=first").json["messages"].array.count == 1)
        }
    }

    @Test func `a subscriber that does not read is bounded, told, and can continue`() throws {
        let limits = "[limits]\nunsent_bytes = 64k\nanswer_bytes = 16k\nmessage_bytes = 16k\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            let slow = try server.busClient()
            try slow.send("subscribe a\n")
            try slow.next("hello")
            let text = String(repeating: "x", count: 10_000)
            var sent = 0
            while try server.metrics().ended("slow") == 0 {
                try server.publish("a", "\(sent) \(text)")
                sent += 1
            }
            var seen = 0
            var cursor = ""
            while let line = try slow.next() {
                if line["kind"] == "bye" {
                    #expect(line["reason"] == "slow")
                    cursor = line["cursor"].string ?? ""
                } else {
                    #expect(line["data"].string?.hasPrefix("\(seen) ") == true)
                    seen += 1
                }
            }
            #expect(seen < sent)
            let again = try server.busClient()
            try again.send("subscribe a since \(cursor)\n")
            try again.next("hello")
            while seen < sent {
                #expect(try again.next("message")["data"].string?.hasPrefix("\(seen) ") == true)
                seen += 1
            }
        }
    }

    @Test func `a reader that takes short lines only is told of long ones, and asks for them`()
        throws
    {
        let rules = HoldfastServer.open + "[retain b]\ncount = 10\n"
        try HoldfastServer.with(rules) { server in
            let reader = try server.busClient()
            try reader.send("subscribe a b since first line_limit=2000\n")
            try reader.next("hello")
            let id = try server.publish("a", String(repeating: "x", count: 2000))
            try server.publish("b", "short")
            let long = try reader.next("message")
            #expect(long["id"].string == id)
            #expect(long["omitted"] == 2000)
            #expect(long["data"].string == nil)
            #expect(try reader.next("message")["data"] == "short")
            let client = try server.busClient()
            let whole = try client.ask("message \(id)")
            #expect(whole["data"].string?.count == 2000)
            #expect(whole["channel"] == "a")
            #expect(try client.ask("message k7f2-5")["code"] == "message_not_found")
            #expect(try client.ask("message")["code"] == "invalid_id")
            #expect(try client.ask("subscribe a line_limit=5")["code"] == "invalid_line_limit")
        }
    }

    @Test func `a restart says good-bye with a cursor`() throws {
        try HoldfastServer.with { server in
            let client = try server.busClient()
            try client.send("subscribe a\n")
            try client.next("hello")
            try server.publish("a", "1")
            try client.next("message")
            try server.stop()
            let bye = try client.next("bye")
            #expect(bye["reason"] == "shutdown")
            #expect(try client.next() == nil)
            #expect(!Files.exists(server.busSocket))
            try server.start()
            try server.publish("a", "2")
            let again = try server.busClient()
            try again.send("subscribe a since \(bye["cursor"].string ?? "")\n")
            try again.next("hello")
            #expect(try again.next("message")["data"] == "2")
        }
    }

    @Test func `status and channels are told in a line`() throws {
        try HoldfastServer.with { server in
            try server.publish("a", "1")
            let subscriber = try server.busClient()
            try subscriber.send("subscribe a\n")
            try subscriber.next("hello")
            let client = try server.busClient()
            let status = try client.ask("status")
            #expect(status["kind"] == "status")
            #expect(status["held"] == 1)
            #expect(status["log"]["messages"] == 1)
            #expect(status["processes"].array.count == 1)
            #expect(status["processes"][0]["serves_bus"] == true)
            let channels = try client.ask("channels")
            #expect(channels["channels"][0]["channel"] == "a")
            #expect(channels["channels"][0]["held"] == 1)
            #expect(try client.ask("help")["commands"].array.isEmpty == false)
        }
    }

    @Test func `too many clients are told so`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nbus_clients = 2\n") { server in
            let clients = [try server.busClient(), try server.busClient()]
            for client in clients { #expect(try client.ask("ping")["kind"] == "pong") }
            let third = try server.busClient()
            #expect(try third.next("error")["code"] == "too_many_clients")
            #expect(try third.next() == nil)
            #expect(try server.metrics().bound("bus_clients") == 1)
        }
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to become somebody else"))
    func `users of the machine have the rights that the ini file gives them`() throws {
        let rules = """
            [allow php/**]
            publish = user:www-data
            read = group:www-data
            [allow open]
            read = everyone

            """
        let bus = ["socket_mode = 0660", "socket_group = www-data"]
        try HoldfastServer.with(rules, bus: bus) { server in
            _ = try server.busClient()
            let script = "\(Place.root)/Tests/EndToEndTests/Support/busclient.py"
            func ask(_ user: String, _ lines: String...) throws -> [JSON] {
                let run = try ChildProcess.run(
                    try Tool.python.path,
                    [script, user, server.busSocket] + lines,
                    directory: server.directory
                )
                guard run.exit == .exited(0) else { throw HarnessError(run.error) }
                return try run.output.split(separator: UInt8(ascii: "\n")).map {
                    try JSON(Array($0))
                }
            }
            let answers = try ask(
                "www-data",
                "publish php/a hello",
                "publish open hello",
                "publish other hello",
                "subscribe php/a since first"
            )
            #expect(
                answers.map { $0["kind"].string ?? "" } == [
                    "ok", "error", "error", "hello", "message",
                ]
            )
            let detail = answers[1]["detail"].string ?? ""
            #expect(detail.contains("publish = user:33"), "\(detail)")
            // The socket's mode keeps everybody else out.
            #expect(throws: HarnessError.self) { try ask("nobody", "ping") }
        }
    }

    @Test func `a stream cut off between hello and gap was never told the gap`() throws {
        try HoldfastServer.withBus(HoldfastServer.open + "[retain a]\ncount = 1\n") { server in
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
        try HoldfastServer.withBus(settings) { server in
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
}
