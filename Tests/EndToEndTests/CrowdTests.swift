import Harness
import Testing

/// More connections than there are places: requests to publish, or for the service's health, are answered all the same.
@Suite struct CrowdTests {
    private func crowded(
        held: Int,
        connections: Int,
        _ body: (HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.with(
            HoldfastServer.open + "[limits]\nheld_requests = \(held)\n",
            fastcgi: ["max_connections = \(connections)"],
            body
        )
    }

    @Test func `kept connections on which nothing went on locked newcomers out`() throws {
        try crowded(held: 3, connections: 4) { server in
            let kept = try (0..<3).map { _ in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/-/live"), keep: true)
                #expect(try peer.answer().status == 200)
                return peer
            }
            let held = try (0..<3).map { _ in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/news?wait=25"), keep: true)
                return peer
            }
            for _ in 0..<3 { #expect(try server.get("/push/-/live").status == 200) }
            try server.waitForHeld(3)
            #expect(try server.post("/push/news", "x").status == 201)
            for peer in held { #expect(try peer.answer().status == 200) }
            #expect(try server.metrics().bound("idle_connections") >= 3)
            for peer in kept { try peer.expectClosed() }
        }
    }

    @Test func `connections that never asked anything locked newcomers out`() throws {
        try crowded(held: 3, connections: 4) { server in
            let silent = try (0..<8).map { _ in try server.peer() }
            #expect(try server.get("/push/-/live").status == 200)
            try waitUntil("the silent ones are closed") {
                try server.metrics().bound("idle_connections") >= 4
            }
            withExtendedLifetime(silent) {}
        }
    }

    @Test func `holds on all connections kept publishers from being answered`() throws {
        try crowded(held: 10, connections: 11) { server in
            let peers = try (0..<30).map { _ in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/news?wait=25"), keep: true)
                return peer
            }
            try waitUntil("all were held or sent away") {
                try server.metrics()["holdfast_holds_total"] == 30
            }
            let metrics = try server.metrics()
            #expect(metrics.held == 10)
            #expect(metrics.ended("limit") == 20)
            #expect(try server.post("/push/news", "hello").status == 201)
            // Connections that become readable together are read in any order.
            let answers = try peers.map { try $0.answer() }
            #expect(answers.allSatisfy { $0.status == 200 })
            let bodies = try answers.map { try $0.json }
            #expect(bodies.filter { $0["retry_after"].number != nil }.count == 20)
            #expect(bodies.filter { $0["messages"][0]["data"] == "hello" }.count == 10)
        }
    }

    @Test func `unfinished uploads on all connections locked newcomers out`() throws {
        try crowded(held: 3, connections: 4) { server in
            let bytes = FastCGIRequest.publish("/push/news", "never complete").bytes()
            let slow = try (0..<4).map { _ in
                let peer = try server.peer()
                try peer.socket.write(Array(bytes.dropLast(9)))
                return peer
            }
            #expect(try server.get("/push/-/live").status == 200)
            let words = try slow.compactMap { try $0.socket.readNow() }
                .map { String(decoding: $0, as: UTF8.self) }
            #expect(
                words.contains { $0.contains("Status: 503") && $0.contains("too_many_uploads") }
            )
            #expect(try server.metrics().bound("unfinished_bytes") >= 1)
        }
    }

    @Test func `peers that do not read locked newcomers out`() throws {
        try HoldfastServer.with(
            HoldfastServer.open + "[limits]\nheld_requests = 3\nunsent_timeout = 10m\n",
            fastcgi: ["max_connections = 4"]
        ) { server in
            let text = String(repeating: "x", count: 60_000)
            for _ in 0..<15 { try server.publish("news", text) }
            let silent = try (0..<4).map { _ in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/news?since=first"))
                _ = try peer.socket.read()
                return peer
            }
            #expect(try server.get("/push/-/live").status == 200)
            #expect(try server.metrics().bound("unsent_time") >= 1)
            withExtendedLifetime(silent) {}
        }
    }

    /// With 64 descriptors there are 16 places.
    @Test(
        .enabled(if: Tool.usable(.nginx), "nginx is not installed"),
        arguments: [true, false]
    )
    func `polls waited into a 504 where there were few descriptors`(keep: Bool) throws {
        try HoldfastServer.with(prelude: "ulimit -n 64") { server in
            try WebServer.with(.nginx, before: server, keepConnections: keep) { web in
                // It may ask on a connection that is being closed, and asks again on another.
                web.expectsFailures = keep
                let clients = try (0..<120).map { _ in
                    let client = try HTTPClient(port: web.port)
                    try client.send("GET", "/push/news?wait=25")
                    return client
                }
                try waitUntil("all were held or sent away") {
                    try server.metrics()["holdfast_holds_total"] == 120
                }
                #expect(try web.post("/push/news", "hello").status == 201)
                for client in clients {
                    let answer = try client.answer()
                    #expect(answer.status == 200)
                }
                #expect(try server.metrics().bound("descriptors") == 0)
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.prlimit), "prlimit is not installed"))
    func `holds give way where something else has taken the descriptors`() throws {
        try HoldfastServer.with { server in
            let first = try server.hold("/push/news?wait=25")
            let others = try (1..<40).map { _ in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/news?wait=25"))
                return peer
            }
            try server.waitForHeld(40)
            let process = try #require(server.process)
            func limit(to count: Int) throws {
                let arguments = ["--nofile=\(count):", "--pid", "\(process.pid)"]
                let path = try Tool.prlimit.path
                let run = try ChildProcess.run(path, arguments, directory: server.directory)
                #expect(run.exit == .exited(0))
            }
            try limit(to: process.openDescriptors)
            #expect(try server.post("/push/other", "x").status == 201)
            #expect(try server.metrics().ended("limit") >= 1)
            #expect(try first.answer().json["retry_after"].number != nil)
            try limit(to: 1024)
            withExtendedLifetime(others) {}
        }
    }
}
