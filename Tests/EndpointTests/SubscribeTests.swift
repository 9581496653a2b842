import Channels
import Configuration
import Liveness
import Testing

@testable import Endpoint

@Suite struct SubscribeTests {
    let http = HTTPInterface.open { $0.hold.jitterPercent = 0 }

    @Test(arguments: [
        ("", PollStart.history(.newest)), ("wait=0", .history(.newest)), ("wait=5", .now),
        ("since=now", .history(.newest)), ("since=now&wait=5", .now),
        ("since=", .history(.newest)), ("since=first", .history(.first)),
        ("since=first&wait=5", .history(.first)), ("since=last:3", .history(.last(3))),
        ("since=last:0", .history(.newest)), ("since=last%3A3", .history(.last(3))),
        ("since=age:90s", .history(.age(milliseconds: 90_000))),
        ("since=age:10m", .history(.age(milliseconds: 600_000))),
        ("since=age:2h", .history(.age(milliseconds: 7_200_000))),
        ("since=age:3d", .history(.age(milliseconds: 259_200_000))),
        ("since=age:999999999d", .history(.age(milliseconds: 86_399_999_913_600_000))),
        ("since=k7f2-1a", .cursor(cursor(26))),
        ("since=first&since=k7f2-1a", .cursor(cursor(26))),
    ])
    func `since says where to begin`(query: String, start: PollStart) {
        #expect(http.poll(.get("/push/news?" + query))?.start == start)
    }

    @Test(arguments: [
        ("since=k7f2", "invalid_since"), ("since=K7F2-1", "invalid_since"),
        ("since=k7f2-01", "invalid_since"), ("since=-1", "invalid_since"),
        ("since=last:", "invalid_since"), ("since=last:-1", "invalid_since"),
        ("since=last:99999999999x", "invalid_since"), ("since=age:", "invalid_since"),
        ("since=age:10", "invalid_since"), ("since=age:m", "invalid_since"),
        ("since=age:1w", "invalid_since"), ("since=age:1.5h", "invalid_since"),
        ("since=Now", "invalid_since"), ("since=%0d%0a", "invalid_since"),
        ("wait=x", "invalid_wait"), ("wait=-1", "invalid_wait"), ("wait=1.5", "invalid_wait"),
        ("wait=9999999999x", "invalid_wait"), ("limit=0", "invalid_limit"),
        ("limit=x", "invalid_limit"), ("on_gap=x", "invalid_on_gap"),
        ("format=xml", "invalid_format"), ("subscriber=short", "invalid_subscriber"),
        ("subscriber=0123456789abcde%0a", "invalid_subscriber"),
        ("stream=websocket", "invalid_stream"), ("stream=sse&format=xml", "invalid_format"),
    ])
    func `nonsense is refused with what is allowed`(query: String, code: String) {
        let reply = http.answer(.get("/push/news?" + query))
        #expect(reply?.code == code)
        #expect(reply?.status == 400)
    }

    @Test(arguments: [
        ("wait=10", "", 10_000, nil as String?), ("wait=25", "", 25_000, nil),
        ("wait=26", "", 25_000, nil), ("", "wait=10", 10_000, "wait=10"),
        ("", "wait=100", 25_000, "wait=25"), ("wait=3", "wait=10", 3000, nil),
        ("", "respond-async, WAIT = \"7\"; x=1", 7000, "wait=7"), ("", "wait=x", 0, nil),
        ("", "wait", 0, nil), ("", "", 0, nil), ("wait=", "", 0, nil),
        ("", "wait=0", 0, "wait=0"), ("", "foo=\"a, wait=3, b\", wait=7", 7000, "wait=7"),
        ("", "foo=\"\\\", wait=3\";x=\"; wait=4\", wait=7", 7000, "wait=7"),
        ("", "foo; wait=3, wait=7", 7000, "wait=7"), ("", "foo=\"wait=3", 0, nil),
    ])
    func `wait comes from the parameter or the preference and is clamped`(
        query: String,
        prefer: String,
        milliseconds: Int,
        applied: String?
    ) throws {
        let poll = try #require(
            http.poll(.get("/push/news?" + query, ["HTTP_PREFER": prefer]))
        )
        #expect(poll.waitMilliseconds == milliseconds)
        let reply = try #require(Reply(poll.answer(reading(), epoch: epoch)))
        #expect(reply["Preference-Applied"] == applied)
    }

    @Test(arguments: [(UInt32.min, 20_000), (.max / 2, 19_000), (.max, 18_000)])
    func `jitter ends a hold earlier, never later`(random: UInt32, about: Int) throws {
        let http = HTTPInterface.open { $0.hold.jitterPercent = 10 }
        let poll = try #require(http.poll(.get("/push/news?wait=20"), random: random))
        #expect((about...about + 1).contains(poll.waitMilliseconds))
    }

    @Test(arguments: [
        (nil as String?, true), ("*/*", true), ("application/json", true), ("text/html", true),
        ("image/png", true), ("text/html,application/xhtml+xml,*/*;q=0.8", true),
        ("text/event-stream, application/json", true), ("text/event-stream", false),
        ("Text/Event-Stream ; q=1", false), ("application/x-ndjson", false),
        ("text/event-stream;q=0", true), ("text/event-stream; Q=0.000, text/html", true),
        ("text/event-stream, application/json;q=0", false), ("text/event-stream, */*;q=0.0", false),
        ("text/event-stream, */*, application/json;q=0", false),
        ("text/event-stream, application/*;q=0, */*", false),
        ("text/event-stream, application/*;q=0.1", true), ("text/event-stream;q=0.001", false),
        ("text/html;x=\"a, application/json, b\", text/event-stream", false),
        ("text/html;x=\"; q=0\", text/event-stream;q=0.5", false),
    ])
    func `every client gets JSON except those that accept only a stream`(
        accept: String?,
        isJSON: Bool
    ) {
        let request = CGIRequest.get("/push/news", ["HTTP_ACCEPT": accept ?? ""])
        #expect((http.poll(request)?.subscription.form == .json) == isJSON)
        #expect((http.stream(request) != nil) == !isJSON)
    }

    @Test func `a field in several lines counted with its last one alone`() throws {
        func get(_ fields: [(String, String)]) -> CGIRequest {
            CGIRequest([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/push/a")] + fields)
        }
        let prefer = [("HTTP_PREFER", "wait=7"), ("HTTP_PREFER", "respond-async")]
        #expect(http.poll(get(prefer))?.waitMilliseconds == 7000)
        let accept = [("HTTP_ACCEPT", "application/json"), ("HTTP_ACCEPT", "text/event-stream")]
        #expect(http.poll(get(accept))?.subscription.form == .json)
        let tags = [("HTTP_IF_NONE_MATCH", "\"a\""), ("HTTP_IF_NONE_MATCH", "\"b\"")]
        #expect(http.poll(get(tags))?.ifNoneMatch == "\"a\", \"b\"")
        let cookies = get([
            ("HTTP_COOKIE", "a=1"), ("HTTP_COOKIE", ""), ("HTTP_COOKIE", "b=2; c=3"),
        ])
        #expect(cookieValues("a", in: cookies.cookie) == ["1"])
        #expect(cookies.cookie == "a=1; b=2; c=3")
        // Of what is no list the second is not taken for the first, nor the first for the second.
        let keys = CGIRequest(
            [
                ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/a"),
                ("HTTP_IDEMPOTENCY_KEY", "a"), ("HTTP_IDEMPOTENCY_KEY", "b"),
            ]
        )
        #expect(http.refusal(keys) == "invalid_idempotency_key")
    }

    @Test func `what is not UTF-8 in a query was repaired`() {
        for query in ["name=%ff", "since=%ff", "channel=%e9", "wait=5&subscriber=%ff"] {
            #expect(http.refusal(.get("/push/a?" + query)) == "malformed_path")
        }
        // Parameters that are not used may have any value.
        #expect(http.poll(.get("/push/a?x=%ff&%ff=1")) != nil)
    }

    @Test func `limit is clamped to the ini file's`() {
        #expect(http.poll(.get("/push/a?limit=5"))?.subscription.messageLimit == 5)
        #expect(http.poll(.get("/push/a?limit=5000"))?.subscription.messageLimit == 1000)
        #expect(http.poll(.get("/push/a"))?.subscription.messageLimit == 1000)
        #expect(http.poll(.get("/push/a?limit=5&format=bare"))?.subscription.messageLimit == 1)
    }

    @Test func `HEAD never holds and has no body`() throws {
        let request = CGIRequest(["REQUEST_METHOD": "HEAD", "REQUEST_URI": "/push/a?wait=20"])
        let poll = try #require(http.poll(request))
        #expect(poll.waitMilliseconds == 0)
        let answer = poll.answer(reading(), epoch: epoch)
        #expect(answer.document.suffix(4) == [13, 10, 13, 10])
        #expect(Reply(answer, headOnly: true)?.status == 200)
    }

    @Test func `equal requests share a subscription whatever their cursor, id and jQuery's number`()
        throws
    {
        let id = "0123456789abcdef"
        let one = try #require(
            http.poll(.get("/push/b,a?x=1&wait=20&since=k7f2-1&subscriber=\(id)&_=17"))
        )
        let two = try #require(http.poll(.get("/push/a,b?x=1&_=18&wait=20&since=k7f2-2")))
        #expect(one.subscription == two.subscription)
        #expect(one.subscription.hashValue == two.subscription.hashValue)
        #expect(one.origin.subscriber != nil)
        #expect(two.origin.subscriber == nil)
        let other = try #require(http.poll(.get("/push/a,b?x=2&wait=20")))
        #expect(one.subscription != other.subscription)
    }

    @Test func `Link is the request's own query with the new cursor and nothing secret`() throws {
        let poll = try #require(
            http.poll(
                .get(
                    "/push/?since=first&channel=a%2Fb&x=%22<>;\"&subscriber=0123456789abcdef&wait=5&_=1"
                )
            )
        )
        let link = Reply(poll.answer(reading(), epoch: epoch))?["Link"]
        #expect(
            link == "<?channel=a%2Fb&x=%22%3c%3e%3b%22&wait=5&since=k7f2-64>; rel=\"next\""
        )
    }

    @Test func `JSON holds alone can begin with their headers`() throws {
        let http = HTTPInterface.open()
        let poll = try #require(
            http.poll(.get("/push/a", ["HTTP_PREFER": "wait=9", "SERVER_SOFTWARE": "lighttpd"]))
        )
        let begun = try #require(poll.subscription.startingEarly())
        let early = String(decoding: begun.earlyHeaders, as: UTF8.self)
        #expect(early.hasPrefix("Status: 200 OK\r\n"))
        #expect(early.hasSuffix("\r\n\r\n"))
        #expect(!early.contains("Content-Length"))
        #expect(!early.contains("Link: "))
        #expect(early.contains("Preference-Applied: wait=9\r\n"))
        let rest = begun.answer(reading(), epoch: epoch).document
        #expect(rest.first == UInt8(ascii: "{"))
        #expect(Reply(poll.answer(reading(), epoch: epoch))?.status == 200)
        for query in ["format=bare", "on_gap=fail"] {
            let poll = try #require(http.poll(.get("/push/a?wait=9&" + query)))
            #expect(poll.subscription.startingEarly() == nil)
        }
    }

    @Test func `a number that is larger than any bound is that bound, not an error`() {
        let large = "99999999999999999999999"
        #expect(http.poll(.get("/push/a?wait=9999999999"))?.waitMilliseconds == 25_000)
        #expect(http.poll(.get("/push/a?wait=" + large))?.waitMilliseconds == 25_000)
        let preferring = CGIRequest.get("/push/a", ["HTTP_PREFER": "wait=9999999999"])
        #expect(http.poll(preferring)?.waitMilliseconds == 25_000)
        #expect(http.poll(.get("/push/a?limit=9999999999"))?.subscription.messageLimit == 1000)
        for count in ["9999999999", large] {
            let start = http.poll(.get("/push/a?since=last:" + count))?.start
            #expect(start == .history(.last(1_000_000)))
        }
        for age in ["9999999999d", large + "d"] {
            let start = http.poll(.get("/push/a?since=age:" + age))?.start
            #expect(start == .history(.age(milliseconds: 86_399_999_913_600_000)))
        }
    }

    @Test func `a Link too long for a web server's header buffer is omitted`() throws {
        func reply(_ count: Int, _ more: String = "") throws -> Reply {
            // Each character takes three bytes in the field.
            let query = "format=bare&x=" + String(repeating: "<", count: count) + more
            let poll = try #require(http.poll(.get("/push/a?" + query)))
            return try #require(Reply(poll.answer(reading(), epoch: epoch)))
        }
        // `format=bare&x=` and `&` are 15 bytes of the 2048.
        #expect(try reply(677, "yy")["Link"] != nil)
        let long = try reply(677, "yyy")
        #expect(long["Link"] == nil)
        #expect(long["Holdfast-Cursor"] == "k7f2-5a")
        let json = try #require(
            http.poll(.get("/push/a?since=k7f2-1&x=" + String(repeating: "y", count: 7000)))
        )
        let document = json.answer(reading(), epoch: epoch).document
        #expect(document.count < 2048)
        #expect(Reply(json.answer(reading(), epoch: epoch))?.status == 200)
    }
}
