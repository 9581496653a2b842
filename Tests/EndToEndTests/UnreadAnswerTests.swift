internal import Foundation
import Harness
import Testing

/// Many peers that do not read what they are sent.
@Suite struct UnreadAnswerTests {
    private func unsent(_ server: HoldfastServer) throws -> Int {
        try server.metrics()["holdfast_unsent_bytes"]
    }

    @Test func `each of many streams that did not read had its own copy`() throws {
        let limits = "[limits]\nunsent_bytes = 1M\nanswer_bytes = 256k\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            let streams = try (0..<40).map { number in
                let peer = try server.peer(receiveBuffer: 4096)
                // Several forms of asking for the same.
                try peer.send(
                    FastCGIRequest("GET", "/push/news,own\(number % 4)?stream=sse&n=\(number)")
                )
                return peer
            }
            try server.waitForHeld(40)
            let body = String(repeating: "x", count: 60_000)
            for number in 1...12 { try server.publish("news", "\(number) \(body)") }
            try waitUntil("some is unsent") { try unsent(server) > 0 }
            // 12 times 60 kB for all, and not for each.
            #expect(try unsent(server) < 1_000_000)
            #expect(try server.metrics().bound("unsent_bytes_total") == 0)
            for peer in streams {
                var text = ""
                while !text.contains("\"12 xxx") {
                    guard let record = try peer.record() else { throw HarnessError("it ended") }
                    text = String(decoding: record.content, as: UTF8.self)
                }
            }
            try waitUntil("nothing is unsent") { try unsent(server) == 0 }
        }
    }

    @Test func `answers that were not read were counted as they are before JSON makes them larger`()
        throws
    {
        try HoldfastServer.with { server in
            // Six bytes each in JSON; 17 of them are a megabyte before.
            let text = String(repeating: "\u{1}", count: 60_000)
            for _ in 1...17 { try server.publish("news", text) }
            let polls = try (0..<30).map { _ in
                let peer = try server.peer(receiveBuffer: 4096)
                try peer.send(FastCGIRequest("GET", "/push/news?since=first"))
                return peer
            }
            let stream = try server.peer(receiveBuffer: 4096)
            try stream.send(FastCGIRequest("GET", "/push/news?since=first&stream=sse"))
            try waitUntil("all were answered") {
                try server.metrics()["holdfast_answers_total{class=\"2xx\"}"] >= 30
            }
            // One answer of at most answer_bytes, which is the same for all, and one message of the stream.
            #expect(try unsent(server) < 1_600_000)
            for peer in polls {
                let answer = try peer.answer()
                #expect(answer.body.count < 1_100_000)
                #expect(try answer.json["messages"].array.count == 2)
                #expect(try answer.json["more"] == true)
            }
        }
    }

    @Test func `all unsent bytes together had no bound`() throws {
        let limits = "[limits]\nunsent_bytes = 512k\nanswer_bytes = 64k\nunsent_bytes_total = 1M\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            /// A poll of a message for this client alone, whose answer is not read.
            func poll(_ number: Int, count: Int) throws -> FastCGIPeer {
                let text = String(repeating: "\u{1}", count: count)
                try server.publish("own/\(number)", "\(number) " + text)
                let before = try server.metrics()["holdfast_requests_total"]
                let peer = try server.peer(receiveBuffer: 4096)
                try peer.send(FastCGIRequest("GET", "/push/own/\(number)?since=first"))
                try waitUntil("it is answered") {
                    // It came, and the log has been read for it.
                    let metrics = try server.metrics()
                    return metrics["holdfast_requests_total"] > before + 1
                        && metrics["holdfast_pending_requests"] == 0
                }
                return peer
            }
            let modest = try poll(0, count: 45_000)
            #expect(try unsent(server) > 0)
            let greedy = try (1...12).map { try poll($0, count: 64_000) }
            #expect(try unsent(server) <= 1_048_576)
            let closed = try server.metrics().bound("unsent_bytes_total")
            #expect(closed >= 9)
            #expect(server.log.contains("unsent_bytes_total"))
            // Peers with less unread output are served all the same, and so are the last of the others.
            #expect(try modest.answer().json["messages"].array.count == 1)
            let served = greedy.filter { peer in
                do { return try peer.answer().status == 200 } catch { return false }
            }
            #expect(served.count == 12 - closed)
        }
    }

    @Test func `queries that differ in nothing that matters get one body, and each its own link`()
        throws
    {
        try HoldfastServer.with { server in
            for size in [10, 60_000] {
                let targets = [
                    "news?z=1", "news?z=2", "news?z=2&limit=7", "news,other?z=3",
                    "news?z=4&format=bare", "news?z=5&format=bare", "news?z=6&on_gap=fail",
                ]
                let peers = try targets.map { try server.hold("/push/\($0)&wait=20") }
                let id = try server.publish("news", String(repeating: "x", count: size))
                for (target, peer) in zip(targets, peers) {
                    let answer = try peer.answer()
                    #expect(answer.status == 200)
                    let query = target.split(separator: "?")[1]
                    #expect(answer["Link"] == "<?\(query)&wait=20&since=\(id)>; rel=\"next\"")
                    #expect(answer["Content-Length"] == "\(answer.body.count)")
                    if target.contains("bare") {
                        #expect(answer.body.count == size)
                    } else {
                        #expect(try answer.json["messages"][0]["data"].string?.count == size)
                        #expect(try answer.json["cursor"].string == id)
                    }
                }
            }
        }
    }

    @Test func `the answers to pipelined listings were made before anybody could take them`() throws
    {
        try HoldfastServer.with { server in
            for number in 0..<300 { try server.publish("channel/\(number)", "x") }
            let client = try server.busClient()
            // The first waits for the log; whatever is behind it comes in order.
            try client.send(
                "publish a 1\n" + String(repeating: "channels\nstatus\nping\n", count: 50)
            )
            try client.next("ok")
            for _ in 0..<50 {
                #expect(try client.next("channels")["channels"].array.count == 301)
                try client.next("status")
                try client.next("pong")
            }
        }
    }

    @Test func `what was made outside of an event came on top of the bound for all`() throws {
        let limits = "[limits]\nunsent_bytes = 512k\nanswer_bytes = 64k\nunsent_bytes_total = 1M\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            // A connection of long standing: that a new one is accepted would be looked at, too.
            let watch = try server.peer()
            func figure(_ name: String) throws -> Int {
                let request = FastCGIRequest(
                    "GET",
                    "/push/-/metrics",
                    params: [("HOLDFAST_OPERATOR", "1")]
                )
                try watch.send(request, keep: true)
                let metrics = Metrics(try watch.answer().text)
                most = max(most, metrics["holdfast_unsent_bytes"])
                return metrics[name]
            }
            var most = 0
            var clients: [LineClient] = []
            for number in 1...4 {
                let start = try server.cursor("own/\(number)")
                try server.publish(
                    "own/\(number)",
                    "\(number) " + String(repeating: "\u{1}", count: 60_000)
                )
                let client = try server.busClient()
                let before = try figure("holdfast_holds_total")
                // The second waits for the first, and is taken up after what the log tells of that.
                try client.send("publish other x\nsubscribe own/\(number) since \(start)\n")
                try waitUntil("it is subscribed") { try figure("holdfast_holds_total") > before }
                clients.append(client)
            }
            #expect(most > 300_000 && most <= 1_048_576)
            #expect(try server.metrics().bound("unsent_bytes_total") > 0)
        }
    }

    @Test func `an answer that JSON makes larger than unsent_bytes could never be delivered`()
        throws
    {
        let limits = "[limits]\nanswer_bytes = 64k\nunsent_bytes = 128k\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            // Six bytes each in JSON.
            let text = String(repeating: "\u{1}", count: 60_000)
            for _ in 1...5 { try server.publish("news", text) }
            let peer = try server.peer()
            try peer.send(FastCGIRequest("GET", "/push/news?since=first"))
            let answer = try peer.answer()
            #expect(answer.body.count > 2 * 128 * 1024)
            #expect(try answer.json["messages"].array.count == 1)
            #expect(try answer.json["more"] == true)
            #expect(try server.metrics().bound("unsent_bytes") == 0)
        }
    }
}
