import Channels
import Configuration
import Foundation
import Testing

@testable import Endpoint

@Suite struct AnswerTests {
    let http = HTTPInterface.open()

    private func get(_ uri: String, _ reading: HistoryPage, ifNoneMatch: String = "") -> Reply? {
        http.poll(.get(uri, ["HTTP_IF_NONE_MATCH": ifNoneMatch])).flatMap {
            Reply($0.answer(reading, epoch: epoch))
        }
    }

    @Test func `a JSON answer has cursor, messages, more and gap`() throws {
        let messages = [
            message(5, "{\"a\":1}", type: "joined \"x\""),
            message(6, "tab\t\"quoted\" \\ é\u{7f}\u{1}\n", kind: .text, contentType: "text/plain"),
            message(
                7,
                [0, 255, 16, 1],
                kind: .bytes,
                channel: "a/b",
                contentType: "image/png"
            ),
        ]
        let reply = try #require(
            get("/push/news?since=k7f2-4", reading(messages, scanned: 7, more: true))
        )
        #expect(reply.status == 200)
        #expect(reply["Content-Type"] == "application/json; charset=utf-8")
        #expect(reply["Cache-Control"] == "no-store")
        #expect(reply["Vary"] == "Accept, Origin")
        #expect(reply["X-Content-Type-Options"] == "nosniff")
        #expect(
            reply.body == #"{"cursor":"k7f2-7","messages":["#
                + #"{"id":"k7f2-5","channel":"news","time":"2026-01-31T12:00:00.123Z","type":"joined \"x\"","data":{"a":1}},"#
                + #"{"id":"k7f2-6","channel":"news","time":"2026-01-31T12:00:00.123Z","data":"tab\t\"quoted\" \\ é\u007f\u0001\n"},"#
                + #"{"id":"k7f2-7","channel":"a/b","time":"2026-01-31T12:00:00.123Z","contentType":"image/png","encoding":"base64","data":"AP8QAQ=="}"#
                + #"],"more":true,"gap":null}"# + "\n"
        )
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(reply.bytes)) }
    }

    @Test(arguments: [GapReason.trimmed, .deleted, .restarted, .future])
    func `a gap comes with whatever is left`(gap: GapReason) throws {
        let some = try #require(
            get("/push/news?since=k7f2-4", reading([message(9, "1")], scanned: 9, gap: gap))
        )
        #expect(some.body.contains("\"gap\":{\"reason\":\"\(gap)\",\"resumed\":\"k7f2-8\"}"))
        let none = try #require(get("/push/news?since=k7f2-4", reading(scanned: 9, gap: gap)))
        #expect(none.body.contains("\"resumed\":\"k7f2-9\""))
        let bare = try #require(
            get("/push/news?since=k7f2-4&format=bare", reading(scanned: 9, gap: gap))
        )
        #expect(bare["Holdfast-Gap"] == gap.rawValue)
    }

    @Test func `on_gap=fail answers 410 with a cursor beyond the gap`() throws {
        let reply = try #require(
            get(
                "/push/news?since=k7f2-4&on_gap=fail",
                reading([message(9, "1")], scanned: 9, gap: .trimmed, newest: 32)
            )
        )
        #expect(reply.status == 410)
        #expect(reply.body.contains("\"code\":\"gap\""))
        #expect(reply.body.contains("\"reason\":\"trimmed\",\"cursor\":\"k7f2-20\""))
    }

    @Test func `an immediate poll without a cursor can be revalidated`()
        throws
    {
        for (uri, caching) in [
            ("/push/news?since=first", "private, no-cache"),
            ("/push/news?since=last:2", "private, no-cache"), ("/push/news", "no-store"),
            ("/push/news?since=now", "no-store"), ("/push/news?since=last:0", "no-store"),
        ] {
            let current = reading([message(9, "1")], scanned: 200, newest: 9)
            let first = try #require(get(uri, current))
            // A browser that goes back shows what it stored without asking, and a page began in the past.
            #expect(first["Cache-Control"] == caching)
            #expect(first.body.hasPrefix("{\"cursor\":\"k7f2-9\""))
            let tag = try #require(first["ETag"])
            #expect(tag.hasPrefix("\"k7f2-9-") && tag.hasSuffix("\""))
            for field in [tag, "W/" + tag, "\"x\" , W/\(tag)", "*"] {
                let second = try #require(get(uri, current, ifNoneMatch: field))
                #expect(second.status == 304)
                #expect(second["ETag"] == tag && second["Cache-Control"] == caching)
                #expect(second["Vary"] != nil)
            }
            // A comma in another tag ends nothing.
            for field in ["\"k7f2-9\", \(tag)x", "\"a, *, b\"", "\"\\\", *\", \"x\""] {
                #expect(get(uri, current, ifNoneMatch: field)?.status == 200)
            }
            let changed = try #require(
                get(uri, later([message(10, "1")], newest: 10), ifNoneMatch: tag)
            )
            #expect(changed.status == 200)
        }
    }

    private func later(_ messages: [Message], newest: Int64) -> HistoryPage {
        reading(messages, scanned: 200, newest: newest)
    }

    @Test func `where more waits the cursor is where the answer ends`() throws {
        let reply = try #require(
            get("/push/news?since=first", reading([message(5, "1")], scanned: 5, more: true))
        )
        #expect(reply.body.hasPrefix("{\"cursor\":\"k7f2-5\""))
    }

    @Test(arguments: ["since=k7f2-4", "since=first&wait=5", "wait=5"])
    func `everything else is not stored`(query: String) throws {
        let reply = try #require(get("/push/news?" + query, reading(), ifNoneMatch: "*"))
        #expect(reply.status == 200)
        #expect(reply["Cache-Control"] == "no-store")
        #expect(reply["ETag"] == nil)
        #expect(reply.body.hasPrefix("{\"cursor\":\"k7f2-64\",\"messages\":[],"))
    }

    @Test func `a full page of open history may be cached, and nothing else`() throws {
        let http = HTTPInterface.open {
            $0.hold.cacheHistorySeconds = 60
            $0.allow = [
                AllowRule(pattern: ChannelPattern("news")!, read: .everyone, publish: .nobody)
            ]
        }
        func caching(
            _ query: String,
            _ page: HistoryPage,
            _ fields: KeyValuePairs<String, String> = [:]
        ) throws -> String? {
            let poll = try #require(http.poll(.get("/push/\(query)", fields)))
            return try #require(Reply(poll.answer(page, epoch: epoch)))["Cache-Control"]
        }
        let full = reading([message(5, "1")], scanned: 5, more: true)
        #expect(try caching("news?since=k7f2-4&limit=1", full) == "public, max-age=60")
        #expect(try caching("news?since=k7f2-4&format=bare", full) == "public, max-age=60")
        // It is known to change.
        func passing(expires: Int64?, topic: String?) -> Message {
            Message(
                offset: Offset(4),
                epoch: epoch,
                channel: channel("news"),
                timeMilliseconds: 1,
                kind: .json,
                contentType: "application/json",
                body: [0x31],
                expiresMilliseconds: expires,
                topic: topic
            )
        }
        for passing in [
            passing(expires: 1, topic: nil), passing(expires: nil, topic: "t"),
        ] {
            let page = reading([passing, message(5, "1")], scanned: 5, more: true)
            #expect(try caching("news?since=k7f2-3&limit=2", page) == "no-store")
        }
        let granted: KeyValuePairs = ["HOLDFAST_READ": "secret"]
        for (query, page, fields) in [
            ("news?since=k7f2-4", reading([message(5, "1")]), [:]),
            ("news?since=k7f2-4", reading([message(5, "1")], more: true, gap: .trimmed), [:]),
            ("news?since=k7f2-4&wait=5", full, [:]), ("secret?since=k7f2-4", full, granted),
            ("news,secret?since=k7f2-4", full, granted),
        ] {
            #expect(try caching(query, page, fields) == "no-store")
        }
        #expect(try caching("news?since=first", full) == "private, no-cache")
    }

    @Test func `a bare answer is the message itself`() throws {
        let reply = try #require(
            get(
                "/push/news?format=bare&wait=5",
                reading([message(9, "hello", kind: .text, contentType: "text/plain")], scanned: 9)
            )
        )
        #expect(reply.body == "hello")
        #expect(reply["Content-Type"] == "text/plain; charset=utf-8")
        #expect(reply["Holdfast-Cursor"] == "k7f2-9")
        #expect(reply["Link"] == "<?format=bare&wait=5&since=k7f2-9>; rel=\"next\"")
        #expect(reply["Content-Security-Policy"] == "sandbox")
    }

    @Test(arguments: [
        (BodyKind.text, "text/html", "text/plain; charset=utf-8"),
        (.text, "text/markdown; Charset=utf-8", "text/markdown; Charset=utf-8"),
        (.bytes, "image/svg+xml", "text/plain; charset=utf-8"),
        (.bytes, "", "application/octet-stream"),
        (.text, "", "text/plain; charset=utf-8"),
        (.json, "text/html", "application/json; charset=utf-8"),
        (.bytes, "text/plain\r\nX-Evil: 1", "application/octet-stream"),
    ])
    func `what a publisher sent does not run as a page of this site`(
        kind: BodyKind,
        type: String,
        served: String
    ) throws {
        let message = message(9, "1", kind: kind, contentType: type)
        let reply = try #require(
            get("/push/news?format=bare&since=k7f2-1", reading([message], scanned: 9))
        )
        #expect(reply["Content-Type"] == served)
        #expect(reply["Content-Security-Policy"] == "sandbox")
    }

    @Test func `a message can be read by its id with the channel's right`() throws {
        guard
            case .message(let request) = http.intent(
                of: .get("/push/-/messages/k7f2-a"),
                random: 0
            )
        else { return #expect(Bool(false)) }
        #expect(request.id == cursor(10))
        let found = try #require(Reply(request.answer(message(10, "[1]"))))
        #expect(found.body.contains("\"id\":\"k7f2-a\"") && found.body.contains("\"data\":[1]"))
        #expect(Reply(request.answer(nil))?.status == 404)

        let closed = HTTPInterface.open { $0.allow = [] }
        for (granted, status) in [("", 404), ("other/*", 404), ("news", 200)] {
            guard
                case .message(let request) = closed.intent(
                    of: .get("/push/-/messages/k7f2-a?format=bare", ["HOLDFAST_READ": granted]),
                    random: 0
                )
            else { return #expect(Bool(false)) }
            #expect(Reply(request.answer(message(10, "[1]")))?.status == status)
        }
    }

    @Test func `a page is sent once`() throws {
        func page(_ ifNoneMatch: String) -> Reply? {
            guard
                case .page(let request) = http.intent(
                    of: .get("/push/-/chat.js", ["HTTP_IF_NONE_MATCH": ifNoneMatch]),
                    random: 0
                )
            else { return nil }
            return Reply(
                request.answer(body: [1, 2], contentType: "text/javascript", etag: "abc")
            )
        }
        #expect(page("")?.bytes == [1, 2])
        #expect(page("")?["ETag"] == "\"abc\"")
        #expect(page("\"abc\"")?.status == 304)
    }

    @Test(arguments: [
        ("gzip, deflate, br", true), ("", false), ("br", false), ("gzip;q=0", false),
        ("*", true), ("*, gzip;q=0.0", false), ("x-gzip;q=0.1", true), ("GZIP", true),
    ])
    func `pages were sent uncompressed to clients that accept gzip`(
        accepted: String,
        isSmall: Bool
    )
        throws
    {
        func page(_ fields: KeyValuePairs<String, String>) throws -> Reply? {
            let intent = http.intent(of: .get("/push/-/chat.js", fields), random: 0)
            guard case .page(let request) = intent else { return nil }
            return Reply(
                request.answer(
                    body: [1, 2],
                    gzipped: [3],
                    contentType: "text/javascript",
                    etag: "\"abc\""
                )
            )
        }
        let reply = try #require(try page(["HTTP_ACCEPT_ENCODING": accepted]))
        #expect(reply["Content-Encoding"] == (isSmall ? "gzip" : nil))
        #expect(reply.bytes == (isSmall ? [3] : [1, 2]))
        #expect(reply["ETag"] == (isSmall ? "\"abc-gzip\"" : "\"abc\""))
        #expect(reply["Vary"] == "Accept, Accept-Encoding, Origin")
        for (tag, status) in [
            ("\"abc\"", isSmall ? 200 : 304), ("\"abc-gzip\"", isSmall ? 304 : 200),
        ] {
            let again = try page(["HTTP_ACCEPT_ENCODING": accepted, "HTTP_IF_NONE_MATCH": tag])
            #expect(again?.status == status)
            #expect(again?["Vary"] == "Accept, Accept-Encoding, Origin")
        }
    }

    @Test(
        arguments: [
            ("/push/", "/"), ("/push/-/", ""), ("/push", nil), ("/push/?channel=a", nil),
            ("/push/news", nil), ("/push/?x=1", "/"),
        ] as [(String, String?)]
    )
    func `a browser's address line got an error as JSON`(uri: String, name: String?) {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        if case .page(let page) = http.intent(of: .get(uri, ["HTTP_ACCEPT": browser]), random: 0) {
            #expect(page.name == name)
        } else {
            #expect(name == nil)
        }
        for accept in ["*/*", "application/json, text/html", "text/html;q=0"] {
            let request = CGIRequest.get(uri, ["HTTP_ACCEPT": accept])
            if case .page = http.intent(of: request, random: 0) {
                #expect(Bool(false), "\(accept)")
            }
        }
        let post = CGIRequest.post(uri, ["HTTP_ACCEPT": browser], body: "x")
        if case .page = http.intent(of: post, random: 0) { #expect(Bool(false)) }
    }

    @Test func `an error says when to come back`() throws {
        let subscription = try #require(http.poll(.get("/push/a?wait=3"))).subscription
        for (answer, status, code) in [
            (subscription.shape.answer(.unavailable), 503, "log_unavailable"),
            (subscription.shape.answer(.busy), 503, "busy"),
        ] {
            let reply = try #require(Reply(answer))
            #expect(reply.status == status)
            #expect(reply.code == code)
            #expect(Int(reply["Retry-After"] ?? "") != nil)
        }
        #expect(Reply(http.headersTooLarge())?.status == 431)
    }

    @Test(arguments: [0, 9, 10, 255, 4096, Int64.max])
    func `cursors are written as they describe themselves`(offset: Int64) {
        var bytes: [UInt8] = []
        bytes.append(cursor(offset))
        #expect(String(decoding: bytes, as: UTF8.self) == cursor(offset).description)
    }

    @Test func `a message that may not be read is not told from one that does not exist`() throws {
        let closed = HTTPInterface.open { $0.allow = [] }
        for format in ["", "?format=bare"] {
            guard
                case .message(let request) = closed.intent(
                    of: .get("/push/-/messages/k7f2-a" + format),
                    random: 0
                )
            else { return #expect(Bool(false)) }
            #expect(request.answer(nil).status == 404)
            #expect(request.answer(message(10, "[1]")).document == request.answer(nil).document)
        }
    }
}
