import Glibc
import Harness
import Testing

/// Bugs of commands that are sent before the answers of earlier ones are read, named after what went wrong.
@Suite struct PipeliningTests {
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
}
