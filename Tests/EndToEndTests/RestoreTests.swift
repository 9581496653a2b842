internal import Foundation
import Glibc
import Harness
import Testing

/// What a restore or a replaced log has lost is reported to every reader that continues, in whatever way, and once.
@Suite struct RestoreTests {
    /// The events of a stream over HTTP, as `hello`, `gap restarted` or a message's text.
    private func events(_ answer: HTTPAnswer) throws -> [String] {
        try answer.text.split(separator: "\n").filter {
            $0.hasPrefix("data: ") || $0.hasPrefix("{")
        }
        .compactMap { line in
            let json = try JSON(Array(line.drop { $0 != "{" }.utf8))
            if let text = json["data"].string { return text }
            if let reason = json["reason"].string { return "gap \(reason)" }
            return nil
        }
    }

    /// All events of a stream up to this text.
    private func stream(
        _ server: HoldfastServer,
        _ target: String,
        type: String = "text/event-stream",
        upTo last: String
    ) throws -> HTTPAnswer {
        let peer = try server.peer()
        try peer.send(FastCGIRequest("GET", target, fields: ["Accept": type]))
        return try read(peer, upTo: last)
    }

    private func read(_ peer: FastCGIPeer, upTo last: String) throws -> HTTPAnswer {
        var count = 0
        while true {
            let answer = try peer.partialAnswer(atLeast: count)
            if answer.text.contains("\"\(last)\"") { return answer }
            count = answer.body.count + 1
        }
    }

    /// The id before the text in an event stream.
    private func id(of text: String, in answer: HTTPAnswer) throws -> String {
        let blocks = answer.text.components(separatedBy: "\n\n")
        let block = try #require(blocks.first { $0.contains("\"\(text)\"") })
        let line = try #require(block.split(separator: "\n").first { $0.hasPrefix("id: ") })
        return String(line.dropFirst(4))
    }

    private func texts(_ json: JSON) -> [String] {
        json["messages"].array.map { $0["data"].string ?? "" }
    }

    /// README's recipe, between a backup of eight messages, of ten that were acknowledged, and `n1`.
    private func restore(_ server: HoldfastServer) throws -> (ids: [String], etag: String) {
        var ids: [String] = []
        for number in 1...8 { ids.append(try server.publish("news", "m\(number)")) }
        let copy = server.directory.file("copy.sqlite")
        #expect(try server.command("log", "backup", copy).exit == .exited(0))
        for number in 9...10 { ids.append(try server.publish("news", "m\(number)")) }
        let etag = try #require(server.get("/push/news?since=last:1")["ETag"])
        try server.stop()
        let bus = server.directory.file("bus")
        for name in ["log.sqlite-wal", "log.sqlite-shm"] where Files.exists("\(bus)/\(name)") {
            try Files.remove("\(bus)/\(name)")
        }
        try #require(rename(copy, "\(bus)/log.sqlite") == 0)
        #expect(try server.command("log", "new-epoch").exit == .exited(0))
        try server.start()
        try server.publish("news", "n1")
        return (ids, etag)
    }

    @Test func `polls below the end of a restored log passed over what was lost`() throws {
        try HoldfastServer.with { server in
            let (ids, etag) = try restore(server)
            for (number, expected) in [
                (5, ["m6", "m7", "m8", "n1"]), (8, ["n1"]), (9, ["n1"]), (10, ["n1"]),
            ] {
                let answer = try server.get("/push/news?since=\(ids[number - 1])").json
                #expect(texts(answer) == expected)
                #expect(answer["gap"]["reason"] == "restarted")
                // It is told once.
                let cursor = try #require(answer["cursor"].string)
                #expect(try server.get("/push/news?since=\(cursor)").json["gap"] == .null)
            }
            // In pieces, with the first.
            var cursor = ids[4]
            var gaps: [JSON] = []
            var got: [String] = []
            for _ in 1...4 {
                let answer = try server.get("/push/news?since=\(cursor)&limit=1").json
                got += texts(answer)
                gaps.append(answer["gap"]["reason"])
                cursor = try #require(answer["cursor"].string)
            }
            #expect(got == ["m6", "m7", "m8", "n1"])
            #expect(gaps == ["restarted", .null, .null, .null])
            // On a channel that has never had anything, too: it may have been lost.
            let other = try server.get("/push/other?since=\(ids[4])&wait=25").json
            #expect(other["gap"]["reason"] == "restarted")
            // A reader that gives a place to begin has nothing to miss.
            for since in ["first", "last:3", "age:1h", "now"] {
                #expect(try server.get("/push/news?since=\(since)").json["gap"] == .null)
            }
            let bare = try server.get("/push/news?since=\(ids[4])&format=bare")
            #expect(bare.status == 200 && bare["Holdfast-Gap"] == "restarted")
            // What was the same answer is another now.
            let newest = try server.get("/push/news?since=last:1", ["If-None-Match": etag])
            #expect(newest.status == 200)
            let failing = try server.get("/push/news?since=\(ids[4])&on_gap=fail")
            #expect(failing.status == 410)
            // Restarts lose nothing, whether orderly or not, and are silent.
            let before = try server.publish("news", "n2")
            try server.stop()
            try server.start()
            try server.kill()
            try server.start()
            #expect(try server.get("/push/news?since=\(before)").json["gap"] == .null)
            #expect(try server.get("/push/news?since=\(cursor)").json["gap"] == .null)
            #expect(
                try server.get("/push/news?since=\(ids[4])").json["gap"]["reason"] == "restarted"
            )
        }
    }

    @Test func `streams below the end of a restored log passed over what was lost`() throws {
        try HoldfastServer.with { server in
            let (ids, _) = try restore(server)
            let expected = ["gap restarted", "m6", "m7", "m8", "n1"]
            let target = "/push/news?since=\(ids[4])"
            let sse = try stream(server, target, upTo: "n1")
            #expect(try events(sse) == expected)
            let lines = try stream(server, target, type: "application/x-ndjson", upTo: "n1")
            #expect(try events(lines) == expected)
            // A browser that comes back in the midst of what is older was told already.
            let back = try stream(
                server,
                "/push/news?since=\(try id(of: "m7", in: sse))",
                upTo: "n1"
            )
            #expect(try events(back) == ["m8", "n1"])

            let client = try server.busClient()
            try client.send("subscribe news since \(ids[4])\n")
            try client.next("hello")
            #expect(try client.next("gap")["reason"] == "restarted")
            let sixth = try client.next("message")
            #expect(sixth["id"].string == ids[5])
            for text in ["m7", "m8", "n1"] {
                #expect(try client.next("message")["data"].string == text)
            }
            let second = try server.busClient()
            try second.send("subscribe news since \(try #require(sixth["cursor"].string))\n")
            try second.next("hello")
            #expect(try second.next("message")["data"] == "m7")

            let file = server.directory.file("seen")
            for (count, told) in [(2, 1), (2, 0)] {
                let sub = try server.command(
                    "sub",
                    "news",
                    "--since",
                    ids[4],
                    "--cursor-file",
                    file,
                    "--count",
                    "\(count)",
                    "--format",
                    "raw"
                )
                #expect(sub.exit == .exited(0))
                #expect(sub.output == (told == 1 ? "m6\nm7\n" : "m8\nn1\n"))
                #expect(sub.error.components(separatedBy: "(restarted)").count - 1 == told)
            }
        }
    }

    @Test func `a request held while the log was replaced skipped what was lost`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            for number in 1...8 { try server.publish("news", "m\(number)") }
            let copy = server.directory.file("copy.sqlite")
            #expect(try server.command("log", "backup", copy).exit == .exited(0))
            for number in 9...10 { try server.publish("news", "m\(number)") }
            let poll = try server.hold("/push/news?wait=25")
            let sse = try server.peer()
            try sse.send(
                FastCGIRequest("GET", "/push/news", fields: ["Accept": "text/event-stream"])
            )
            let client = try server.busClient()
            try client.send("subscribe news\n")
            try client.next("hello")
            try server.waitForHeld(3)
            try #require(rename(copy, server.directory.file("bus/log.sqlite")) == 0)

            let answer = try poll.answer().json
            #expect(answer["gap"]["reason"] == "restarted" && texts(answer) == [])
            try server.publish("news", "n1")
            try server.publish("news", "n2")
            #expect(try events(read(sse, upTo: "n2")) == ["gap restarted", "n1", "n2"])
            #expect(try client.next("gap")["reason"] == "restarted")
            for text in ["n1", "n2"] { #expect(try client.next("message")["data"].string == text) }
            let cursor = try #require(answer["cursor"].string)
            let next = try server.get("/push/news?since=\(cursor)").json
            #expect(texts(next) == ["n1", "n2"] && next["gap"] == .null)
        }
    }

    @Test func `a stream that ended before it was told of a restore came back behind it`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            try server.publish("news", "m1")
            let copy = server.directory.file("copy.sqlite")
            #expect(try server.command("log", "backup", copy).exit == .exited(0))
            let stream = try server.peer(receiveBuffer: 4096)
            try stream.send(FastCGIRequest("GET", "/push/news?stream=ndjson"))
            try server.waitForHeld(1)
            // It is live, and has not read all.
            let long = String(repeating: "x", count: 30_000)
            for number in 1...30 { try server.publish("news", "\(number) \(long)") }
            try #require(rename(copy, server.directory.file("bus/log.sqlite")) == 0)
            try server.publish("news", "n1")
            try server.writeSettings("[allow other]\nread = everyone\n")
            server.reload()
            try waitUntil("it is read") { server.log.contains("ini file read again") }

            let lines = try stream.answer().text.split(separator: "\n")
            let last = try JSON(Array(try #require(lines.last).utf8))
            #expect(last["kind"] == "bye" && last["reason"] == "revoked")
            #expect(!lines.contains { $0.contains("\"gap\"") })
            let cursor = try #require(last["cursor"].string)
            let granted = [("HOLDFAST_READ", "news")]
            let again = try server.get("/push/news?since=\(cursor)", params: granted).json
            #expect(again["gap"]["reason"] == "restarted")
            #expect(texts(again).last == "n1")
        }
    }

    @Test func `polls that waited for a log that was replaced skipped messages without a gap`()
        throws
    {
        try HoldfastServer.with(bus: ["memory_messages = 16"]) { server in
            server.expectsErrors = true
            for _ in 1...3 {
                for number in 1...60 { try server.publish("news", "old \(number)") }
                let first = try server.get("/push/news?since=first&limit=1").json
                let cursor = try #require(first["cursor"].string)
                let epoch = cursor.prefix { $0 != "-" }
                // Publishes that find the log gone and make a new one, and right behind them, in the same turn of the
                // loop, polls from the old one. They are below what is in memory, so the log is asked.
                let (publishes, polls) = (UInt16(1)...60, UInt16(61)...860)
                let poll = FastCGIRequest("GET", "/push/news?since=\(cursor)&limit=1")
                var bytes: [UInt8] = []
                for id in publishes {
                    bytes += FastCGIRequest.publish("/push/news", "new").bytes(id: id, keep: true)
                }
                for id in polls { bytes += poll.bytes(id: id, keep: true) }
                let process = try #require(server.process)
                let peer = try server.peer()
                process.signal(SIGSTOP)
                for file in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
                    try? Files.remove(server.directory.file("bus/\(file)"))
                }
                let written = peer.socket.writeAtOnce(bytes)
                process.signal(SIGCONT)
                try peer.socket.write(Array(bytes.dropFirst(written)))
                for id in publishes { #expect(try peer.answer(id).status == 201) }
                var wrong: [JSON] = []
                for id in polls {
                    let answer = try peer.answer(id)
                    guard answer.status == 200 else { continue }
                    let json = try answer.json
                    let isOld = json["cursor"].string?.hasPrefix("\(epoch)-") == true
                    // What was read beside what is said: all of the old log, or the new one with its gap.
                    let areOld = json["messages"].array.map {
                        $0["id"].string?.hasPrefix("\(epoch)-") == true
                    }
                    let reason: JSON = isOld ? .null : "restarted"
                    if json["gap"]["reason"] != reason || areOld.contains(!isOld) {
                        wrong.append(json)
                    }
                }
                #expect(wrong.isEmpty, "\(wrong.count) answers, \(wrong.prefix(2))")
            }
        }
    }
}
