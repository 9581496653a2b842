import Glibc
import Harness
import Testing

/// Writing: content, several channels, repetition, expiry.
@Suite struct PublishTests {
    @Test func `JSON, forms, text and bytes are kept as what they are`() throws {
        try HoldfastServer.with { server in
            let bodies = [
                (#"{"a":[1,2.5,"x",null]}"#, "application/json"),
                ("nick=Ann&message=a+%26+b", "application/x-www-form-urlencoded"),
                ("plain \u{1F600} \"text\"\n", "text/plain;charset=utf-8"),
                ("\u{0}\u{1}", "application/octet-stream"),
            ]
            for (body, type) in bodies {
                #expect(try server.post("/push/news", body, type: type).status == 201)
            }
            let messages = try server.get("/push/news?since=first").json["messages"]
            #expect(messages[0]["data"] == ["a": [1, .number(2.5), "x", .null]])
            #expect(messages[1]["data"] == ["nick": "Ann", "message": "a & b"])
            #expect(messages[2]["data"].string == bodies[2].0)
            #expect(messages[3]["data"] == "AAE=")
            #expect(messages[3]["encoding"] == "base64")
        }
    }

    @Test func `a publisher is told where its message is`() throws {
        try HoldfastServer.with { server in
            let answer = try server.post("/push/news", "hello")
            #expect(answer.status == 201)
            #expect(try answer.json["status"] == "sent")
            let id = try #require(try answer.json["id"].string)
            #expect(answer["Location"]?.hasSuffix("/push/-/messages/\(id)") == true)
            let message = try server.get("/push/-/messages/\(id)")
            #expect(message.status == 200)
            #expect(try message.json["data"] == "hello")
            #expect(try server.get("/push/-/messages/nonsense").status == 404)
            let cursor = try #require(try answer.json["cursor"].string)
            #expect(try server.get("/push/news?since=\(cursor)").json["messages"] == [])
        }
    }

    @Test func `several channels get one message each`() throws {
        try HoldfastServer.with { server in
            let waiting = try server.hold("/push/b?wait=25")
            let answer = try server.post("/push/a,b", "both")
            #expect(try answer.json["ids"].array.count == 2)
            #expect(try waiting.answer().json["messages"].array.count == 1)
            #expect(try server.get("/push/a,b?since=first").json["messages"].array.count == 2)
        }
    }

    @Test func `a batch is kept whole or not at all`() throws {
        try HoldfastServer.with { server in
            let waiting = try server.hold("/push/news?wait=25")
            let type = "application/x-ndjson"
            let bad = try server.post("/push/news", "1\n{\n3\n", type: type)
            #expect(bad.status == 400)
            #expect(try bad.json["detail"].string?.hasPrefix("Line 2") == true)
            let good = try server.post("/push/news", "1\n{\"a\":2}\n\"3\"\n", type: type)
            #expect(good.status == 201)
            #expect(try good.json["ids"].array.count == 3)
            let messages = try waiting.answer().json["messages"].array
            #expect(messages.map { $0["data"] } == [1, ["a": 2], "3"])
        }
    }

    @Test func `DELETE empties a channel, and waiting subscribers are told`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "old")
            try server.publish("other", "stays")
            let cursor = try server.cursor("news,other")
            let waiting = try server.hold("/push/news,other?wait=25&since=\(cursor)")
            let request = FastCGIRequest("DELETE", "/push/news")
            #expect(try server.exchange(request).status == 204)
            let answer = try waiting.answer().json
            #expect(answer["gap"]["reason"] == "deleted")
            #expect(answer["messages"] == [])
            #expect(try server.metrics().ended("gap") == 1)
            // Again: nothing is there any more, and no gap is reported.
            #expect(try server.exchange(request).status == 204)
            let next = answer["cursor"].string ?? ""
            #expect(try server.get("/push/news?since=\(next)").json["gap"] == .null)
            #expect(try server.get("/push/news?since=\(cursor)").json["gap"]["reason"] == "deleted")
            let left = try server.get("/push/news,other?since=first").json["messages"].array
            #expect(left.map { $0["data"] } == ["stays"])
        }
    }

    @Test func `a message of a topic takes the place of the one before`() throws {
        try HoldfastServer.with { server in
            let topic = ["Topic": "score"]
            for text in ["1:0", "1:1", "2:1"] {
                #expect(try server.post("/push/game", text, fields: topic).status == 201)
            }
            let answer = try server.get("/push/game?since=first").json
            #expect(answer["messages"].array.map { $0["data"] } == ["2:1"])
            #expect(answer["gap"] == .null)
        }
    }

    @Test func `a list of channels too long for a URL comes in the body of a POST`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nchannels_per_request = 1000\n") {
            server in
            let names = (1...1000).map { "a-channel-with-a-long-name/\($0)" }
            let form = (names.map { "channel=\($0)" } + ["wait=25", "since=now"])
                .joined(separator: "&")
            let before = try server.metrics()["holdfast_holds_total"]
            let peer = try server.peer()
            try peer.send(
                FastCGIRequest.publish(
                    "/push/?op=read",
                    form,
                    type: "application/x-www-form-urlencoded"
                )
            )
            try waitUntil("held") { try server.metrics()["holdfast_holds_total"] > before }
            try server.publish(names[700], "found")
            #expect(try peer.answer().json["messages"][0]["data"] == "found")
        }
    }

    @Test func `a publisher that has used up its quota is told when to come back`() throws {
        let quota = "[quota *]\nmessages = 2\nper = 1h\n[quota anna]\nmessages = 1000\n"
        try HoldfastServer.with(HoldfastServer.open + quota) { server in
            let statuses = try (1...3).map { try server.post("/push/a", "\($0)").status }
            #expect(statuses == [201, 201, 429])
            let refused = try server.post("/push/a", "4")
            #expect(try refused.json["code"] == "quota_exceeded")
            let wait = try #require(Int(refused["Retry-After"] ?? ""))
            #expect((1...1800).contains(wait))
            let anna = [("HOLDFAST_USER", "anna")]
            #expect(try server.post("/push/a", "5", params: anna).status == 201)
            #expect(try server.get("/push/a?since=first").json["messages"].array.count == 3)
        }
    }

    @Test func `the operator sees the channels and the held requests there`() throws {
        try HoldfastServer.with { server in
            try server.publish("b/1", "x")
            try server.publish("a", "yy")
            let waiting = try server.hold("/push/a,b/1?wait=25")
            let operates = [("HOLDFAST_OPERATOR", "1")]
            let all = try server.get("/push/-/channels", params: operates).json
            #expect(all["channels"].array.map { $0["channel"] } == ["a", "b/1"])
            #expect(all["channels"][0]["bytes"] == 2)
            #expect(all["channels"][0]["held"] == 1)
            #expect(all["next"] == .null)
            let page = try server.get("/push/-/channels?limit=1", params: operates).json
            #expect(page["channels"].array.map { $0["channel"] } == ["a"])
            #expect(page["next"] == "a")
            let rest = try server.get("/push/-/channels?after=a", params: operates).json
            #expect(rest["channels"].array.map { $0["channel"] } == ["b/1"])
            let one = try server.get("/push/-/channels/b/1", params: operates).json
            #expect(one["messages"] == 1)
            #expect(try server.get("/push/-/channels/c", params: operates).status == 404)
            #expect(try server.get("/push/-/channels").status == 403)
            try server.publish("a", "end")
            #expect(try waiting.answer().status == 200)
        }
    }

    @Test func `a key makes a repetition harmless, across a kill too`() throws {
        try HoldfastServer.with { server in
            let key = ["Idempotency-Key": "k-1"]
            let first = try server.post("/push/news", "once", fields: key)
            #expect(first.status == 201)
            let again = try server.post("/push/news", "once", fields: key)
            #expect(try again.json["id"] == first.json["id"])
            let other = try server.post("/push/news", "twice", fields: key)
            #expect(other.status == 422)
            try server.kill()
            try server.start()
            let after = try server.post("/push/news", "once", fields: key)
            #expect(try after.json["id"] == first.json["id"])
            #expect(try server.get("/push/news?since=first").json["messages"].array.count == 1)
            // Another publisher's key of the same name is another key.
            let ann = try server.post(
                "/push/news",
                "ann",
                fields: key,
                params: [("HOLDFAST_USER", "ann")]
            )
            #expect(ann.status == 201)
        }
    }

    @Test func `a message goes when its time is over, and that is no gap`() throws {
        try HoldfastServer.with { server in
            let cursor = try server.cursor("news")
            let fields = ["TTL": "1"]
            #expect(try server.post("/push/news", "brief", fields: fields).status == 201)
            try server.publish("news", "lasting")
            try waitUntil("the message is gone") {
                let answer = try server.get("/push/news?since=\(cursor)").json
                #expect(answer["gap"] == .null)
                return answer["messages"].array.map { $0["data"] } == ["lasting"]
            }
        }
    }

    @Test func `what cannot be kept is refused with a reason`() throws {
        try HoldfastServer.with { server in
            for (body, type, fields, status) in [
                ("{", "application/json", [:], 400),
                (String(repeating: "x", count: 65_537), "text/plain", [:], 413),
                ("x", "text/plain", ["TTL": "soon"], 400),
                ("x", "text/plain", ["Holdfast-Type": "gap"], 400),
                ("x", "text/plain", ["Content-Encoding": "gzip"], 415),
            ] as [(String, String, [String: String], Int)] {
                let answer = try server.post("/push/news", body, type: type, fields: fields)
                #expect(answer.status == status)
                #expect(answer["Content-Type"] == "application/problem+json")
            }
            #expect(try server.get("/push/news?since=first").json["messages"] == [])
            #expect(
                try server.post("/push/news", String(repeating: "x", count: 65_536)).status == 201
            )
        }
    }

    @Test func `a publisher on the web is told that there are too many channels`() throws {
        try HoldfastServer.withBus(HoldfastServer.open + "[limits]\nchannels = 1\n") { server in
            try server.publish("a", "0")
            let refused = try server.post("/push/b", "x")
            #expect(refused.status == 507)
            #expect(try refused.json["code"] == "no_more_channels")
            let client = try server.busClient()
            #expect(try client.ask("publish b x")["code"] == "no_more_channels")
        }
    }

    @Test func `a publisher on the web could use the keys of one on this machine`() throws {
        try HoldfastServer.withBus { server in
            let client = try server.busClient()
            try client.send("put a 1 key=k\nx")
            let first = try client.next("ok")
            let name = "unix:\(geteuid())"
            let second = try server.post(
                "/push/a",
                "y",
                fields: ["Idempotency-Key": "k"],
                params: [("HOLDFAST_PUBLISHER", name)]
            )
            #expect(second.status == 201)
            #expect(try second.json["id"] != first["id"])
        }
    }
}
