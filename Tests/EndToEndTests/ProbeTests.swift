import Harness
import Testing

/// Probes and heartbeats: how a departure is found that no closed connection shows.
@Suite struct ProbeTests {
    private static let probing =
        HoldfastServer.open + "probe = always\nprobe_interval = 1s\n"

    private func request(_ target: String, _ params: [(String, String)] = []) -> FastCGIRequest {
        FastCGIRequest("GET", target, params: params)
    }

    @Test
    func `a probed long-poll is sent headers and a blank at once, then a blank at each interval`()
        throws
    {
        try HoldfastServer.with(Self.probing) { server in
            let peer = try server.hold("/push/news?wait=25")
            let head = try peer.partialAnswer()
            #expect(head.status == 200)
            #expect(head["Content-Length"] == nil)
            #expect(try peer.partialAnswer(atLeast: 3).text == "   ")
            try server.publish("news", "hello")
            let answer = try peer.answer()
            #expect(answer.text.hasPrefix("   "))
            #expect(try answer.json["messages"][0]["data"] == "hello")
        }
    }

    @Test func `as many blanks as the ini file says`() throws {
        try HoldfastServer.with(HoldfastServer.open + "probe = always\nprobe_bytes = 9k\n") {
            server in
            let peer = try server.hold("/push/news?wait=25")
            #expect(try peer.partialAnswer(atLeast: 9216).text.utf8.count == 9216)
        }
    }

    @Test func `what cannot be probed keeps its status open`() throws {
        try HoldfastServer.with(Self.probing) { server in
            for query in ["format=bare", "on_gap=fail"] {
                let peer = try server.hold("/push/news?wait=1&\(query)")
                let answer = try peer.answer()
                #expect(answer["Content-Length"] != nil || answer.status == 204)
            }
        }
    }

    @Test func `a probe that meets a closed connection ends the hold, and is counted as a probe`()
        throws
    {
        try HoldfastServer.with(Self.probing) { server in
            var rounds = 0
            // Right behind a probe, as a web server closes that has learned of it by that. On a busy machine the close
            // may come too late to be taken for a reaction.
            try waitUntil("one is counted as a probe") {
                rounds += 1
                let peer = try server.hold("/push/news?wait=25")
                _ = try peer.partialAnswer(atLeast: 2)
                peer.socket.close()
                try server.waitForHeld(0)
                return try server.metrics().ended("probe") == 1
            }
            #expect(try server.metrics().ended("closed") == rounds - 1)
            #expect(try server.metrics().endedInAll == rounds)
        }
    }

    @Test func `servers known to hide departures are probed, and the status says why`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(
                request("/push/news?wait=25", [("SERVER_SOFTWARE", "Apache/2.4.62 (Debian)")])
            )
            #expect(try peer.partialAnswer().status == 200)
            let other = try server.peer()
            try other.send(request("/push/news?wait=25", [("SERVER_SOFTWARE", "nginx/1.22.1")]))
            try server.waitForHeld(2)
            let status = try server.status()
            let apache = status["front_ends"].array.first {
                $0["server"] == "Apache/2.4.62 (Debian)"
            }
            #expect(apache?["probed"] == true)
            #expect(apache?["why"].string?.contains("hide departures") == true)
            let nginx = status["front_ends"].array.first { $0["server"] == "nginx/1.22.1" }
            #expect(nginx?["probed"] == false)
            #expect(
                server.log.contains(
                    "long-polls behind Apache/2.4.62 (Debian) are probed every 10 s"
                )
            )
        }
    }

    @Test
    func
        `a front end whose clients come back while their older request is open is probed from then on`()
        throws
    {
        try HoldfastServer.with { server in
            let params = [("SERVER_SOFTWARE", "nginx/1.22.1")]
            for turn in 1...3 {
                let id = "subscriber-number-\(turn)"
                let ghost = try server.peer()
                try ghost.send(request("/push/news?wait=25&subscriber=\(id)", params))
                try server.waitForHeld(1)
                // A client that comes back at once may just have been faster than the news of its departure.
                #expect(try server.get("/push/other?wait=1").status == 200)
                let again = try server.peer()
                try again.send(request("/push/news?wait=25&subscriber=\(id)", params))
                #expect(try ghost.answer().json["messages"] == [])
                again.socket.close()
                try server.waitForHeld(0)
            }
            let next = try server.peer()
            try next.send(request("/push/news?wait=25", params))
            #expect(try next.partialAnswer().status == 200)
            let frontEnd = try server.status()["front_ends"][0]
            #expect(frontEnd["forwarded"] == false)
            #expect(frontEnd["probed"] == true)
            #expect(frontEnd["overtaken"] == 3)
            // Something else is on the way that may need more of them.
            #expect(
                server.log.contains("nginx/1.22.1 are probed every 5 s: clients came back 3")
            )
        }
    }

    private func frontEnd(_ server: HoldfastServer, _ software: String) throws -> JSON {
        try #require(
            try server.status()["front_ends"].array.first { $0["server"].string == software }
        )
    }

    @Test func `a proxy of which nothing is known is probed from the first request on`() throws {
        try HoldfastServer.with { server in
            for field in ["HTTP_VIA", "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED"] {
                let peer = try server.peer()
                let params = [("SERVER_SOFTWARE", "nginx/1.22.1"), (field, "something")]
                try peer.send(request("/push/news?wait=25", params))
                #expect(try peer.partialAnswer(atLeast: 1).text == " ")
            }
            let nginx = try frontEnd(server, "nginx/1.22.1")
            #expect(nginx["forwarded"] == true)
            #expect(nginx["probed"] == true)
            #expect(nginx["probe_milliseconds"] == 5000)
            #expect(nginx["holds"] == 3)
        }
    }

    @Test func `departures of streams that only heartbeats found make polls be probed`() throws {
        let settings = HoldfastServer.open + "heartbeat = 1s\n"
        try HoldfastServer.with(settings) { server in
            let params = [("SERVER_SOFTWARE", "nginx/1.22.1")]
            // Right behind a heartbeat; those that a busy machine closes later are no evidence.
            try waitUntil("it is noticed") {
                let peers = try (1...12).map { _ in
                    let peer = try server.peer()
                    try peer.send(request("/push/news?stream=ndjson", params))
                    return peer
                }
                for peer in peers {
                    let hello = try peer.partialAnswer(atLeast: 1).text.utf8.count
                    _ = try peer.partialAnswer(atLeast: hello + 1)
                    peer.socket.close()
                }
                try server.waitForHeld(0)
                return try frontEnd(server, "nginx/1.22.1")["probed"] == true
            }
            let poll = try server.peer()
            try poll.send(request("/push/news?wait=25", params))
            #expect(try poll.partialAnswer(atLeast: 1).text == " ")
            #expect(try frontEnd(server, "nginx/1.22.1")["revealed"].number.map { $0 > 3 } == true)
        }
    }

    @Test func `orphaned streams end soon where heartbeats do not reach the client`() throws {
        let settings = HoldfastServer.open + "heartbeat = 1s\n"
        try HoldfastServer.with(settings) { server in
            func stream(_ software: String) throws -> FastCGIPeer {
                let peer = try server.peer()
                try peer.send(
                    request("/push/news?stream=ndjson", [("SERVER_SOFTWARE", software)])
                )
                return peer
            }
            let hidden = try stream("Apache/2.4.62")
            let shown = try stream("nginx/1.22.1")
            try server.waitForHeld(2)
            let apache = try frontEnd(server, "Apache/2.4.62")
            #expect(apache["stream_seconds"] == 8)
            #expect(apache["streams"].string?.contains("heartbeats") == true)
            #expect(try frontEnd(server, "nginx/1.22.1")["stream_seconds"] == 1800)
            #expect(try hidden.answer().text.contains(#""reason":"lifetime""#))
            try server.waitForHeld(1)
            shown.socket.close()
        }
    }

    @Test(.enabled(if: Tool.usable(.apache), "apache2 is not installed"))
    func `an orphaned stream behind an Apache that buffers ends soon`() throws {
        let settings = HoldfastServer.open + "heartbeat = 1s\n"
        try HoldfastServer.with(settings) { server in
            let edits = [(" flushpackets=on", "")]
            try WebServer.with(.apache, before: server, edits: edits) { web in
                let client = try HTTPClient(port: web.port)
                try client.send("GET", "/push/news", ["Accept": "text/event-stream"])
                try server.waitForHeld(1)
                client.socket.close()
                try server.waitForHeld(0)
                #expect(try server.metrics().ended("lifetime") == 1)
            }
        }
    }

    @Test(arguments: ["sse", "ndjson"])
    func `heartbeats are as large as probes where a server gathers what it gets`(form: String)
        throws
    {
        let settings = HoldfastServer.open + "heartbeat = 1s\nprobe_bytes = 9k\n"
        try HoldfastServer.with(settings) { server in
            let peer = try server.peer()
            try peer.send(
                request("/push/news?stream=\(form)", [("SERVER_SOFTWARE", "Apache/2.4.62")])
            )
            let text = try peer.partialAnswer(atLeast: 9216).text
            #expect(text.utf8.count >= 9216)
            for line in text.split(separator: "\n") where line.hasPrefix("{") {
                #expect(throws: Never.self) { try JSON(Array(line.utf8)) }
            }
            peer.socket.close()
        }
    }

    @Test func `the web server can say for a location whether it is probed`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(request("/push/news?wait=25", [("HOLDFAST_PROBE", "on")]))
            #expect(try peer.partialAnswer(atLeast: 1).text == " ")
            let status = try server.status()["front_ends"][0]
            #expect(status["probed"] == true)
            #expect(status["why"].string?.contains("HOLDFAST_PROBE on") == true)
            let silent = try server.peer()
            try silent.send(
                request(
                    "/push/news?wait=1",
                    [("HOLDFAST_PROBE", "off"), ("SERVER_SOFTWARE", "Caddy/v2.6.2")]
                )
            )
            #expect(try silent.answer()["Content-Length"] != nil)
        }
    }
}
