import Channels
import Configuration
import Testing

@testable import Endpoint

/// What the body of a publish request becomes.
extension PublishTests {
    private func kept(_ type: String, _ body: [UInt8]) -> Draft? {
        http.publication(.post("/push/news", ["CONTENT_TYPE": type], body: body))?.drafts.first
    }

    @Test(arguments: [
        (
            "application/json", " { \"a\" :\r\n [ 1 , \" x \\\" y \" ] }\n",
            "{\"a\":[1,\" x \\\" y \"]}"
        ),
        ("Application/JSON; charset=utf-8", "\"é\"", "\"é\""),
        ("application/json", "\u{FEFF}[]", "[]"), ("application/json", " 1 ", "1"),
        ("application/json", "null", "null"), ("application/json", "\"\\\\\"", "\"\\\\\""),
        ("application/x-www-form-urlencoded", "", "{}"),
        (
            "application/x-www-form-urlencoded", "a=1&b=&c&a=2&&=x",
            "{\"a\":[\"1\",\"2\"],\"b\":\"\",\"c\":\"\",\"\":\"x\"}"
        ),
        (
            "application/x-www-form-urlencoded", "a=%zz%c3%a9+%22\n%00",
            "{\"a\":\"%zzé \\\"\\n\\u0000\"}"
        ),
        (
            "application/x-www-form-urlencoded; charset=ISO-8859-1", "a=b+c",
            "{\"a\":\"b c\"}"
        ),
        ("application/json; charset=\"utf-8\"", "\"é\"", "\"é\""),
        ("application/json; charset=us-ascii", "\"e\"", "\"e\""),
    ])
    func `JSON and forms are kept as values`(type: String, body: String, kept: String) throws {
        let draft = try #require(self.kept(type, Array(body.utf8)))
        #expect(draft.kind == .json)
        #expect(draft.contentType == "application/json")
        #expect(String(decoding: draft.body, as: UTF8.self) == kept)
    }

    @Test(arguments: [
        ("\"\\ud800\"", "write both halves"), ("[1e309]", "send it as a string"),
        (String(repeating: "7", count: 301), "more than 300 characters"),
        ("{", "quote a text"), ("\u{1}", "not valid JSON"),
    ])
    func `a refusal of JSON says how to correct it`(body: String, hint: String) {
        let error = #expect(throws: Problem.self) {
            try PublishedContent.compacted(Array(body.utf8))
        }
        #expect(error.map { "\($0.code)" } == "invalid_json")
        #expect(error?.detail.contains(hint) == true, "\(error?.detail ?? "")")
    }

    @Test(arguments: [
        "", " ", "{", "{\"a\":1,}", "[1] [2]", "hello", "'a'", "\"a", "\"\n\"", "\"\t\"", "01",
        "NaN",
        "\u{0}1", "1\u{0}", "// x\n1", "[1,]", "\"\\x\"", "+1", "1.", ".5",
    ])
    func `what is no JSON is refused`(body: String) {
        let request = CGIRequest.post(
            "/push/news",
            ["CONTENT_TYPE": "application/json"],
            body: body
        )
        #expect(http.refusal(request) == "invalid_json")
    }

    @Test(arguments: [
        "build finished", "a&b", "50%25", "a+b", "é",
    ])
    func `what curl -d sends became the name of a field`(body: String) throws {
        let draft = try #require(kept("application/x-www-form-urlencoded", Array(body.utf8)))
        #expect(draft.kind == .text && draft.contentType == "text/plain; charset=utf-8")
        #expect(draft.body == Array(body.utf8))
    }

    @Test(arguments: [
        ("application/x-www-form-urlencoded", "a=%e9", 400, "not_utf8"),
        ("application/x-www-form-urlencoded", "%ff=a", 400, "not_utf8"),
        ("application/x-www-form-urlencoded", "\u{1}", 400, "not_utf8"),
        ("application/x-www-form-urlencoded; charset=utf-8", "a=%e9", 400, "not_utf8"),
        ("application/x-www-form-urlencoded; charset=iso-8859-1", "a=%c3%a9", 415, nil),
        ("application/x-www-form-urlencoded; charset=utf-16", "a=b", 415, nil),
        ("application/json; charset=iso-8859-1", "\"é\"", 415, nil),
        ("application/json; charset=\"UTF-16\"", "1", 415, nil),
        ("application/x-ndjson; charset=windows-1252", "\"é\"", 415, nil),
        ("application/json; charset=utf-8", "\u{1}", 400, "invalid_json"),
    ])
    func `values that are not UTF-8 were repaired, or taken for it`(
        type: String,
        body: String,
        status: Int,
        code: String?
    ) throws {
        // U+0001 stands for a byte that no UTF-8 has.
        let bytes = body.utf8.map { $0 == 1 ? 0xFF : $0 }
        let reply = try #require(
            http.answer(.post("/push/news", ["CONTENT_TYPE": type], body: bytes))
        )
        #expect(reply.status == status)
        #expect(reply.code == code ?? "unsupported_media_type")
    }

    @Test(
        arguments: [
            ("text/plain; charset=iso-8859-1", [0xE9], BodyKind.bytes),
            ("text/plain; charset=iso-8859-1", [0xC3, 0xA9], .bytes),
            ("text/plain; charset=iso-8859-1", [0x65], .text),
            ("text/plain; charset=\"utf-16\"", [0x65, 0x65], .bytes),
            ("text/plain; charset=iso-2022-jp", [0x65], .bytes),
            ("text/plain; charset=UTF-8", [0xC3, 0xA9], .text),
            ("text/plain; charset=utf-8", [0xE9], .bytes),
            ("text/plain; charset=us-ascii", [0xC3, 0xA9], .bytes),
            ("text/plain; charset=iso-8859-1; charset=utf-8", [0xC3, 0xA9], .bytes),
        ] as [(String, [UInt8], BodyKind)]
    )
    func `text in another character set is bytes with its type`(
        type: String,
        body: [UInt8],
        kind: BodyKind
    ) throws {
        let draft = try #require(kept(type, body))
        #expect(draft.kind == kind && draft.contentType == type && draft.body == body)
    }

    @Test func `Caddy called bytes without a type a form, which they became`() throws {
        let form = "application/x-www-form-urlencoded"
        for (server, own, type, contentType) in [
            ("Caddy/v2.6.2", "", form, "text/plain; charset=utf-8"),
            ("Caddy", "", form, "text/plain; charset=utf-8"),
            ("Caddy/v2.6.2", form, form, "application/json"),
            ("Caddy/v2.6.2", "image/png", "image/png", "image/png"),
            ("nginx/1.22.1", "", form, "application/json"),
            ("Apache", "", form, "application/json"), ("", "", form, "application/json"),
        ] {
            let request = CGIRequest.post(
                "/push/news",
                ["SERVER_SOFTWARE": server, "CONTENT_TYPE": type, "HTTP_CONTENT_TYPE": own],
                body: "a=b"
            )
            let draft = try #require(http.publication(request)?.drafts.first)
            #expect(draft.contentType == contentType)
        }
    }

    @Test func `an event type that is not UTF-8 was repaired`() {
        var post = CGIRequest.post("/push/a", body: "x")
        post.put("HTTP_HOLDFAST_TYPE", [0x61, 0xFF])
        #expect(http.refusal(post) == "invalid_type")
    }

    @Test func `JSON must be UTF-8`() {
        for body: [UInt8] in [[0x22, 0xFF, 0x22], [0xFE, 0xFF, 0, 0x31], [0x31, 0, 0, 0]] {
            let request = CGIRequest.post(
                "/push/news",
                ["CONTENT_TYPE": "application/json"],
                body: body
            )
            #expect(http.refusal(request) == "invalid_json")
        }
    }

    @Test(arguments: [
        ("text/plain", "hi", BodyKind.text, "text/plain"),
        ("", "hi", .text, "text/plain; charset=utf-8"),
        ("", "", .text, "text/plain; charset=utf-8"),
        ("Text/HTML; charset=utf-8", "<b>", .text, "Text/HTML; charset=utf-8"),
        ("image/png", "hi", .bytes, "image/png"),
        ("application/ld+json", "{ }", .bytes, "application/ld+json"),
    ])
    func `other bodies are kept as they are with their type`(
        type: String,
        body: String,
        kind: BodyKind,
        kept: String
    ) throws {
        let draft = try #require(self.kept(type, Array(body.utf8)))
        #expect(draft.kind == kind)
        #expect(draft.contentType == kept)
        #expect(draft.body == Array(body.utf8))
    }

    @Test func `text that is not UTF-8 is bytes`() {
        #expect(kept("text/plain", [0xFF])?.kind == .bytes)
        #expect(kept("", [0xFF])?.contentType == "application/octet-stream")
    }

    @Test(arguments: [
        "multipart/form-data; boundary=x", "text", "text/", "/x", "a/b/c",
        "text/pl\u{1}ain", "text/plain\r\nX: y", "text/é", "te xt/plain",
    ])
    func `types that can't be kept are refused`(type: String) {
        let reply = http.answer(.post("/push/news", ["CONTENT_TYPE": type], body: "x"))
        #expect(reply?.status == 415)
        #expect(reply?.code == "unsupported_media_type")
    }

    @Test func `an encoded body is refused`() {
        let request = CGIRequest.post("/push/news", ["HTTP_CONTENT_ENCODING": "gzip"], body: "x")
        #expect(http.refusal(request) == "unsupported_media_type")
    }

    @Test func `the limit holds for the body as it came and as it is kept`() {
        let http = HTTPInterface.open { $0.limits.messageBytes = 10 }
        #expect(http.publication(.post("/push/a", body: "0123456789")) != nil)
        #expect(http.answer(.post("/push/a", body: "0123456789a"))?.status == 413)
        let form = CGIRequest.post(
            "/push/a",
            ["CONTENT_TYPE": "application/x-www-form-urlencoded"],
            body: "a=&b&c"
        )
        #expect(http.answer(form)?.status == 413)
        var dropped = CGIRequest.post("/push/a")
        dropped.bodyDropped = true
        #expect(http.refusal(dropped) == "message_too_large")
    }

    @Test func `form fields whose names Unicode calls the same became one`() throws {
        let request = CGIRequest.post(
            "/push/a",
            ["CONTENT_TYPE": "application/x-www-form-urlencoded"],
            body: "caf%C3%A9=1&cafe%CC%81=2&caf%C3%A9=3"
        )
        let body = try #require(HTTPInterface.open().publication(request)?.drafts.first?.body)
        let wanted = "{\"caf\u{E9}\":[\"1\",\"3\"],\"cafe\u{301}\":\"2\"}"
        #expect(body == Array(wanted.utf8))
    }
}
