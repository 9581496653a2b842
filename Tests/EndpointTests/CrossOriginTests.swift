import Channels
import Configuration
import Testing

@testable import Endpoint

@Suite struct CrossOriginTests {
    let listed = "https://www.example.org"

    private func interface(_ origins: CORSSettings.Origins) -> HTTPInterface {
        .open { $0.cors.origins = origins }
    }

    @Test(
        arguments: [
            ("https://www.example.org", "https://www.example.org", "true"),
            ("https://www.example.org:443", nil, nil), ("http://www.example.org", nil, nil),
            ("https://example.org", nil, nil), ("null", nil, nil), ("", nil, nil),
            ("https://www.example.org\r\nX: y", nil, nil),
        ] as [(String, String?, String?)]
    )
    func `listed origins may read, with credentials`(
        origin: String,
        allowed: String?,
        credentials: String?
    ) throws {
        let http = interface(.listed([listed, "null"]))
        let get = CGIRequest.get("/push/a", ["HTTP_ORIGIN": origin])
        let bad = CGIRequest.get("/push/a?wait=x", ["HTTP_ORIGIN": origin])
        for reply in [
            Reply(try #require(http.poll(get)).answer(reading(), epoch: epoch)), http.answer(bad),
        ] {
            #expect(reply?["Access-Control-Allow-Origin"] == allowed)
            #expect(reply?["Access-Control-Allow-Credentials"] == credentials)
            #expect((reply?["Access-Control-Expose-Headers"] != nil) == (allowed != nil))
            #expect(reply?["Vary"]?.contains("Origin") == true)
        }
    }

    @Test func `a star means anyone, without credentials`() throws {
        let http = interface(.any)
        let reply = http.answer(.get("/push/a?wait=x", ["HTTP_ORIGIN": "https://x.test"]))
        #expect(reply?["Access-Control-Allow-Origin"] == "*")
        #expect(reply?["Access-Control-Allow-Credentials"] == nil)
        #expect(http.answer(.get("/push/a?wait=x"))?["Access-Control-Allow-Origin"] == nil)
    }

    @Test func `different origins do not share an answer`() throws {
        let http = interface(.listed(["https://a.test", "https://b.test"]))
        let polls = ["https://a.test", "https://b.test", "https://c.test"].map {
            http.poll(.get("/push/a?wait=5", ["HTTP_ORIGIN": $0]))?.subscription
        }
        #expect(Set(polls).count == 3)
    }

    @Test func `a preflight is answered without authentication`() throws {
        let http = HTTPInterface.open {
            $0.allow = []
            $0.cors.origins = .listed([listed])
            $0.cors.maxAgeSeconds = 77
        }
        func preflight(_ origin: String) -> Reply? {
            http.answer(
                CGIRequest([
                    "REQUEST_METHOD": "OPTIONS", "REQUEST_URI": "/push/a", "HTTP_ORIGIN": origin,
                    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
                ])
            )
        }
        let reply = try #require(preflight(listed))
        #expect(reply.status == 204)
        #expect(reply["Access-Control-Allow-Origin"] == listed)
        #expect(reply["Access-Control-Allow-Methods"]?.contains("POST") == true)
        #expect(reply["Access-Control-Allow-Headers"]?.contains("Idempotency-Key") == true)
        #expect(reply["Access-Control-Max-Age"] == "77")
        let other = try #require(preflight("https://evil.test"))
        #expect(other.status == 204)
        #expect(!other.fields.contains { $0.name.hasPrefix("Access-Control") })
        let plain = http.answer(
            CGIRequest(["REQUEST_METHOD": "OPTIONS", "REQUEST_URI": "/push/a"])
        )
        #expect(plain?.status == 204)
        #expect(plain?["Allow"] == "GET, HEAD, QUERY, POST, DELETE, OPTIONS")
    }

    @Test(arguments: [
        // Origin, Host, what the server says of the scheme, Sec-Fetch-Site, may publish
        ("", "a.test", "http", "", true), ("", "a.test", "http", "cross-site", false),
        ("", "a.test", "http", "same-origin", true), ("", "a.test", "http", "same-site", false),
        ("http://a.test", "a.test", "http", "", true),
        ("http://a.test", "a.test", "http", "same-site", false),
        ("http://A.test", "a.TEST", "http", "", true),
        ("http://a.test:80", "a.test", "http", "", true),
        ("http://a.test", "a.test:80", "http", "", true),
        ("https://a.test", "a.test:443", "https", "", true),
        ("https://a.test", "a.test", "http", "", false),
        ("http://a.test", "a.test", "https", "", false),
        ("https://a.test", "a.test", "", "", true),
        ("https://a.test", "a.test", "http", "same-origin", true),
        ("https://a.test", "a.test", "", "cross-site", false),
        ("http://a.test:8081", "a.test:8080", "http", "same-site", false),
        ("http://b.a.test", "a.test", "http", "same-site", false),
        ("http://evil.test", "a.test", "http", "", false), ("null", "a.test", "http", "", false),
        ("null", "a.test", "http", "same-origin", false), ("http://a.test", "", "http", "", false),
        ("a.test", "a.test", "http", "", false), ("http:a.test", "a.test", "http", "", false),
        ("https://www.example.org", "a.test", "http", "cross-site", true),
        ("http://[::1]:8080", "[::1]:8080", "http", "", true),
    ])
    func `pages of other origins may publish only if they are listed`(
        origin: String,
        host: String,
        scheme: String,
        site: String,
        may: Bool
    ) {
        let http = HTTPInterface.open {
            $0.cors.origins = .listed([listed])
            $0.endpoints = classicEndpoints
        }
        for uri in ["/push/a", "/pub"] {
            let request = CGIRequest.post(
                uri,
                [
                    "HTTP_ORIGIN": origin, "HTTP_HOST": host, "REQUEST_SCHEME": scheme,
                    "HTTP_SEC_FETCH_SITE": site,
                ],
                body: "x"
            )
            #expect((http.publication(request) != nil) == may)
            #expect(http.refusal(request) == (may ? nil : "cross_site_write"))
        }
    }

    @Test func `with a star any site wrote with its visitor's rights`() throws {
        let http = HTTPInterface.open {
            $0.allow = [AllowRule(pattern: ChannelPattern("open")!, publish: .everyone)]
            $0.cors.origins = .any
        }
        func post(_ channel: String, _ fields: [(String, String)]) -> CGIRequest {
            CGIRequest(
                [
                    ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/push/\(channel)"),
                    ("CONTENT_TYPE", "text/plain"), ("HTTP_HOST", "here.test"),
                    ("HOLDFAST_WRITE", "**"), ("HOLDFAST_USER", "ada"),
                    ("HOLDFAST_PUBLISHER", "192.0.2.7"), ("HTTP_COOKIE", "login=ada"),
                ] + fields,
                body: Array("x".utf8)
            )
        }
        let elsewhere = [
            [("HTTP_ORIGIN", "https://evil.test")],
            [("HTTP_ORIGIN", "https://evil.test"), ("HTTP_SEC_FETCH_SITE", "cross-site")],
            [("HTTP_ORIGIN", "http://here.test:8081"), ("HTTP_SEC_FETCH_SITE", "same-site")],
            [("HTTP_ORIGIN", "http://here.test"), ("HTTP_SEC_FETCH_SITE", "cross-site")],
            [("HTTP_ORIGIN", "http://here.test"), ("HTTP_ORIGIN", "https://evil.test")],
        ]
        for fields in elsewhere {
            let reply = try #require(http.answer(post("closed", fields)))
            #expect(reply.code == "publish_forbidden" && reply.body.contains("other origins"))
            // The visitor's own keys and quota are not touched either.
            #expect(http.publication(post("open", fields))?.publisher == "page:192.0.2.7")
            var delete = post("closed", fields)
            delete.put("REQUEST_METHOD", Array("DELETE".utf8))
            #expect(http.refusal(delete) == "publish_forbidden")
        }
        let own = [
            [], [("HTTP_ORIGIN", "http://here.test")], [("HTTP_SEC_FETCH_SITE", "same-origin")],
            [("HTTP_ORIGIN", "https://here.test"), ("HTTP_SEC_FETCH_SITE", "same-origin")],
        ]
        for fields in own {
            #expect(http.publication(post("closed", fields))?.publisher == "user:ada")
        }
        for fields in [
            [("HTTP_ORIGIN", "null")], [("HTTP_SEC_FETCH_SITE", "cross-site")],
            [("HTTP_SEC_FETCH_SITE", "same-site")],
            [("HTTP_ORIGIN", "null"), ("HTTP_SEC_FETCH_SITE", "same-origin")],
        ] {
            #expect(http.refusal(post("open", fields)) == "cross_site_write")
        }
    }

    @Test func `with a star any site read what the web server opens to its visitor`() throws {
        let http = HTTPInterface.open {
            $0.allow = [AllowRule(pattern: ChannelPattern("open")!, read: .everyone)]
            $0.presence = [PresenceRule(pattern: ChannelPattern("**")!)]
            $0.cors.origins = .any
        }
        func get(_ path: String, _ fields: [(String, String)]) -> CGIRequest {
            CGIRequest(
                [
                    ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/push/\(path)"),
                    ("HTTP_HOST", "here.test"), ("HOLDFAST_READ", "**"), ("HOLDFAST_USER", "ada"),
                    ("HOLDFAST_OPERATOR", "1"),
                ] + fields
            )
        }
        let closed = [
            ("closed?since=first", "read_forbidden"), ("closed?stream=sse", "read_forbidden"),
            ("-/presence/closed", "read_forbidden"), ("-/status", "operator_only"),
            ("-/status?stream=sse", "operator_only"), ("-/metrics", "operator_only"),
            ("-/channels/closed", "operator_only"),
        ]
        for fields in [
            [("HTTP_ORIGIN", "https://evil.test")], [("HTTP_ORIGIN", "null")],
            [("HTTP_ORIGIN", "http://here.test:8081"), ("HTTP_SEC_FETCH_SITE", "same-site")],
        ] {
            for (path, code) in closed {
                let reply = try #require(http.answer(get(path, fields)))
                #expect(reply.code == code && reply.body.contains("other origins"))
            }
            #expect(http.refusal(get("open?since=first", fields)) == nil)
            let rights = http.answer(get("-/rights/closed", fields))?.body
            #expect(rights?.contains(#""read":false,"publish":false,"user":null"#) == true)
            let intent = http.intent(of: get("-/messages/k7f2-1", fields), random: 0)
            guard case .message(let message) = intent else {
                Issue.record("no message is asked for")
                continue
            }
            #expect(
                !message.rights.cover(channel("closed")) && message.rights.cover(channel("open"))
            )
        }
        for fields in [[], [("HTTP_ORIGIN", "http://here.test")]] {
            for (path, _) in closed { #expect(http.refusal(get(path, fields)) == nil) }
        }
    }

    @Test func `not even a star lets the null origin publish`() {
        let http = interface(.any)
        #expect(
            http.refusal(.post("/push/a", ["HTTP_ORIGIN": "null"], body: "x"))
                == "cross_site_write"
        )
        #expect(http.publication(.post("/push/a", ["HTTP_ORIGIN": "http://x.test"])) != nil)
    }

    @Test func `HTTPS and REQUEST_SCHEME both tell the scheme`() {
        for (name, value, secure) in [
            ("HTTPS", "on", true as Bool?), ("HTTPS", "off", false), ("HTTPS", "", nil),
            ("REQUEST_SCHEME", "https", true), ("REQUEST_SCHEME", "http", false),
        ] {
            #expect(CGIRequest([(name, value)]).isSecure == secure)
        }
    }

    @Test func `an origin that differs by a port was refused without the two values`() {
        let http = HTTPInterface.open { _ in }
        for (host, named) in [("a.test", "'https://a.test'"), ("", "an unnamed host")] {
            let request = CGIRequest.post(
                "/push/a",
                ["HTTP_ORIGIN": "https://a.test:8443", "HTTP_HOST": host, "HTTPS": "on"],
                body: "x"
            )
            let detail = http.answer(request)?.body
            #expect(detail?.contains("'https://a.test:8443'") == true)
            #expect(detail?.contains(named) == true)
        }
    }

    @Test(arguments: [CORSSettings.Origins.any, .listed([])])
    func `a refusal advised to list an origin that no list can have`(
        origins: CORSSettings.Origins
    ) {
        let http = interface(origins)
        for (name, value) in [("HTTP_ORIGIN", "null"), ("HTTP_SEC_FETCH_SITE", "cross-site")] {
            let fields: KeyValuePairs = [name: value]
            for (uri, verb) in [("/push/a", "publish"), ("/push/-/leave", "end requests")] {
                let detail = http.answer(.post(uri, fields, body: "x"))?.body
                #expect(detail?.contains("may not \(verb) here") == true)
                #expect(detail?.contains("[cors]") == false)
            }
            var delete = CGIRequest.get("/push/a", fields)
            delete.put("REQUEST_METHOD", Array("DELETE".utf8))
            #expect(http.answer(delete)?.body.contains("may not delete messages here") == true)
        }
    }
}
