import Channels
import Configuration
import Testing

@testable import Endpoint

/// As in the classic chat.
let classicEndpoints: [FixedEndpoint] = {
    var sub = FixedEndpoint(path: "/sub", action: .subscribe)
    sub.channels = [channel("chat")]
    sub.cursor = .cookie
    sub.format = .bare
    sub.waitSeconds = 55
    var pub = FixedEndpoint(path: "/pub", action: .publish)
    pub.channels = [channel("chat")]
    return [sub, pub, FixedEndpoint(path: "/debug", action: .held)]
}()

@Suite struct FixedEndpointTests {
    let http = HTTPInterface.open {
        $0.endpoints = classicEndpoints
        $0.hold.jitterPercent = 0
    }

    private func cookieHeader(_ reply: Reply?) -> String? {
        reply?["Set-Cookie"].map { String($0.prefix { $0 != ";" }) }
    }

    @Test func `a classic page's poll waits for what comes next and gets a cookie`() throws {
        let poll = try #require(http.poll(.get("/sub")))
        #expect(poll.start == .now)
        #expect(poll.waitMilliseconds == 55_000)
        #expect(poll.subscription.channels == [channel("chat")])
        let chat = message(7, "{\"nick\":\"a\"}", channel: "chat")
        let reply = try #require(
            Reply(poll.subscription.answer(reading([chat], scanned: 7), epoch: epoch))
        )
        #expect(reply.status == 200)
        #expect(reply.body == "{\"nick\":\"a\"}")
        #expect(reply["Content-Type"] == "application/json; charset=utf-8")
        let cookie = try #require(reply["Set-Cookie"])
        #expect(cookie.hasSuffix("=k7f2-7; Path=/sub; HttpOnly; SameSite=Lax"))

        let header = try #require(cookieHeader(reply))
        let next = http.poll(.get("/sub", ["HTTP_COOKIE": "a=b; \(header);c=d"]))
        #expect(next?.start == .cursor(cursor(7)))
    }

    @Test func `of several messages a bare answer gives the first and the next poll the next`()
        throws
    {
        let poll = try #require(http.poll(.get("/sub")))
        #expect(poll.subscription.messageLimit == 1)
        let messages = [message(5, "1", channel: "chat"), message(9, "2", channel: "chat")]
        let reply = try #require(
            Reply(poll.subscription.answer(reading(messages, scanned: 20), epoch: epoch))
        )
        #expect(reply.body == "1")
        #expect(reply["Holdfast-Cursor"] == "k7f2-5")
        #expect(reply["Set-Cookie"]?.contains("=k7f2-5;") == true)
    }

    @Test func `a wait that runs out advances the cookie`() throws {
        let poll = try #require(http.poll(.get("/sub", ["HTTPS": "on"])))
        let reply = try #require(Reply(poll.subscription.answer(reading(), epoch: epoch)))
        #expect(reply.status == 204)
        #expect(reply["Set-Cookie"]?.contains("=k7f2-64;") == true)
        #expect(reply["Set-Cookie"]?.hasSuffix("; Secure") == true)
    }

    private static let noCursors = [
        "x", "k7f2-", "k7f2-07", "\"k7f2-7\"", "K7F2-7", "k7f2-7,", "last:3",
    ]

    @Test(arguments: noCursors)
    func `what a page with a broken cookie missed was not told`(value: String) throws {
        let poll = try #require(http.poll(.get("/sub")))
        let reply = Reply(poll.subscription.answer(reading(), epoch: epoch))
        let name = try #require(cookieHeader(reply)?.prefix { $0 != "=" })
        let broken = try #require(http.poll(.get("/sub", ["HTTP_COOKIE": "\(name)=\(value)"])))
        // As with Last-Event-ID: a cursor of another log.
        #expect(broken.start == .cursor(Cursor(epoch: .ofNoLog, offset: .start)))
        let told = try #require(Reply(broken.answer(reading(gap: .restarted), epoch: epoch)))
        #expect(told["Holdfast-Gap"] == "restarted")
        #expect(told["Set-Cookie"]?.contains("=k7f2-64;") == true)
    }

    /// The broken one, of another path, is not replaced by the answer: each poll was answered at once.
    @Test func `a broken cookie does not hide a cursor behind it`() throws {
        let poll = try #require(http.poll(.get("/sub")))
        let reply = Reply(poll.subscription.answer(reading(), epoch: epoch))
        let name = try #require(cookieHeader(reply)?.prefix { $0 != "=" })
        let cookies = "\(name)=x; \(name)=; \(name)=k7f2-7"
        let cursor = try #require(Cursor("k7f2-7"))
        #expect(http.poll(.get("/sub", ["HTTP_COOKIE": cookies]))?.start == .cursor(cursor))
    }

    @Test func `an empty cookie is none`() throws {
        let poll = try #require(http.poll(.get("/sub")))
        let reply = Reply(poll.subscription.answer(reading(), epoch: epoch))
        let name = try #require(cookieHeader(reply)?.prefix { $0 != "=" })
        #expect(http.poll(.get("/sub", ["HTTP_COOKIE": "\(name)="]))?.start == .now)
    }

    @Test(arguments: noCursors.filter { $0 != "last:3" })
    func `a broken cursor that its sender can repair is refused`(value: String) throws {
        for target in ["/push/news?wait=9&", "/push/news?", "/push/news?stream=sse&", "/sub?"] {
            let quoted = value.split(separator: "\"", omittingEmptySubsequences: false)
            let query = target + "since=" + quoted.joined(separator: "%22")
            #expect(http.refusal(.get(query)) == "invalid_since", "\(query)")
        }
    }

    @Test func `each path has a cookie of its own`() throws {
        var other = classicEndpoints[0]
        other.path = "/other"
        let http = HTTPInterface.open { $0.endpoints = [classicEndpoints[0], other] }
        let names = ["/sub", "/other"].map { path in
            cookieHeader(
                http.poll(.get(path)).flatMap { Reply($0.answer(reading(), epoch: epoch)) }
            )
        }
        #expect(names[0] != nil)
        #expect(names[0] != names[1])
    }

    @Test(arguments: [
        (FixedEndpoint.OnTimeout.answer, 204), (.noContent, 204), (.unavailable, 503),
    ])
    func `when the wait of a bare endpoint ran out`(
        onTimeout: FixedEndpoint.OnTimeout,
        status: Int
    ) throws {
        var endpoint = classicEndpoints[0]
        endpoint.onTimeout = onTimeout
        let http = HTTPInterface.open { $0.endpoints = [endpoint] }
        let answer = try #require(http.poll(.get("/sub"))).subscription.answer(
            reading(),
            epoch: epoch
        )
        #expect(answer.status == status)
        #expect(!answer.closes)
    }

    @Test func `an old page stopped for good at the empty answer, and lost its place at an error`()
        throws
    {
        var endpoint = classicEndpoints[0]
        endpoint.onTimeout = .unavailable
        let http = HTTPInterface.open { $0.endpoints = [endpoint] }
        let poll = try #require(http.poll(.get("/sub")))
        for answer in [
            // When the wait ran out; and when it could not even begin.
            poll.subscription.answer(reading(), epoch: epoch),
            poll.answer(reading(), epoch: epoch),
        ] {
            let reply = try #require(Reply(answer))
            #expect(reply.status == 503)
            #expect(reply["Set-Cookie"]?.contains("=k7f2-64; Path=/sub;") == true)
        }
    }

    /// A closed connection carries no cookie.
    @Test func `close with a cookie left a page that had none at the newest, again and again`()
        throws
    {
        var endpoint = classicEndpoints[0]
        endpoint.onTimeout = .close
        let http = HTTPInterface.open { $0.endpoints = [endpoint] }
        let first = try #require(http.poll(.get("/sub")))
        let reply = Reply(first.subscription.answer(reading(), epoch: epoch))
        #expect(reply?.status == 503)
        let cookie = try #require(cookieHeader(reply))
        #expect(cookie.hasSuffix("=k7f2-64"))
        let next = try #require(http.poll(.get("/sub", ["HTTP_COOKIE": cookie])))
        #expect(next.start == .cursor(cursor(0x64)))
        #expect(next.subscription.answer(reading(), epoch: epoch).closes)
    }

    @Test func `a JSON endpoint may say 204 instead of an empty batch`() throws {
        var endpoint = FixedEndpoint(path: "/json", action: .subscribe)
        endpoint.channels = [channel("chat")]
        endpoint.onTimeout = .noContent
        let http = HTTPInterface.open { $0.endpoints = [endpoint] }
        let poll = try #require(http.poll(.get("/json?wait=5")))
        #expect(poll.subscription.startingEarly() == nil)
        #expect(Reply(poll.answer(reading(), epoch: epoch))?.status == 204)
        #expect(
            Reply(poll.answer(reading([message(3, "1")]), epoch: epoch))?.status == 200
        )
    }

    @Test func `a form posted to the publish endpoint is answered as the classic page expects`()
        throws
    {
        let request = CGIRequest.post(
            "/pub",
            ["CONTENT_TYPE": "application/x-www-form-urlencoded; charset=UTF-8"],
            body: "nick=Zo%C3%AB&message=hi+%22you%22"
        )
        let publishing = try #require(http.publishing(request))
        let publication = publishing.publication
        #expect(publication.drafts.count == 1)
        #expect(publication.drafts[0].channel == channel("chat"))
        #expect(
            String(decoding: publication.drafts[0].body, as: UTF8.self)
                == "{\"nick\":\"Zoë\",\"message\":\"hi \\\"you\\\"\"}"
        )
        let reply = try #require(Reply(publishing.answer(.committed(ids: [cursor(16)]))))
        #expect(reply.status == 201)
        #expect(reply.body.hasPrefix("{\"status\":\"sent\","))
        #expect(reply["Location"] == "/push/-/messages/k7f2-10")
    }

    @Test func `held is public and is not a channel`() {
        guard case .held(let shape) = http.intent(of: .get("/debug"), random: 0) else {
            return #expect(Bool(false))
        }
        let reply = Reply(shape.plain("text/plain; charset=utf-8", "polling = 3"))
        #expect(reply?.body == "polling = 3")
    }

    @Test func `fixed endpoints obey the rules for their channels`() {
        let closed = HTTPInterface.open {
            $0.endpoints = classicEndpoints
            $0.allow = []
        }
        #expect(closed.refusal(.get("/sub")) == "read_forbidden")
        #expect(closed.refusal(.post("/pub", body: "x")) == "publish_forbidden")
        #expect(closed.poll(.get("/sub", ["HOLDFAST_READ": "chat"])) != nil)
    }

    @Test func `a fixed endpoint matches its full path only and before the base`() {
        var endpoint = classicEndpoints[0]
        endpoint.path = "/push/news"
        let http = HTTPInterface.open { $0.endpoints = [endpoint] }
        #expect(http.poll(.get("/push/news"))?.subscription.channels == [channel("chat")])
        #expect(http.poll(.get("/push/news2"))?.subscription.channels == [channel("news2")])
    }

    @Test(arguments: [
        ("/sub?wait=3", 3000), ("/sub?wait=3600", 55_000), ("/sub?wait=0", 0), ("/sub", 55_000),
    ])
    func `the endpoint's wait is both default and limit`(uri: String, milliseconds: Int) {
        #expect(http.poll(.get(uri))?.waitMilliseconds == milliseconds)
    }

    @Test func `a client refused before its first cursor skipped the messages that came meanwhile`()
        throws
    {
        let first = try #require(http.poll(.get("/sub")))
        let reply = try #require(
            Reply(first.turnedAway(.busy, at: cursor(9), retryAfterSeconds: 3))
        )
        #expect(reply.status == 204)
        #expect(reply["Set-Cookie"]?.contains("=k7f2-9;") == true)
        #expect(reply["Retry-After"] == "3")
        // Where the end of the log is not known, there is none to give.
        let unknown = Reply(first.turnedAway(.unavailable, at: nil, retryAfterSeconds: 3))
        #expect(unknown?.status == 503)
        // A client that has one keeps it: nothing was read for it.
        let header = try #require(cookieHeader(reply))
        let next = try #require(http.poll(.get("/sub", ["HTTP_COOKIE": header])))
        for poll in [next, try #require(http.poll(.get("/push/chat?wait=9")))] {
            let busy = try #require(
                Reply(poll.turnedAway(.busy, at: cursor(12), retryAfterSeconds: 3))
            )
            #expect(busy.status == 503 && busy["Set-Cookie"] == nil)
        }
    }

    @Test func `a page that keeps its cursor in a cookie never got past a gap`() throws {
        let first = try #require(http.poll(.get("/sub")))
        let header = try #require(
            cookieHeader(Reply(first.subscription.answer(reading(), epoch: epoch)))
        )
        let request = CGIRequest.get("/sub?on_gap=fail", ["HTTP_COOKIE": header])
        let poll = try #require(http.poll(request))
        for answer in [
            poll.answer(reading(gap: .trimmed), epoch: epoch),
            poll.subscription.answer(reading(gap: .trimmed), epoch: epoch),
        ] {
            let reply = try #require(Reply(answer))
            #expect(reply.status == 410)
            let cookie = try #require(cookieHeader(reply))
            #expect(reply.body.contains("\"cursor\":\"k7f2-64\""))
            let next = http.poll(.get("/sub?on_gap=fail", ["HTTP_COOKIE": cookie]))
            #expect(next?.start == .cursor(cursor(100)))
        }
    }

    @Test func `a stream that a cookie cannot follow is refused, and one with a cursor is not`() {
        var endpoint = FixedEndpoint(path: "/json", action: .subscribe)
        endpoint.channels = [channel("chat")]
        let other = HTTPInterface.open { $0.endpoints = [endpoint] }
        for fields: KeyValuePairs in [["HTTP_ACCEPT": "text/event-stream"], [:]] {
            let isAsked = fields.isEmpty ? "?stream=sse" : ""
            #expect(other.refusal(.get("/json" + isAsked, fields)) == nil)
        }
        let reply = http.answer(.get("/sub?stream=sse"))
        #expect(reply?.status == 406 && reply?.code == "no_stream_here")
    }
}
