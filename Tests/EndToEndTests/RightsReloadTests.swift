import Glibc
import Harness
import Testing

/// Rights that are taken away while requests are held.
@Suite struct RightsReloadTests {
    private static let open = """
        [allow secret]
        read = everyone
        publish = everyone
        [allow public]
        read = everyone
        publish = everyone

        """
    private static let closed = """
        [allow public]
        read = everyone
        publish = everyone

        """

    private func close(_ server: HoldfastServer, _ settings: String = closed) throws {
        try server.writeSettings(settings)
        server.reload()
        try waitUntil("it is read") { server.log.contains("ini file read again") }
    }

    @Test func `streams and polls went on when a reload had closed their channel`() throws {
        try HoldfastServer.with(Self.open) { server in
            let stream = try server.hold("/push/secret,public?stream=sse")
            let poll = try server.hold("/push/secret?wait=25")
            let presence = try server.hold("/push/~presence/secret?wait=25")
            let other = try server.hold("/push/public?wait=25")
            try close(server)
            #expect(try stream.answer().text.contains(#""reason":"revoked""#))
            let answer = try poll.answer()
            #expect(answer.status == 200)
            #expect(try answer.json["messages"] == [])
            #expect(try presence.answer().status == 200)
            #expect(try server.metrics().ended("revoked") == 3)
            // It comes back, and is told.
            let again = try server.get(
                "/push/secret?wait=25&since=\(try answer.json["cursor"].string!)"
            )
            #expect(again.status == 403)
            try server.publish("public", "1")
            #expect(try other.answer().json["messages"].array.count == 1)
        }
    }

    @Test func `a client with a grant of the web server is not ended`() throws {
        try HoldfastServer.with(Self.closed + "[hold]\njitter = 0%\n") { server in
            let peer = try server.peer()
            try peer.send(
                FastCGIRequest(
                    "GET",
                    "/push/secret?stream=ndjson",
                    params: [("HOLDFAST_READ", "secret")]
                )
            )
            _ = try peer.partialAnswer(atLeast: 10)
            try close(server, Self.closed + "[allow other]\nread = everyone\n")
            #expect(try server.metrics().held == 1)
            #expect(try server.metrics().ended("revoked") == 0)
            peer.socket.close()
        }
    }

    @Test func `a stream that the web server had granted went on for half an hour`() throws {
        let settings = Self.closed + "[hold]\njitter = 0%\ngranted_life = 1s\n"
        try HoldfastServer.with(settings) { server in
            let granted = [("HOLDFAST_READ", "secret"), ("HOLDFAST_OPERATOR", "1")]
            let open = try server.hold("/push/public?stream=ndjson")
            for target in ["/push/secret,public?stream=ndjson", "/push/-/status?stream=ndjson"] {
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", target, params: granted))
                #expect(try peer.answer().text.contains(#""reason":"lifetime""#), "\(target)")
            }
            // What everyone may read lives as long as streams do.
            #expect(try server.metrics().held == 1)
            open.socket.close()
        }
    }

    @Test func `a granted stream behind a server that hides departures lived for moments`() throws {
        let hold = "[hold]\njitter = 0%\nheartbeat = 1s\ngranted_life = 6s\n"
        try HoldfastServer.with(Self.closed + hold) { server in
            let peer = try server.peer()
            try peer.send(
                FastCGIRequest(
                    "GET",
                    "/push/secret?stream=ndjson",
                    params: [("HOLDFAST_READ", "secret"), ("SERVER_SOFTWARE", "Apache/2.4.62")]
                )
            )
            let text = try peer.answer().text
            // It lived to its first heartbeat.
            #expect(text.contains(#""kind":"ping""#))
            #expect(text.contains(#""reason":"lifetime""#))
        }
    }

    @Test func `the long hold of an endpoint that the web server had granted is bounded too`()
        throws
    {
        let endpoint = """
            [endpoint /sub]
            action = subscribe
            channels = secret
            wait = 1h
            [hold]
            jitter = 0%
            granted_life = 1s

            """
        try HoldfastServer.with(Self.closed + endpoint) { server in
            let answer = try server.get("/sub", params: [("HOLDFAST_READ", "secret")])
            #expect(try answer.json["messages"] == [])
        }
    }

    @Test(.enabled(if: Place.isRoot, "needs root, to become somebody else"))
    func `a subscription on the bus socket went on when its user had lost the right`() throws {
        func rules(_ user: String) -> String { "[allow a]\nread = user:\(user)\n" }
        let bus = ["socket_mode = 0660", "socket_group = www-data"]
        try HoldfastServer.with(rules("www-data"), bus: bus) { server in
            let owner = try server.busClient()
            try owner.send("subscribe a\n")
            _ = try owner.next("hello")
            let script = """
                import os, socket, sys
                os.setgroups([33]); os.setgid(33); os.setuid(33)
                s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
                s.sendall(b"subscribe a\\nstatus\\n")
                for line in s.makefile(): print(line, end="", flush=True)
                """
            let client = try ChildProcess(
                try Tool.python.path,
                ["-c", script, server.busSocket],
                name: "subscriber",
                directory: server.directory,
                output: .pipe
            )
            #expect(try client.readLine()?.contains("hello") == true)
            #expect(try client.readLine()?.contains("operator_only") == true)
            try server.writeSettings(rules("nobody"), bus: bus)
            server.reload()
            let last = try client.readLine() ?? ""
            #expect(last.contains(#""kind":"bye","reason":"revoked""#), "\(last)")
            // The owner may read everything.
            #expect(try server.metrics().held == 1)
            client.signal(SIGTERM)
            _ = try client.wait()
        }
    }
}
