import Glibc
import Harness
import Testing

/// What went wrong once on connections: requests that came together, in pieces, or with their peer's end.
@Suite struct RegressionTests {
    /// Asks about multiplexing, so that several ids may be held.
    private let question = FastCGIRecord(
        FastCGIRecord.getValues,
        id: 0,
        FastCGIRecord.pairs([("FCGI_MPXS_CONNS", "")])
    ).bytes

    /// Nobody says anything; this is the condition under test.
    private func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }

    // MARK: Time

    @Test func `a publish after idle seconds was answered 503, since time stood still meanwhile`()
        throws
    {
        try HoldfastServer.with { server in
            try server.publish("news", "opens the log")
            pause(milliseconds: 2200)
            #expect(try server.post("/push/news", "after a pause").status == 201)
            #expect(try server.metrics().bound("publish_time") == 0)
        }
    }

    @Test func `a hold after idle seconds ended too early, since time stood still meanwhile`()
        throws
    {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            pause(milliseconds: 2200)
            let begun = ContinuousClock.now
            try peer.send(FastCGIRequest("GET", "/push/news?wait=1"))
            #expect(try peer.answer().json["messages"] == [])
            #expect(ContinuousClock.now - begun >= .milliseconds(900))
            #expect(try server.metrics().ended("deadline") == 1)
        }
    }

    @Test(arguments: [false, true])
    func `a healthy connection was dropped since its requests came in pieces`(backToBack: Bool)
        throws
    {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nrequest_timeout = 1s\n") {
            server in
            let bytes = FastCGIRequest.publish("/push/news", String(repeating: "x", count: 100))
                .bytes(keep: true)
            let (start, end) = (Array(bytes.dropLast(50)), Array(bytes.suffix(50)))
            let peer = try server.peer()
            try peer.socket.write(start)
            for _ in 1...6 {
                pause(milliseconds: 400)
                try peer.socket.write(backToBack ? end + start : end)
                #expect(try peer.answer().status == 201)
                if !backToBack { try peer.socket.write(start) }
            }
            try peer.socket.write(end)
            #expect(try peer.answer().status == 201)
            #expect(try server.metrics().bound("request_time") == 0)
        }
    }

    @Test func `a request never finished lived for ever while others on its connection were`()
        throws
    {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nrequest_timeout = 1s\n") {
            server in
            let peer = try server.peer()
            try peer.socket.write(question + FastCGIRecord.begin(id: 3, keep: true).bytes)
            #expect(try peer.record()?.type == FastCGIRecord.getValuesResult)
            let live = FastCGIRequest("GET", "/push/-/live")
            try waitUntil("the connection is closed") {
                do {
                    try peer.send(live, id: 5, keep: true)
                    return try peer.answer(5).status != 200
                } catch {
                    return true
                }
            }
            #expect(try server.metrics().bound("request_time") == 1)
            #expect(try server.metrics().connections == 1)
        }
    }

    // MARK: Requests that wait for the log

    @Test func `a poll whose peer went while the log was asked was held for nobody`() throws {
        try HoldfastServer.with { server in
            let process = try #require(server.process)
            for _ in 1...5 {
                let ghosts = try (1...4).map { _ in try server.peer() }
                // Request and end are there together.
                process.signal(SIGSTOP)
                for peer in ghosts {
                    try peer.send(FastCGIRequest("GET", "/push/empty?since=first&wait=20"))
                    peer.socket.close()
                }
                process.signal(SIGCONT)
            }
            let halfClosed = try server.peer()
            try halfClosed.send(
                FastCGIRequest("GET", "/push/empty?since=first&wait=20"),
                keep: true
            )
            halfClosed.socket.halfClose()
            try halfClosed.drainToEnd()
            try waitUntil("all connections are closed") { try server.metrics().connections == 1 }
            #expect(try server.metrics().held == 0)
        }
    }

    @Test func `a request behind a publish was put into another that had half arrived`() throws {
        try HoldfastServer.with { server in
            let third = FastCGIRequest.publish("/push/news", String(repeating: "A", count: 300))
                .bytes(id: 3, keep: true)
            let peer = try server.peer()
            // The second waits for its turn, which comes while the third is incomplete.
            try peer.socket.write(
                FastCGIRequest.publish("/push/news", "first").bytes(keep: true)
                    + FastCGIRequest.publish("/push/news", "second").bytes(keep: true)
                    + third.dropLast(100)
            )
            for _ in 1...2 { #expect(try peer.answer().status == 201) }
            try peer.socket.write(third.suffix(100))
            #expect(try peer.answer(3).status == 201)
            let got = try server.get("/push/news?since=first").json["messages"].array
            let texts = got.map { $0["data"].string ?? "" }
            #expect(texts == ["first", "second", String(repeating: "A", count: 300)])
        }
    }

    @Test(arguments: [UInt16(1), 3])
    func `a request hung behind a poll that asked the log and was then held`(id: UInt16) throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.socket.write(
                FastCGIRequest("GET", "/push/empty?since=first&wait=20").bytes(keep: true)
                    + FastCGIRequest("GET", "/push/-/live").bytes(id: id, keep: true)
            )
            let empty = try peer.answer()
            #expect(empty.status == 200)
            #expect(try empty.json["messages"] == [])
            #expect(try empty.json["cursor"].string?.isEmpty == false)
            #expect(try peer.answer(id).text == "live\n")
            #expect(try server.metrics().held == 0)
        }
    }

    @Test(arguments: ["/push/news?wait=0", "/push/empty?since=first&wait=20"])
    func `a publish behind a poll of a departing peer was lost`(poll: String) throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.socket.write(
                FastCGIRequest.publish("/push/news", "first").bytes(keep: true)
                    + FastCGIRequest("GET", poll).bytes(keep: true)
                    + FastCGIRequest.publish("/push/news", "last").bytes(keep: true)
            )
            peer.socket.halfClose()
            try peer.drainToEnd()
            try waitUntil("all connections are closed") { try server.metrics().connections == 1 }
            let got = try server.get("/push/news?since=first").json["messages"].array
            #expect(got.map { $0["data"].string ?? "" } == ["first", "last"])
            #expect(try server.metrics().held == 0)
        }
    }

    // MARK: Ids

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
                question + FastCGIRequest("GET", "/sub").bytes(keep: true)
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

    // MARK: Answers

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

    @Test func `the chat page's picture was not there`() throws {
        try HoldfastServer.with { server in
            let answer = try server.get("/push/-/mark.svg")
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "image/svg+xml")
        }
    }
}
