internal import Foundation
import Harness
import Testing

/// Streams over HTTP, asked for by a FastCGI peer of our own.
@Suite struct StreamEndTests {
    private static let id = "3f0c2d9e-7c1b-4a5e"

    /// The events that have come, by their names; messages by their text.
    private func events(_ text: String) -> [String] {
        text.components(separatedBy: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n").map(String.init)
            guard let data = lines.first(where: { $0.hasPrefix("data: ") }) else { return nil }
            if let name = lines.first(where: { $0.hasPrefix("event: ") }) {
                return String(name.dropFirst(7))
            }
            return try? JSON(Array(data.dropFirst(6).utf8))["data"].string
        }
    }

    private func lastID(_ text: String) -> String {
        text.split(separator: "\n").last { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) }
            ?? ""
    }

    private func open(
        _ server: HoldfastServer,
        _ target: String,
        _ fields: [String: String] = ["Accept": "text/event-stream"],
        keep: Bool = false
    ) throws -> FastCGIPeer {
        let peer = try server.peer()
        try peer.send(FastCGIRequest("GET", target, fields: fields), keep: keep)
        return peer
    }

    /// Waits until the answer so far contains a text, and returns it. A message is waited for with its quotation marks:
    /// the random part of a cursor may read like a short one.
    @discardableResult
    private func wait(_ peer: FastCGIPeer, for text: String) throws -> String {
        var count = 0
        while true {
            let answer = try peer.partialAnswer(atLeast: count)
            if answer.text.contains(text) { return answer.text }
            count = answer.body.count + 1
        }
    }

    @Test func `an event stream says hello at once, and then every message`() throws {
        try HoldfastServer.with { server in
            let peer = try open(server, "/push/news")
            let text = try wait(peer, for: "event: hello")
            #expect(
                try peer.partialAnswer()["Content-Type"] == "text/event-stream; charset=utf-8"
            )
            #expect(text.hasPrefix("retry: 2000\nid: "))
            for number in 1...3 { try server.publish("news", "m\(number)") }
            #expect(events(try wait(peer, for: "\"m3\"")) == ["hello", "m1", "m2", "m3"])
            #expect(try server.metrics().held == 1)
        }
    }

    @Test func `an NDJSON stream has an object in each line`() throws {
        try HoldfastServer.with { server in
            let peer = try open(server, "/push/news?stream=ndjson", [:])
            try wait(peer, for: "hello")
            try server.publish("news", "m1")
            let lines = try wait(peer, for: "\"m1\"").split(separator: "\n")
            #expect(try lines.map { try JSON(Array($0.utf8))["kind"] } == ["hello", "message"])
            #expect(
                try peer.partialAnswer()["Content-Type"]
                    == "application/x-ndjson; charset=utf-8"
            )
        }
    }

    @Test func `what is kept comes first, and then what is published, each once`() throws {
        try HoldfastServer.with { server in
            for number in 1...700 { try server.publish("news", "m\(number)") }
            let peer = try open(server, "/push/news?since=first")
            try wait(peer, for: "\"m300\"")
            for number in 701...720 { try server.publish("news", "m\(number)") }
            let text = try wait(peer, for: "\"m720\"")
            #expect(events(text) == ["hello"] + (1...720).map { "m\($0)" })
        }
    }

    @Test func `a client that comes back with the last id misses and repeats nothing`() throws {
        try HoldfastServer.with { server in
            let first = try open(server, "/push/news")
            try wait(first, for: "hello")
            try server.publish("news", "m1")
            let id = lastID(try wait(first, for: "\"m1\""))
            first.socket.close()
            try server.waitForHeld(0)
            try server.publish("news", "m2")
            let second = try open(
                server,
                "/push/news?since=first",
                ["Accept": "text/event-stream", "Last-Event-ID": id]
            )
            #expect(events(try wait(second, for: "\"m2\"")) == ["hello", "m2"])
        }
    }

    @Test func `an id that this log never issued is reported as a gap`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "m1")
            let fields = ["Accept": "text/event-stream", "Last-Event-ID": "1700000000:0"]
            let peer = try open(server, "/push/news", fields)
            let text = try wait(peer, for: "\"m1\"")
            #expect(events(text) == ["hello", "gap", "m1"])
            #expect(text.contains(#""reason":"restarted""#))
        }
    }

    @Test func `a heartbeat comes at its interval`() throws {
        try HoldfastServer.with(HoldfastServer.open + "heartbeat = 1s\n") { server in
            let peer = try open(server, "/push/news")
            let text = try wait(peer, for: "\n\n:\n:\n")
            #expect(events(text) == ["hello"])
            try server.publish("news", "m1")
            #expect(try events(wait(peer, for: "\"m1\"")).last == "m1")
        }
    }

    @Test func `a stream ends when its life is over, on a connection that stays`() throws {
        try HoldfastServer.with(HoldfastServer.open + "stream_life = 1s\n") { server in
            let peer = try open(server, "/push/news", keep: true)
            let text = try peer.answer().text
            #expect(events(text) == ["hello", "bye"])
            #expect(text.contains(#""reason":"lifetime""#))
            #expect(try server.metrics().ended("lifetime") == 1)
            try peer.send(FastCGIRequest("GET", "/push/-/live"))
            #expect(try peer.answer().status == 200)
        }
    }

    @Test func `SIGTERM ends streams with their cursor`() throws {
        try HoldfastServer.with { server in
            let peer = try open(server, "/push/news")
            try wait(peer, for: "hello")
            try server.stop()
            let text = try peer.answer().text
            #expect(events(text) == ["hello", "bye"])
            #expect(text.contains(#""reason":"shutdown""#))
        }
    }

    @Test func `a departed client's stream is released while it is live, and while it is read`()
        throws
    {
        try HoldfastServer.with { server in
            for number in 1...200 {
                try server.publish("news", String(repeating: "x", count: 10_000) + "\(number)")
            }
            let live = try open(server, "/push/other")
            try wait(live, for: "hello")
            let reading = try server.peer(receiveBuffer: 4096)
            try reading.send(
                FastCGIRequest(
                    "GET",
                    "/push/news?since=first",
                    fields: ["Accept": "text/event-stream"]
                )
            )
            try server.waitForHeld(2)
            live.socket.close()
            reading.socket.close()
            try server.waitForHeld(0)
            try waitUntil("connections are gone") { try server.metrics().connections == 1 }
        }
    }

    @Test func `a newer stream of a subscriber ends the older one for good`() throws {
        try HoldfastServer.with { server in
            let older = try open(server, "/push/news?subscriber=\(Self.id)")
            try wait(older, for: "hello")
            let newer = try open(server, "/push/news?subscriber=\(Self.id)")
            try wait(newer, for: "hello")
            #expect(try older.answer().text.contains(#""reason":"superseded""#))
            #expect(try server.post("/push/-/leave", "subscriber=\(Self.id)").status == 204)
            #expect(try newer.answer().text.contains(#""reason":"left""#))
        }
    }

    @Test func `at the bound the oldest stream gives way and is told when to come back`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nheld_requests = 1\n") { server in
            let older = try open(server, "/push/news")
            try wait(older, for: "hello")
            let newer = try open(server, "/push/news")
            try wait(newer, for: "hello")
            let text = try older.answer().text
            #expect(text.contains(#""reason":"limit""#))
            #expect(text.contains("\nretry: "))
        }
    }

    @Test
    func `a stream whose client does not read ends with its cursor, and delays no other`()
        throws
    {
        // The slow one reads only when all is published, which takes a busy machine a while.
        let settings =
            HoldfastServer.open
            + "[limits]\nunsent_bytes = 256k\nanswer_bytes = 64k\nunsent_timeout = 10m\n"
        try HoldfastServer.with(settings) { server in
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(
                FastCGIRequest("GET", "/push/news", fields: ["Accept": "text/event-stream"])
            )
            let quick = try open(server, "/push/news")
            try wait(quick, for: "hello")
            try server.waitForHeld(2)
            let body = String(repeating: "x", count: 20_000)
            for number in 1...60 {
                try server.publish("news", "\(body)\(number)")
                try wait(quick, for: "x\(number)\"")
            }
            try server.waitForHeld(1)
            #expect(try server.metrics().ended("slow") == 1)
            // What it was given is whole, and its last word says where to go on.
            let text = try slow.answer().text
            #expect(text.contains(#""reason":"slow""#))
            let numbers = events(text).dropFirst().dropLast().compactMap {
                Int($0.drop { $0 == "x" })
            }
            #expect(numbers == Array(1...max(1, numbers.count)))
            var (rest, cursor, more) = (0, lastID(text), true)
            while more {
                let answer = try server.get("/push/news?since=\(cursor)").json
                rest += answer["messages"].array.count
                cursor = try #require(answer["cursor"].string)
                more = answer["more"] == true
            }
            #expect(rest + numbers.count == 60)
        }
    }

    @Test func `several streams live on one connection of a peer that multiplexes`() throws {
        try HoldfastServer.with { server in
            let peer = try server.multiplexingPeer()
            for id: UInt16 in [1, 2] {
                try peer.send(
                    FastCGIRequest(
                        "GET",
                        "/push/channel\(id)",
                        fields: ["Accept": "text/event-stream"]
                    ),
                    id: id,
                    keep: true
                )
            }
            try server.waitForHeld(2)
            try server.publish("channel2", "for the second")
            var count = 0
            while true {
                let answer = try peer.partialAnswer(2, atLeast: count)
                if answer.text.contains("for the second") { break }
                count = answer.body.count + 1
            }
            #expect(try !peer.partialAnswer(1).text.contains("for the second"))
        }
    }

    @Test func `a gap in a live stream is told where it is`() throws {
        try HoldfastServer.with { server in
            let peer = try open(server, "/push/news")
            try wait(peer, for: "hello")
            try server.publish("news", "m1")
            try wait(peer, for: "\"m1\"")
            #expect(try server.exchange(FastCGIRequest("DELETE", "/push/news")).status == 204)
            try server.publish("news", "m2")
            let told = events(try wait(peer, for: "\"m2\""))
            #expect(told == ["hello", "m1", "gap", "m2"])
        }
    }

    @Test func `only an operator watches the figures of all processes`() throws {
        try HoldfastGroup.with(2) { group in
            let held = try group[1].hold("/push/news?wait=25")
            let peer = try group[0].peer()
            try peer.send(
                FastCGIRequest(
                    "GET",
                    "/push/-/status?stream=ndjson",
                    params: [("HOLDFAST_OPERATOR", "1")]
                )
            )
            try wait(peer, for: #""processes_missing":0"#)
            let text = try wait(peer, for: #""held":2"#)
            #expect(text.hasPrefix(#"{"kind":"hello""#))
            #expect(try group[0].get("/push/-/status?stream=sse").status == 403)
            held.socket.close()
        }
    }

    @Test func `a client that may not read gets a status, and HEAD the headers`() throws {
        try HoldfastServer.with("[allow open]\nread = everyone\n") { server in
            let refused = try server.get("/push/closed", ["Accept": "text/event-stream"])
            #expect(refused.status == 403)
            let head = try server.exchange(
                FastCGIRequest("HEAD", "/push/open", fields: ["Accept": "text/event-stream"])
            )
            #expect(head.status == 200)
            #expect(head["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect(head.body.isEmpty)
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
                let peer = try server.multiplexingPeer()
                for id: UInt16 in 1...3 {
                    try peer.send(.events("/push/news?since=first"), id: id, keep: true)
                }
                peer.socket.close()
            }
            // They were accepted before the connection that asks for the figures.
            try waitUntil("their connections are gone") { try server.metrics().connections == 1 }
            let metrics = try server.metrics()
            #expect(metrics.held == 0)
            #expect(metrics.endedInAll == metrics["holdfast_holds_total"])
        }
    }
}
