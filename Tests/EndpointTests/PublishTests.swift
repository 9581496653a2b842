import Channels
import Configuration
import Testing

@testable import Endpoint

@Suite struct PublishTests {
    let http = HTTPInterface.open()

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
}
