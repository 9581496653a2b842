import Harness
import Testing

/// What FastCGI 1.0 promises a web server, asked by a peer of our own.
@Suite struct FastCGIEdgeTests {
    @Test func `an immediate poll is answered and the connection closed`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(FastCGIRequest("GET", "/push/news"))
            let answer = try peer.answer()
            #expect(answer.status == 200)
            #expect(try answer.json["messages"] == [])
            #expect(try answer.json["gap"] == .null)
            #expect(try answer.json["cursor"].string?.isEmpty == false)
            try peer.expectClosed()
        }
    }

    @Test(arguments: [false, true])
    func `a held poll gets the message that comes`(keep: Bool) throws {
        try HoldfastServer.with { server in
            let peer = try server.hold("/push/news?wait=25", keep: keep)
            let id = try server.publish("news", "hello")
            let answer = try peer.answer()
            #expect(answer.status == 200)
            #expect(try answer.json["messages"][0]["data"] == "hello")
            #expect(try answer.json["messages"][0]["channel"] == "news")
            #expect(try answer.json["messages"][0]["id"].string == id)
            #expect(try server.metrics().ended("released") == 1)
            #expect(try server.metrics().held == 0)
            if keep {
                try peer.send(FastCGIRequest("GET", "/push/-/live"), keep: false)
                #expect(try peer.answer().status == 200)
            }
            try peer.expectClosed()
        }
    }

    @Test func `a kept connection serves one request after another`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            for number in 1...20 {
                try peer.send(.publish("/push/news", "m\(number)"), keep: true)
                #expect(try peer.answer().status == 201)
            }
            try peer.send(FastCGIRequest("GET", "/push/news?since=first"), id: 65_535, keep: true)
            #expect(try peer.answer(65_535).json["messages"].array.count == 20)
            #expect(try server.metrics().connections == 2)
        }
    }

    @Test func `several ids are held on a connection whose peer multiplexes`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(
                FastCGIRecord(
                    FastCGIRecord.getValues,
                    id: 0,
                    FastCGIRecord.pairs([("FCGI_MPXS_CONNS", "")])
                )
            )
            #expect(try peer.record()?.shortPairs == ["FCGI_MPXS_CONNS": "1"])
            for id in UInt16(1)...4 {
                try peer.send(FastCGIRequest("GET", "/push/c\(id)?wait=25"), id: id, keep: true)
            }
            try server.waitForHeld(4)
            for id in [UInt16(3), 1, 4, 2] {
                try server.publish("c\(id)", "for \(id)")
                #expect(try peer.answer(id).json["messages"][0]["data"].string == "for \(id)")
            }
        }
    }

    @Test func `records of two requests may be interleaved`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            let requests: [(id: UInt16, request: FastCGIRequest)] = [
                (7, .publish("/push/a", "first")), (300, .publish("/push/b", "second")),
            ]
            var bytes: [UInt8] = []
            for (id, _) in requests { bytes += FastCGIRecord.begin(id: id, keep: true).bytes }
            for (id, request) in requests {
                bytes += FastCGIRecord(FastCGIRecord.params, id: id, request.encodedParams).bytes
            }
            for (id, _) in requests { bytes += FastCGIRecord(FastCGIRecord.params, id: id).bytes }
            for (id, request) in requests.reversed() {
                bytes += FastCGIRecord(FastCGIRecord.stdin, id: id, request.body).bytes
            }
            for (id, _) in requests { bytes += FastCGIRecord(FastCGIRecord.stdin, id: id).bytes }
            try peer.socket.write(bytes)
            for (id, _) in requests { #expect(try peer.answer(id).status == 201) }
            #expect(try server.get("/push/a?since=first").json["messages"][0]["data"] == "first")
            #expect(try server.get("/push/b?since=first").json["messages"][0]["data"] == "second")
        }
    }

    @Test func `the values asked for are told, each once, and unknown names left out`() throws {
        try HoldfastServer.with(
            HoldfastServer.open + "[limits]\nheld_requests = 100\n",
            fastcgi: ["max_connections = 123"]
        ) { server in
            let peer = try server.peer()
            let names = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "NO_SUCH_NAME", "FCGI_MPXS_CONNS"]
            let asked = Array(repeating: names, count: 20).flatMap { $0 }.map { ($0, "") }
            try peer.send(FastCGIRecord(FastCGIRecord.getValues, id: 0, FastCGIRecord.pairs(asked)))
            let result = try #require(try peer.record())
            #expect(result.type == FastCGIRecord.getValuesResult)
            #expect(result.id == 0)
            #expect(result.shortPairs["FCGI_MAX_CONNS"] == "123")
            #expect(result.shortPairs["FCGI_MPXS_CONNS"] == "1")
            #expect(result.shortPairs.count == 3)
            try peer.send(FastCGIRequest("GET", "/push/-/live"))
            #expect(try peer.answer().status == 200)
        }
    }

    @Test func `a web server was promised more connections than there are descriptors`() throws {
        try HoldfastServer.with(prelude: "ulimit -n 200") { server in
            let peer = try server.peer()
            let asked = [("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", "")]
            try peer.send(FastCGIRecord(FastCGIRecord.getValues, id: 0, FastCGIRecord.pairs(asked)))
            let told = try #require(try peer.record()).shortPairs
            let connections = try #require(told["FCGI_MAX_CONNS"].flatMap { Int($0) })
            #expect((1..<200).contains(connections))
            let held = try server.status()["limits"]["held"].number
            #expect(told["FCGI_MAX_REQS"] == held.map { "\(Int($0))" })
            #expect(held.map { Int($0) <= connections } == true)
        }
    }

    @Test func `an unknown management record is named, and its content is no request's parameter`()
        throws
    {
        try HoldfastServer.with("[log]\nlevel = info\n") { server in
            let peer = try server.peer()
            let content = FastCGIRecord.pairs([("HOLDFAST_READ", "**"), ("HOLDFAST_OPERATOR", "1")])
            try peer.send(FastCGIRecord(42, id: 0, content, padding: 3))
            let told = try #require(try peer.record())
            #expect(told.type == FastCGIRecord.unknownType)
            #expect(told.content.first == 42)
            try peer.send(FastCGIRequest("GET", "/push/news"), keep: true)
            #expect(try peer.answer().status == 403)
            try peer.send(FastCGIRequest("GET", "/push/-/metrics"), keep: true)
            #expect(try peer.answer().status == 403)
        }
    }

    @Test(arguments: [UInt16(0), 2, 3, 0xFFFF])
    func `another role is refused and the connection stays usable`(role: UInt16) throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(.begin(id: 1, keep: true, role: role))
            let refused = try peer.response()
            #expect(refused.protocolStatus == 3)
            #expect(refused.stdout.isEmpty)
            // What belongs to it may still come.
            try peer.socket.write(
                FastCGIRecord(FastCGIRecord.params, id: 1).bytes
                    + FastCGIRecord(FastCGIRecord.stdin, id: 1).bytes
            )
            try peer.send(FastCGIRequest("GET", "/push/-/live"), id: 2)
            #expect(try peer.answer(2).status == 200)
        }
    }

    @Test func `an aborted hold is ended as FastCGI asks, and the connection stays usable`() throws
    {
        try HoldfastServer.with { server in
            let peer = try server.hold("/push/news?wait=25", keep: true)
            try peer.send(FastCGIRecord(FastCGIRecord.abort, id: 1))
            let response = try peer.response()
            #expect(response.protocolStatus == 0)
            #expect(response.stdout.isEmpty)
            #expect(try server.metrics().ended("aborted") == 1)
            #expect(try server.metrics().held == 0)
            try peer.send(FastCGIRequest("GET", "/push/-/live"))
            #expect(try peer.answer().status == 200)
        }
    }

    @Test func `a request and its abort in one write leave nothing behind`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            let request = FastCGIRequest("GET", "/push/news?wait=25").bytes(keep: true)
            try peer.socket.write(request + FastCGIRecord(FastCGIRecord.abort, id: 1).bytes)
            #expect(try peer.response().protocolStatus == 0)
            #expect(try server.metrics().held == 0)
            #expect(try server.metrics().ended("aborted") == 1)
            // An abort of a request that has ended already has no effect.
            try peer.send(FastCGIRecord(FastCGIRecord.abort, id: 1))
            try peer.send(FastCGIRequest("GET", "/push/-/live"), id: 2)
            #expect(try peer.answer(2).status == 200)
        }
    }

    @Test func `an abort in the middle of a request ends it`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(.begin(id: 1, keep: true))
            try peer.send(FastCGIRecord(FastCGIRecord.abort, id: 1))
            #expect(try peer.response().protocolStatus == 0)
            try peer.send(FastCGIRequest("GET", "/push/-/live"))
            #expect(try peer.answer().status == 200)
        }
    }

    @Test func `a newer id from a peer that never asked lets the older hold go`() throws {
        try HoldfastServer.with { server in
            let peer = try server.hold("/push/news?wait=25", keep: true)
            try peer.send(FastCGIRequest("GET", "/push/news?wait=25"), id: 3, keep: true)
            let early = try peer.answer(1)
            #expect(early.status == 200)
            #expect(try early.json["messages"] == [])
            #expect(try early.json["cursor"].string?.isEmpty == false)
            #expect(try server.metrics().ended("newer_request") == 1)
            #expect(try server.metrics().held == 1)
            try server.publish("news", "hello")
            #expect(try peer.answer(3).json["messages"][0]["data"] == "hello")
        }
    }

    @Test func `pipelined requests are all answered`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            var bytes: [UInt8] = []
            for id in UInt16(1)...50 {
                bytes += FastCGIRequest.publish("/push/news", "m\(id)").bytes(id: id, keep: true)
            }
            try peer.socket.write(bytes)
            for id in UInt16(1)...50 { #expect(try peer.answer(id).status == 201) }
            let got = try server.get("/push/news?since=first").json["messages"].array
            #expect(got.map { $0["data"].string } == (1...50).map { "m\($0)" })
        }
    }

    @Test(arguments: [nil, "", "-1", "3", "junk"])
    func `a body ends where its stream ends, whatever CONTENT_LENGTH says`(length: String?) throws {
        try HoldfastServer.with { server in
            var request = FastCGIRequest("POST", "/push/news")
            request.body = Array("twelve bytes".utf8)
            request.params = [("CONTENT_TYPE", "text/plain")]
            if let length { request.params.append(("CONTENT_LENGTH", length)) }
            #expect(try server.exchange(request).status == 201)
            let message = try server.get("/push/news?since=first").json["messages"][0]
            #expect(message["data"] == "twelve bytes")
        }
    }

    @Test func `every record of an answer is padded to eight bytes`() throws {
        try HoldfastServer.with { server in
            for length in 1...40 {
                try server.publish("news", String(repeating: "x", count: length))
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/news?since=last:1&format=bare"))
                while let record = try peer.record() {
                    #expect((record.content.count + Int(record.paddingLength)) % 8 == 0)
                }
            }
        }
    }

    @Test func `a wait that runs out is answered empty with its cursor`() throws {
        try HoldfastServer.with { server in
            let cursor = try server.cursor("news")
            let peer = try server.hold("/push/news?wait=1&since=\(cursor)")
            let answer = try peer.answer()
            #expect(answer.status == 200)
            #expect(try answer.json["messages"] == [])
            #expect(try answer.json["cursor"].string == cursor)
            #expect(try server.metrics().ended("deadline") == 1)
        }
    }

    @Test func `early headers begin an answer that its message completes`() throws {
        try HoldfastServer.with(HoldfastServer.open + "early_headers = on\n") { server in
            let peer = try server.hold("/push/news?wait=25")
            let early = try peer.partialAnswer()
            #expect(early.status == 200)
            #expect(early["Content-Length"] == nil)
            #expect(early.body.isEmpty)
            try server.publish("news", "hello")
            #expect(try peer.answer().json["messages"][0]["data"] == "hello")
        }
    }

    @Test func `message, deadline and departure in one moment end each hold once`() throws {
        try HoldfastServer.with { server in
            // Deadlines that fall all over a second in which messages come, and every tenth peer leaves.
            let jitter = HoldfastServer.open.replacing("jitter = 0%", with: "jitter = 50%")
            try server.writeSettings(jitter)
            server.reload()
            try waitUntil("the file is read again") { server.log.contains("ini file read again") }
            let peers = try (0..<300).map { number in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/c\(number % 50)?wait=1"))
                return peer
            }
            try waitUntil("all were held") { try server.metrics()["holdfast_holds_total"] == 300 }
            for number in stride(from: 0, to: 300, by: 10) { peers[number].socket.close() }
            var channel = 0
            while try server.metrics().held > 0 {
                try server.publish("c\(channel)", "x")
                channel = (channel + 7) % 50
            }
            for number in 0..<300 where number % 10 != 0 {
                let answer = try peers[number].answer()
                #expect(answer.status == 200)
                #expect(try answer.json["messages"].array.count <= 1)
                try peers[number].expectClosed()
            }
            let metrics = try server.metrics()
            #expect(metrics.endedInAll == 300)
            let ways = ["released", "deadline", "closed"].map { metrics.ended($0) }
            #expect(ways.reduce(0, +) == 300)
            #expect(metrics.connections == 1)
        }
    }

    @Test func `a held id begun again in another role was ended twice`() throws {
        try HoldfastServer.with { server in
            let peer = try server.hold("/push/news?wait=20", keep: true)
            try peer.send(.begin(id: 1, keep: true, role: 9))
            try peer.expectClosed()
            try server.waitForHeld(0)
            #expect(try server.metrics().endedInAll == 1)
        }
    }

    private let closing =
        HoldfastServer.open + """
            [endpoint /sub]
            action = subscribe
            channels = chat
            wait = 1s
            on_timeout = close

            """

    @Test func `a wait that ended without an answer took the other requests with it`() throws {
        try HoldfastServer.with(closing) { server in
            let peer = try server.peer()
            try peer.socket.write(
                FastCGIRecord.multiplexingQuestion.bytes
                    + FastCGIRequest("GET", "/sub").bytes(keep: true)
                    + FastCGIRequest("GET", "/push/news?wait=20").bytes(id: 3, keep: true)
            )
            #expect(try peer.record()?.type == FastCGIRecord.getValuesResult)
            let closed = try peer.response()
            #expect(closed.stdout.isEmpty)
            #expect(closed.protocolStatus == 0)
            try server.publish("news", "still here")
            #expect(try peer.answer(3).json["messages"][0]["data"] == "still here")
        }
    }

    @Test(
        .enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"),
        arguments: [Front.nginx, .nginxUnkept]
    )
    func `nginx asked again when a wait ended without an answer`(front: Front) throws {
        try front.with(closing) { web, holdfast in
            web.expectsFailures = true
            // So that there are kept connections, one of which nginx takes.
            for _ in 1...8 { #expect(try web.get("/push/-/live").status == 200) }
            #expect(try web.get("/sub").status == 503)
            let metrics = try holdfast.metrics()
            #expect(metrics["holdfast_holds_total"] == 1)
            #expect(metrics.ended("deadline") == 1)
            #expect(metrics.held == 0)
        }
    }
}
