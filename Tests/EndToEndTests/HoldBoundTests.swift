import Harness
import Testing

/// The bounds on held requests, and which are ended there.
@Suite struct HoldBoundTests {
    @Test func `at the bound the oldest gives way, and is told when to come back`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 3\n") { server in
            let peers = try (0..<3).map { _ in try server.hold("/push/news?wait=25") }
            let newest = try server.hold("/push/news?wait=25")
            let answer = try peers[0].answer()
            #expect(answer.status == 200)
            #expect(try answer.json["messages"] == [])
            #expect(answer["Retry-After"].flatMap { Int($0) }.map { (2...10).contains($0) } == true)
            #expect(try server.metrics().held == 3)
            #expect(try server.metrics().ended("limit") == 1)
            #expect(try server.metrics().bound("held_requests") == 1)
            try server.publish("news", "hello")
            for peer in peers.dropFirst() + [newest] {
                #expect(try peer.answer().json["messages"].array.count == 1)
            }
        }
    }

    @Test func `the bound of an address is its own`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_per_address = 1\n") {
            server in
            func hold(_ address: String) throws -> FastCGIPeer {
                let before = try server.metrics()["holdfast_holds_total"]
                let peer = try server.peer()
                try peer.send(
                    FastCGIRequest("GET", "/push/news?wait=25", params: [("REMOTE_ADDR", address)])
                )
                try waitUntil("held") { try server.metrics()["holdfast_holds_total"] > before }
                return peer
            }
            let first = try hold("192.0.2.1")
            let other = try hold("192.0.2.2")
            let newer = try hold("192.0.2.1")
            #expect(try first.answer().json["messages"] == [])
            #expect(try server.metrics().held == 2)
            #expect(try server.metrics().bound("held_per_address") == 1)
            for peer in [other, newer] { peer.socket.close() }
        }
    }

    @Test func `a connection that is given up to make room for its own request does no harm`()
        throws
    {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 1\n") { server in
            for _ in 1...50 {
                let peer = try server.multiplexingPeer()
                try peer.send(FastCGIRequest("GET", "/push/news?wait=20"), id: 1, keep: true)
                try peer.send(FastCGIRequest("GET", "/push/news?wait=20"), id: 2, keep: true)
                peer.socket.close()
                // A stranger on what may be the same descriptor.
                #expect(try server.get("/push/-/live").status == 200)
            }
            try server.waitForHeld(0)
        }
    }

    @Test func `at the bound a stream that reads counts too, and the oldest gives way`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 3\n") { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...100 { try server.publish("news", text) }
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(.events("/push/news?since=first"))
            try server.waitForHeld(1)
            let polls = try (0..<2).map { _ in try server.hold("/push/other?wait=20") }
            let newest = try server.peer()
            try newest.send(.events("/push/other"))
            #expect(try newest.partialAnswer(atLeast: 1).text.contains("hello"))
            #expect(try polls[0].answer()["Retry-After"] != nil)
            #expect(try server.metrics().held == 3)
            polls[1].socket.close()
        }
    }

    @Test func `programs on the bus socket cannot lock out the web`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 2\n") { server in
            let programs = try (0..<2).map { _ in try server.busClient() }
            for program in programs {
                #expect(try program.ask("subscribe news")["kind"] == "hello")
            }
            let poll = try server.hold("/push/news?wait=20")
            #expect(try programs[0].next("bye")["reason"] == "limit")
            poll.socket.close()
        }
    }

    @Test func `after early headers, the body says when to come back`() throws {
        let settings =
            HoldfastServer.open + "probe = always\n[limits]\nheld_requests = 1\n"
        try HoldfastServer.with(settings) { server in
            let older = try server.hold("/push/news?wait=20")
            let newer = try server.hold("/push/news?wait=20")
            #expect(try older.answer().json["retry_after"].number.map { $0 > 1 } == true)
            newer.socket.close()
        }
    }

    @Test func `held_per_address was silently ineffective without REMOTE_ADDR`() throws {
        let bound = HoldfastServer.open + "[limits]\nheld_per_address = 1\n"
        let text = "without REMOTE_ADDR"
        try HoldfastServer.with(bound) { server in
            let one = try server.peer()
            let address = [("REMOTE_ADDR", "192.0.2.1")]
            try one.send(FastCGIRequest("GET", "/push/news?wait=20", params: address))
            try server.waitForHeld(1)
            #expect(!server.log.contains(text))
            let others = try (0..<2).map { _ in try server.hold("/push/news?wait=20") }
            #expect(server.log.ranges(of: text).count == 1)
            try server.waitForHeld(3)
            _ = others
        }
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?wait=20")
            #expect(!server.log.contains(text))
            held.socket.close()
        }
    }
}
