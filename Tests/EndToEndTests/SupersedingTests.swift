import Harness
import Testing

/// A newer request of a subscriber ends the older one; leaving ends all.
@Suite struct SupersedingTests {
    private static let id = "3f0c2d9e-7c1b-4a5e"

    @Test func `a newer request of a subscriber ends the older one with its cursor`() throws {
        try HoldfastServer.with { server in
            let cursor = try server.cursor("news")
            let older = try server.hold("/push/news?wait=25&subscriber=\(Self.id)")
            let newer = try server.hold("/push/news?wait=25&subscriber=\(Self.id)")
            let answer = try older.answer()
            #expect(answer.status == 200)
            #expect(try answer.json["cursor"].string == cursor)
            #expect(try server.metrics().held == 1)
            try server.publish("news", "hello")
            #expect(try newer.answer().json["messages"].array.count == 1)
            #expect(try server.metrics().ended("superseded") == 1)
            #expect(!answer.text.contains(Self.id))
        }
    }

    @Test func `an immediate poll of a subscriber ends its older request, too`() throws {
        try HoldfastServer.with { server in
            let older = try server.hold("/push/news?wait=25&subscriber=\(Self.id)")
            #expect(try server.get("/push/news?subscriber=\(Self.id)").status == 200)
            #expect(try older.answer().status == 200)
            #expect(try server.metrics().held == 0)
        }
    }

    @Test func `a newer request at another process ends the older one`() throws {
        try HoldfastGroup.with(2) { group in
            let older = try group[0].hold("/push/news?wait=25&subscriber=\(Self.id)")
            let newer = try group[1].hold("/push/news?wait=25&subscriber=\(Self.id)")
            #expect(try older.answer().json["messages"] == [])
            #expect(try group[1].publish("news", "hello").isEmpty == false)
            #expect(try newer.answer().json["messages"].array.count == 1)
        }
    }

    @Test func `as many requests of a subscriber are held as the ini file says`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_per_subscriber = 2\n") {
            server in
            let target = "/push/news?wait=25&subscriber=\(Self.id)"
            let first = try server.hold(target)
            let second = try server.hold(target)
            #expect(try server.metrics().held == 2)
            let third = try server.hold(target)
            #expect(try first.answer().status == 200)
            #expect(try server.metrics().held == 2)
            #expect(try server.metrics().bound("held_per_subscriber") == 1)
            for peer in [second, third] { peer.socket.close() }
        }
    }

    @Test func `a subscriber that announces its departure is released at once, in every process`()
        throws
    {
        try HoldfastGroup.with(2) { group in
            let peer = try group[0].hold("/push/news?wait=25&subscriber=\(Self.id)")
            let other = try group[0].hold("/push/news?wait=25&subscriber=another-subscriber")
            let answer = try group[1].post("/push/-/leave", "subscriber=\(Self.id)")
            #expect(answer.status == 204)
            #expect(try peer.answer().json["messages"] == [])
            #expect(try group[0].metrics().ended("left") == 1)
            #expect(try group[0].metrics().held == 1)
            other.socket.close()
        }
    }

    @Test
    func
        `a connection that is given up for an older request of the same subscriber opens no stream`()
        throws
    {
        try HoldfastServer.with { server in
            for _ in 1...50 {
                let peer = try server.multiplexingPeer()
                let target = "/push/news?subscriber=\(Self.id)"
                try peer.send(FastCGIRequest("GET", target + "&wait=20"), id: 2, keep: true)
                try peer.send(.events(target), id: 1, keep: true)
                peer.socket.close()
                #expect(try server.get("/push/-/live").text == "live\n")
            }
            try server.waitForHeld(0)
        }
    }

    @Test func `streams that read count among those of a subscriber`() throws {
        let settings = HoldfastServer.open + "[limits]\nheld_per_subscriber = 2\n"
        try HoldfastServer.with(settings) { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...50 { try server.publish("news", text) }
            let peers = try (1...4).map { number in
                let peer = try server.peer(receiveBuffer: 4096)
                try peer.send(.events("/push/news?since=first&subscriber=\(Self.id)"))
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
            try older.send(.events(target))
            try server.waitForHeld(1)
            let newer = try server.peer(receiveBuffer: 4096)
            try newer.send(.events(target))
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
}
