import Harness
import Testing

/// What a review of the ladder found.
@Suite struct LadderRegressionTests {
    private static let id = "3f0c2d9e-7c1b-4a5e"

    private func multiplexing(_ server: HoldfastServer) throws -> FastCGIPeer {
        let peer = try server.peer()
        try peer.send(
            FastCGIRecord(
                FastCGIRecord.getValues,
                id: 0,
                FastCGIRecord.pairs([("FCGI_MPXS_CONNS", "")])
            )
        )
        #expect(try peer.record()?.type == FastCGIRecord.getValuesResult)
        return peer
    }

    private func events(_ target: String) -> FastCGIRequest {
        FastCGIRequest("GET", target, fields: ["Accept": "text/event-stream"])
    }

    @Test func `a connection that is given up to make room for its own request harms nobody`()
        throws
    {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 1\n") { server in
            for _ in 1...50 {
                let peer = try multiplexing(server)
                try peer.send(FastCGIRequest("GET", "/push/news?wait=20"), id: 1, keep: true)
                try peer.send(FastCGIRequest("GET", "/push/news?wait=20"), id: 2, keep: true)
                peer.socket.close()
                // A stranger on what may be the same descriptor.
                #expect(try server.get("/push/-/live").status == 200)
            }
            try server.waitForHeld(0)
        }
    }

    @Test
    func
        `a connection that is given up for an older request of the same subscriber opens no stream`()
        throws
    {
        try HoldfastServer.with { server in
            for _ in 1...50 {
                let peer = try multiplexing(server)
                let target = "/push/news?subscriber=\(Self.id)"
                try peer.send(FastCGIRequest("GET", target + "&wait=20"), id: 2, keep: true)
                try peer.send(events(target), id: 1, keep: true)
                peer.socket.close()
                #expect(try server.get("/push/-/live").text == "live\n")
            }
            try server.waitForHeld(0)
        }
    }

    @Test(arguments: [true, false])
    func `a request on a kept connection behind a stream that reads the log is answered`(
        aborts: Bool
    ) throws {
        try HoldfastServer.with { server in
            for number in 1...300 { try server.publish("news", "m\(number)") }
            for _ in 1...20 {
                let peer = try server.peer()
                var bytes = events("/push/news?since=first").bytes(id: 1, keep: true)
                if aborts { bytes += FastCGIRecord(FastCGIRecord.abort, id: 1, []).bytes }
                bytes += FastCGIRequest("GET", "/push/-/live").bytes(id: 1, keep: true)
                try peer.socket.write(bytes)
                _ = try peer.response(1)
                #expect(try peer.answer(1).text == "live\n")
            }
            try server.waitForHeld(0)
        }
    }

    @Test
    func `a half-closed connection with a request behind a stream that reads is closed in the end`()
        throws
    {
        try HoldfastServer.with { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...50 { try server.publish("news", text) }
            for _ in 1...10 {
                let peer = try server.peer(receiveBuffer: 4096)
                let stream = events("/push/news?since=first").bytes(id: 1, keep: true)
                let behind = FastCGIRequest("GET", "/push/-/live").bytes(id: 1, keep: true)
                try peer.socket.write(stream + behind)
                peer.socket.halfClose()
                while try peer.record() != nil {}
            }
            try waitUntil("they are closed") { try server.metrics().connections == 1 }
        }
    }

    @Test func `streams that read count among those of a subscriber`() throws {
        let settings = HoldfastServer.open + "[limits]\nheld_per_subscriber = 2\n"
        try HoldfastServer.with(settings) { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...50 { try server.publish("news", text) }
            let peers = try (1...4).map { number in
                let peer = try server.peer(receiveBuffer: 4096)
                try peer.send(events("/push/news?since=first&subscriber=\(Self.id)"))
                // In this order, whatever order the sockets become readable in.
                try waitUntil("it has come") {
                    try server.metrics()["holdfast_holds_total"] == number
                }
                return peer
            }
            for peer in peers.prefix(2) {
                #expect(try peer.answer().text.contains(#""reason":"superseded""#))
            }
            try server.waitForHeld(2)
        }
    }

    @Test
    func `each hold is counted as ended once, also several streams that read on one connection`()
        throws
    {
        try HoldfastServer.with { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...50 { try server.publish("news", text) }
            for _ in 1...10 {
                let peer = try multiplexing(server)
                for id: UInt16 in 1...3 {
                    try peer.send(events("/push/news?since=first"), id: id, keep: true)
                }
                peer.socket.close()
            }
            try server.waitForHeld(0)
            let metrics = try server.metrics()
            #expect(metrics.endedInAll == metrics["holdfast_holds_total"])
        }
    }

    @Test func `of two requests of a subscriber that wait for the log only the newer is held`()
        throws
    {
        try HoldfastServer.with { server in
            let target = "/push/empty?since=first&wait=20&subscriber="
            var peers: [FastCGIPeer] = []
            for number in 0..<100 {
                for _ in 1...2 {
                    let peer = try server.peer()
                    try peer.send(FastCGIRequest("GET", target + "subscriber-number-\(number)"))
                    peers.append(peer)
                }
            }
            try server.waitForHeld(100)
            for peer in peers { peer.socket.close() }
        }
    }

    @Test func `a newer stream ends an older one that is still reading, and leaving does`() throws {
        try HoldfastServer.with { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...100 { try server.publish("news", text) }
            let target = "/push/news?since=first&subscriber=\(Self.id)"
            let older = try server.peer(receiveBuffer: 4096)
            try older.send(events(target))
            try server.waitForHeld(1)
            let newer = try server.peer(receiveBuffer: 4096)
            try newer.send(events(target))
            #expect(try older.answer().text.contains(#""reason":"superseded""#))
            #expect(try server.post("/push/-/leave", "subscriber=\(Self.id)").status == 204)
            #expect(try newer.answer().text.contains(#""reason":"left""#))
            try server.waitForHeld(0)
        }
    }

    @Test func `a crowd that comes back to another process leaves no ghosts`() throws {
        try HoldfastGroup.with(2) { group in
            func crowd(_ server: HoldfastServer) throws -> [FastCGIPeer] {
                try (0..<300).map { number in
                    let peer = try server.peer()
                    let target = "/push/news?wait=25&subscriber=subscriber-number-\(number)"
                    try peer.send(FastCGIRequest("GET", target))
                    return peer
                }
            }
            let first = try crowd(group[0])
            try group[0].waitForHeld(300)
            let second = try crowd(group[1])
            try group[0].waitForHeld(300)
            try group[1].waitForHeld(300)
            for peer in first { #expect(try peer.answer().status == 200) }
            for peer in second { peer.socket.close() }
        }
    }

    @Test func `at the bound a stream that reads counts too, and the oldest gives way`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 3\n") { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...100 { try server.publish("news", text) }
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(events("/push/news?since=first"))
            try server.waitForHeld(1)
            let polls = try (0..<2).map { _ in try server.hold("/push/other?wait=20") }
            let newest = try server.peer()
            try newest.send(events("/push/other"))
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

    @Test func `HEAD asks nothing of anybody`() throws {
        try HoldfastServer.with { server in
            let poll = try server.hold("/push/news?wait=20&subscriber=\(Self.id)")
            for query in ["wait=20", "stream=sse"] {
                let head = FastCGIRequest("HEAD", "/push/news?\(query)&subscriber=\(Self.id)")
                #expect(try server.exchange(head).status == 200)
            }
            #expect(try server.metrics().held == 1)
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

    @Test func `a stream that takes its time to read is present, and its life ends meanwhile too`()
        throws
    {
        let settings =
            HoldfastServer.open + "stream_life = 3s\n[presence news]\ngrace = 1s\n"
        try HoldfastServer.with(settings) { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...100 { try server.publish("news", text) }
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(events("/push/news?since=first&name=slow"))
            try waitUntil("slow is there") {
                try server.members("news").count == 1
            }
            // Longer than the grace period.
            #expect(try server.get("/push/other?wait=2").status == 200)
            #expect(try server.members("news").count == 1)
            try server.get("/push/other?wait=1").expectOK()
            #expect(try slow.answer().text.contains(#""reason":"lifetime""#))
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

    @Test func `presence that is switched off and on again knows its members`() throws {
        let on = HoldfastServer.open + "[presence chat]\ngrace = 1s\n"
        try HoldfastServer.with(on) { server in
            func names() throws -> [String] {
                try server.members("chat").compactMap { $0["name"].string }
            }
            let stays = try server.hold("/push/chat?wait=55&name=stays")
            let goes = try server.hold("/push/chat?wait=55&name=goes")
            try waitUntil("both are there") { try names().sorted() == ["goes", "stays"] }
            try server.writeSettings(HoldfastServer.open)
            server.reload()
            try waitUntil("it is off") { try server.get("/push/-/presence/chat").status == 404 }
            goes.socket.close()
            try server.waitForHeld(1)
            try server.writeSettings(on)
            server.reload()
            try waitUntil("who has gone has left", seconds: 60) { try names() == ["stays"] }
            stays.socket.close()
        }
    }
}

extension HTTPAnswer {
    fileprivate func expectOK() { #expect(status == 200) }
}
