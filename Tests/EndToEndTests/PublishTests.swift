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
                params: [("REMOTE_USER", "ann")]
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
}
