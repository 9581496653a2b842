import Harness
import Testing

/// Reading: cursors, forms, several channels, gaps, caching; see also what is held in FastCGIEdgeTests.
@Suite struct SubscribeTests {
    private func data(_ answer: HTTPAnswer) throws -> [String?] {
        try answer.json["messages"].array.map { $0["data"].string }
    }

    @Test func `since takes all its forms`() throws {
        try HoldfastServer.with { server in
            for number in 1...5 { try server.publish("news", "\(number)") }
            let cursor = try server.cursor("news")
            for (since, expected) in [
                ("first", ["1", "2", "3", "4", "5"]), ("last:2", ["4", "5"]), ("last:0", []),
                ("last:99", ["1", "2", "3", "4", "5"]), ("age:10m", ["1", "2", "3", "4", "5"]),
                ("now", []), (cursor, []),
            ] {
                let answer = try server.get("/push/news?since=\(since)")
                #expect(answer.status == 200)
                #expect(try data(answer) == expected, "since=\(since)")
                #expect(try answer.json["gap"] == .null)
            }
            try server.publish("news", "6")
            #expect(try data(server.get("/push/news?since=\(cursor)")) == ["6"])
        }
    }

    @Test(arguments: [
        "since=x", "since=-1", "since=%FF", "since=age:5", "since=last:-1", "wait=x", "wait=-1",
        "limit=0", "limit=x", "on_gap=x", "format=x", "subscriber=short",
    ])
    func `a parameter that makes no sense is answered 400 with a code`(parameter: String) throws {
        try HoldfastServer.with { server in
            let answer = try server.get("/push/news?\(parameter)")
            #expect(answer.status == 400)
            #expect(answer["Content-Type"] == "application/problem+json")
            #expect(answer["Cache-Control"] == "no-store")
            #expect(try answer.json["status"] == 400)
            #expect(try answer.json["code"].string?.isEmpty == false)
            #expect(try answer.json["detail"].string?.isEmpty == false)
        }
    }

    @Test func `unknown parameters are ignored`() throws {
        try HoldfastServer.with { server throws in
            #expect(try server.get("/push/news?_=1700000000000&x").status == 200)
        }
    }

    @Test func `one cursor serves several channels in their common order`() throws {
        try HoldfastServer.with { server in
            for (channel, text) in [("a", "1"), ("b", "2"), ("c", "3"), ("a", "4"), ("b", "5")] {
                try server.publish(channel, text)
            }
            #expect(try data(server.get("/push/a,b?since=first")) == ["1", "2", "4", "5"])
            #expect(
                try data(server.get("/push/?channel=a&channel=c&since=first")) == ["1", "3", "4"]
            )
            let cursor = try server.get("/push/a,b?since=first").json["cursor"].string ?? ""
            let peer = try server.hold("/push/b,a?wait=25&since=\(cursor)")
            try server.publish("c", "not for them")
            try server.publish("a", "6")
            #expect(try data(peer.answer()) == ["6"])
        }
    }

    @Test func `limit cuts an answer, more says so, and nothing is skipped`() throws {
        try HoldfastServer.with { server in
            for number in 1...7 { try server.publish("news", "\(number)") }
            var (cursor, got, more): (String, [String?], [Bool]) = ("first", [], [])
            repeat {
                let answer = try server.get("/push/news?limit=3&wait=1&since=\(cursor)")
                got += try data(answer)
                more.append(try answer.json["more"] == true)
                cursor = try answer.json["cursor"].string ?? ""
            } while more.last == true
            #expect(got == (1...7).map { "\($0)" })
            #expect(more == [true, true, false])
        }
    }

    @Test func `trimmed messages are reported as a gap`() throws {
        let few = HoldfastServer.open + "[retain news]\ncount = 3\n"
        try HoldfastServer.with(few) { server in
            try server.publish("news", "0")
            let cursor = try server.cursor("news")
            for number in 1...10 { try server.publish("news", "\(number)") }
            var answer = try server.get("/push/news?since=\(cursor)")
            try waitUntil("the channel is trimmed") {
                answer = try server.get("/push/news?since=\(cursor)")
                return try answer.json["gap"] != .null
            }
            #expect(try answer.json["gap"]["reason"] == "trimmed")
            let kept = try data(answer)
            #expect(kept == (1...10).suffix(kept.count).map { "\($0)" })
            #expect(kept.count >= 3)
            // A waiting subscriber is told at once, because the gap is new to it.
            #expect(try server.get("/push/news?wait=25&since=\(cursor)").json["gap"] != .null)

            let failed = try server.get("/push/news?on_gap=fail&since=\(cursor)")
            #expect(failed.status == 410)
            #expect(try failed.json["code"] == "gap")
            let restart = try #require(try failed.json["cursor"].string)
            try server.publish("news", "next")
            let next = try server.get("/push/news?on_gap=fail&since=\(restart)")
            #expect(next.status == 200)
            #expect(try data(next) == ["next"])
        }
    }

    @Test func `a cursor of another log, or from the future, is reported as a gap`() throws {
        let foreign = try HoldfastServer.with { server in
            for number in 1...5 { try server.publish("news", "\(number)") }
            return try server.cursor("news")
        }
        try HoldfastServer.with { server in
            try server.publish("news", "here")
            let restarted = try server.get("/push/news?wait=5&since=\(foreign)")
            #expect(try restarted.json["gap"]["reason"] == "restarted")
            let epoch = try server.cursor("news").prefix { $0 != "-" }
            let future = try server.get("/push/news?wait=5&since=\(epoch)-ffff")
            #expect(try future.json["gap"]["reason"] == "future")
            let cursor = try future.json["cursor"].string ?? ""
            try server.publish("news", "next")
            #expect(try data(server.get("/push/news?since=\(cursor)")) == ["next"])
        }
    }

    @Test func `a tag revalidates an immediate poll, and traffic elsewhere does not spoil it`()
        throws
    {
        try HoldfastServer.with { server in
            try server.publish("news", "1")
            let first = try server.get("/push/news?since=last:5")
            let tag = try #require(first["ETag"])
            #expect(first["Cache-Control"] == "private, no-cache")
            try server.publish("other", "x")
            let same = try server.get("/push/news?since=last:5", ["If-None-Match": tag])
            #expect(same.status == 304)
            #expect(same.body.isEmpty)
            #expect(same["ETag"] == tag)
            try server.publish("news", "2")
            let changed = try server.get("/push/news?since=last:5", ["If-None-Match": tag])
            #expect(changed.status == 200)
            #expect(changed["ETag"] != tag)
        }
    }

    @Test func `HEAD answers at once and holds nothing`() throws {
        try HoldfastServer.with { server in
            let answer = try server.exchange(FastCGIRequest("HEAD", "/push/news?wait=25"))
            #expect(answer.status == 200)
            #expect(answer.body.isEmpty)
        }
    }

    @Test func `bare gives the message as it is, and 204 when there is none`() throws {
        try HoldfastServer.with { server in
            #expect(try server.get("/push/news?format=bare&since=first").status == 204)
            let svg = "<svg/>"
            #expect(try server.post("/push/news", svg, type: "image/svg+xml").status == 201)
            try server.publish("news", "two")
            let answer = try server.get("/push/news?format=bare&since=first")
            #expect(answer.text == svg)
            // A browser would run the scripts in it.
            #expect(answer["Content-Type"] == "text/plain; charset=utf-8")
            #expect(answer["X-Content-Type-Options"] == "nosniff")
            let cursor = try #require(answer["Holdfast-Cursor"])
            #expect(answer["Link"]?.contains("since=\(cursor)") == true)
            #expect(try server.get("/push/news?format=bare&since=\(cursor)").text == "two")
        }
    }

    @Test func `Prefer asks to wait as the parameter does`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(FastCGIRequest("GET", "/push/news", fields: ["Prefer": "wait=20"]))
            try server.waitForHeld(1)
            try server.publish("news", "x")
            #expect(try peer.answer()["Preference-Applied"] == "wait=20")
        }
    }

    @Test func `a wait is cut to what the ini file allows`() throws {
        try HoldfastServer.with(HoldfastServer.open + "max_wait = 1s\n") { server in
            let peer = try server.hold("/push/news?wait=3000")
            #expect(try peer.answer().status == 200)
            #expect(try server.metrics().ended("deadline") == 1)
        }
    }

    @Test func `what is not there says so`() throws {
        try HoldfastServer.with { server in
            #expect(try server.get("/elsewhere").status == 404)
            #expect(try server.get("/push/-/nothing").status == 404)
            #expect(try server.get("/push/").status == 400)
            #expect(try server.get("/push/~x").status == 400)
            #expect(try server.get("/push/a/../b").status == 400)
            let put = try server.exchange(FastCGIRequest("PUT", "/push/news"))
            #expect(put.status == 405)
            #expect(put["Allow"]?.contains("POST") == true)
        }
    }
}
