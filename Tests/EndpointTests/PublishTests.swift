import Channels
import Configuration
import Testing

@testable import Endpoint

@Suite struct PublishTests {
    let http = HTTPInterface.open()

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

    @Test func `several channels get one message each in the order they were named`() throws {
        let publishing = try #require(http.publishing(.post("/push/b,a,b", body: "x")))
        #expect(publishing.publication.drafts.map(\.channel.text) == ["b", "a"])
        let reply = try #require(
            Reply(publishing.answer(.committed(ids: [cursor(20), cursor(21)])))
        )
        #expect(
            reply.body
                == "{\"status\":\"sent\",\"id\":\"k7f2-14\",\"cursor\":\"k7f2-15\",\"ids\":[\"k7f2-14\",\"k7f2-15\"]}\n"
        )
        #expect(reply["Location"] == "/push/-/messages/k7f2-14")
    }

    @Test func `Location names the base that the web server gave, safely`() throws {
        let request = CGIRequest.post(
            "/hüb <x>/a",
            ["HOLDFAST_BASE": "/hüb <x>"],
            body: "x"
        )
        let reply = try #require(
            http.publishing(request).flatMap { Reply($0.answer(.committed(ids: [cursor(1)]))) }
        )
        #expect(reply["Location"] == "/h%c3%bcb%20%3cx%3e/-/messages/k7f2-1")
    }

    @Test(arguments: [("HAProxy 2.6.12", "Location: "), ("nginx", "Status: "), ("", "Status: ")])
    func `HAProxy gets Location before Status, or it would make a redirection of it`(
        server: String,
        first: String
    ) throws {
        let request = CGIRequest.post("/push/a", ["SERVER_SOFTWARE": server], body: "x")
        let publishing = try #require(http.publishing(request))
        let document = publishing.answer(.committed(ids: [cursor(1)])).document
        let text = String(decoding: document, as: UTF8.self)
        #expect(text.hasPrefix(first))
        #expect(text.contains("Status: 201 Created\r\n"))
        #expect(text.contains("Location: /push/-/messages/k7f2-1\r\n"))
    }

    @Test func `fields for the message are taken over`() throws {
        let request = CGIRequest.post(
            "/push/a",
            [
                "HTTP_TTL": "60", "HTTP_TOPIC": "score", "HTTP_HOLDFAST_TYPE": "goal für uns",
                "HTTP_IDEMPOTENCY_KEY": "\"8e03\"", "HOLDFAST_PUBLISHER": "cron",
            ],
            body: "x"
        )
        let publication = try #require(http.publication(request))
        #expect(publication.drafts[0].timeToLiveSeconds == 60)
        #expect(publication.drafts[0].topic == "score")
        #expect(publication.drafts[0].type == "goal für uns")
        #expect(publication.idempotencyKey == "\"8e03\"")
        #expect(publication.publisher == "web:cron")
    }

    @Test(arguments: [
        (["HOLDFAST_USER": "anna", "HOLDFAST_PUBLISHER": "x"], "user:anna", "user:anna"),
        (["HOLDFAST_USER": "anna", "REMOTE_USER": "root"], "user:anna", "user:anna"),
        (["REMOTE_USER": "root", "HOLDFAST_PUBLISHER": "x"], "web:x", "user:root"),
        (["REMOTE_USER": "root"], "web:", "user:root"),
        (["HOLDFAST_USER": "", "HOLDFAST_PUBLISHER": "anna"], "web:anna", "web:anna"),
        ([:], "web:", "web:"),
    ])
    func `a client that claimed to be root published as root`(
        variables: [String: String],
        publisher: String,
        believing: String
    ) {
        let request = CGIRequest(
            [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/a"), ("HTTP_IDEMPOTENCY_KEY", "k")]
                + variables.map { ($0, $1) }
        )
        #expect(http.publication(request)?.publisher == publisher)
        let believer = HTTPInterface.open { $0.fastcgi.remoteUser = .believed }
        #expect(believer.publication(request)?.publisher == believing)
    }

    @Test func `a section of [quota] applies to a user or an address, not to a claimed name`() {
        let http = HTTPInterface.open {
            var (ann, others) = (QuotaRule(publisher: "ann"), QuotaRule(publisher: "*"))
            (ann.limits.messages, others.limits.messages) = (100, 1)
            $0.quotas = [others, ann]
        }
        func limit(_ variables: KeyValuePairs<String, String>) -> Int? {
            http.publication(.post("/push/a", variables, body: "x"))?.quota?.messages
        }
        #expect(limit(["HOLDFAST_USER": "ann"]) == 100)
        #expect(limit(["REMOTE_USER": "ann"]) == 1)
        #expect(limit(["HOLDFAST_PUBLISHER": "192.0.2.7"]) == 1)
    }

    @Test func `users whose names are not UTF-8 were one and the same`() {
        let http = HTTPInterface.open {
            $0.presence = [PresenceRule(pattern: .any)]
            $0.fastcgi.remoteUser = .believed
        }
        for parameter in ["HOLDFAST_USER", "REMOTE_USER"] {
            for name in [[0x61, 0xE9], [0x61, 0x0A], Array(repeating: 0x61, count: 129)]
                as [[UInt8]]
            {
                var (post, get) = (CGIRequest.post("/push/a"), CGIRequest.get("/push/a?wait=5"))
                post.put(parameter, name)
                get.put(parameter, name)
                #expect(http.refusal(post) == "invalid_user")
                #expect(http.refusal(get) == "invalid_user")
                // The name of a user that is not believed need not be valid.
                #expect(
                    (HTTPInterface.open().publication(post) != nil) == (parameter == "REMOTE_USER")
                )
            }
        }
        var post = CGIRequest.post("/push/a")
        post.put("HOLDFAST_PUBLISHER", [0xFF])
        #expect(http.refusal(post) == "invalid_user")
    }

    @Test(arguments: [
        ("HTTP_TTL", "0", "invalid_ttl"), ("HTTP_TTL", "-1", "invalid_ttl"),
        ("HTTP_TTL", "1h", "invalid_ttl"), ("HTTP_TTL", "1.5", "invalid_ttl"),
        ("HTTP_TOPIC", "a b", "invalid_topic"), ("HTTP_TOPIC", "é", "invalid_topic"),
        ("HTTP_TOPIC", String(repeating: "a", count: 65), "invalid_topic"),
        ("HTTP_HOLDFAST_TYPE", "error", "reserved_type"),
        ("HTTP_HOLDFAST_TYPE", "gap", "reserved_type"),
        ("HTTP_HOLDFAST_TYPE", "a\nb", "invalid_type"),
        ("HTTP_HOLDFAST_TYPE", "a\u{85}b", "invalid_type"),
        ("HTTP_HOLDFAST_TYPE", String(repeating: "a", count: 65), "invalid_type"),
        ("HTTP_IDEMPOTENCY_KEY", "a b", "invalid_idempotency_key"),
        ("HTTP_IDEMPOTENCY_KEY", "é", "invalid_idempotency_key"),
        (
            "HTTP_IDEMPOTENCY_KEY", String(repeating: "a", count: 256),
            "invalid_idempotency_key"
        ),
    ])
    func `fields that can't be kept are refused`(name: String, value: String, code: String) {
        let request = CGIRequest(
            [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/a"), (name, value)])
        #expect(http.refusal(request) == code)
    }

    @Test func `each outcome has its status`() throws {
        let publishing = try #require(http.publishing(.post("/push/a", body: "x")))
        for (answer, status, code, comesBack) in [
            (publishing.answer(.conflict), 422, "idempotency_conflict", false),
            (publishing.answer(.full), 507, "log_full", true),
            (publishing.answer(.logBusy), 503, "log_busy", true),
            (publishing.answer(.unavailable), 503, "log_unavailable", true),
            (publishing.outcomeUnknown(), 503, "outcome_unknown", true),
            (publishing.busy(), 503, "busy", true),
        ] {
            let reply = try #require(Reply(answer))
            #expect(reply.status == status)
            #expect(reply.code == code)
            #expect((reply["Retry-After"] != nil) == comesBack)
            #expect(reply["Cache-Control"] == "no-store")
        }
    }

    @Test func `whether a body may come is decided before it comes`() {
        let http = HTTPInterface(
            settings: {
                var settings = Settings()
                settings.allow = [AllowRule(pattern: .any, read: .everyone, publish: .nobody)]
                return settings
            }()
        )
        func verdict(_ request: CGIRequest) -> String {
            var request = request
            request.awaitsBody = true
            switch http.verdict(onHead: request) {
            case .keep: return "keep"
            case .drop: return "drop"
            case .refuse(let answer): return "\(answer.status)"
            }
        }
        let large: KeyValuePairs = ["CONTENT_LENGTH": "5000"]
        let mayWrite: KeyValuePairs = ["HOLDFAST_WRITE": "a", "CONTENT_LENGTH": "5000"]
        let form: KeyValuePairs = ["CONTENT_TYPE": "application/x-www-form-urlencoded"]
        #expect(verdict(.post("/push/a", large, body: "")) == "403")
        #expect(verdict(.post("/push/a", mayWrite, body: "")) == "keep")
        #expect(
            verdict(
                .post("/push/a", ["HOLDFAST_WRITE": "a", "CONTENT_LENGTH": "99000000"], body: "")
            )
                == "413"
        )
        #expect(verdict(.post("/push/a?op=read", form, body: "")) == "keep")
        let query = CGIRequest([
            "REQUEST_METHOD": "QUERY", "REQUEST_URI": "/push/a",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
        ])
        #expect(verdict(query) == "keep")
        #expect(verdict(.post("/push/-/leave", large, body: "")) == "keep")
        #expect(verdict(.get("/push/a")) == "drop")
        #expect(verdict(.get("/push/-/live")) == "drop")
        #expect(verdict(.get("/elsewhere")) == "404")
    }

    @Test(arguments: [("QUERY", "/push/a"), ("POST", "/push/a?op=read"), ("POST", "/push/-/leave")])
    func `a compressed body was read as parameters`(method: String, target: String) {
        let request = CGIRequest(
            [
                "REQUEST_METHOD": method, "REQUEST_URI": target, "HTTP_CONTENT_ENCODING": "gzip",
                "CONTENT_TYPE": "application/x-www-form-urlencoded",
            ],
            body: "x"
        )
        #expect(HTTPInterface.open().answer(request)?.status == 415)
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
