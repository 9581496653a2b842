import Glibc
import Harness
import Testing

/// Commands on the bus socket that are pipelined, incomplete or too large.
@Suite struct BusCommandTests {
    /// Sends it all, closes the sending side, and reads to the end of the stream.
    private func answers(_ server: HoldfastServer, _ commands: String) throws -> [JSON] {
        let client = try server.busClient()
        try client.send(commands)
        client.socket.halfClose()
        var lines: [JSON] = []
        while let line = try client.next() { lines.append(line) }
        return lines
    }

    @Test(arguments: [("help", "help"), ("publish b hello", "ok"), ("status", "status")])
    func `commands before a half-close were thrown away`(command: String, kind: String) throws {
        try HoldfastServer.with { server in
            let commands = String(repeating: command + "\n", count: 3000)
            let lines = try answers(server, commands)
            #expect(lines.count == 3000)
            #expect(lines.allSatisfy { $0["kind"].string == kind })
        }
    }

    @Test func `commands behind a subscribe were thrown away at a half-close`() throws {
        try HoldfastServer.with { server in
            let client = try server.busClient()
            let commands = String(repeating: "help\n", count: 1000)
            try client.send("publish b x\nsubscribe a\n\(commands)publish b unfin")
            client.socket.halfClose()
            try client.next("ok")
            try client.next("hello")
            for _ in 0..<1000 { try client.next("help") }
            let error = try client.next("error")
            #expect(error["code"] == "unfinished_command")
            #expect(error["line"].number == 1003)
            // It still listens.
            try server.publish("a", "later")
            #expect(try client.next("message")["data"] == "later")
        }
    }

    @Test func `commands that had come were thrown away when the process was stopped`() throws {
        try HoldfastServer.with { server in
            let client = try server.busClient()
            // Its answers are not read, so that commands wait, of which a stop tells that there is no more time.
            try client.send(String(repeating: "help\n", count: 3000))
            try waitUntil("as many as may go on") {
                try server.metrics()["holdfast_bus_commands_total"] > 50
            }
            server.process?.signal(SIGTERM)
            try waitUntil("it stops") { server.log.contains("stopping") }
            var count = 0
            while try client.next() != nil { count += 1 }
            #expect(count == 3000)
        }
    }

    @Test func `a stream beside a command that loses the thread ended without a word`() throws {
        try HoldfastServer.withBus { server in
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
        try HoldfastServer.withBus { server in
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
}
