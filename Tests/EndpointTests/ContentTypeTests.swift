import Channels
import Configuration
import Testing

@testable import Endpoint

/// A message is served with the type its publisher said, to browsers that read such types in their own way.
@Suite struct ContentTypeTests {
    let http = HTTPInterface.open()

    private func publish(_ type: String) -> Reply? {
        http.answer(.post("/push/news", ["CONTENT_TYPE": type], body: "<script>"))
    }

    private func bare(_ message: Message) -> Reply? {
        http.poll(.get("/push/news?format=bare&since=k7f2-1")).flatMap {
            Reply($0.answer(reading([message], scanned: 9), epoch: epoch))
        }
    }

    // Browsers cut the field at commas, take the last type that is one, and would run this as a page.
    @Test(arguments: [
        "text/plain;a=,text/html", "text/plain;a=b,text/html", "text/plain,text/html",
        "text/plain; a=b c", "text/plain; a", "text/plain; =b", "text/plain; a=",
        "text/plain; a=\"",
        "text/plain; a=\"b", "text/plain; a=\"b\\\"", "text/plain; a=\"b\"c", "text/plain; a =b",
        "text/plain; a= b", "text/plain; a=b; a/c=d", "text/plain x", "text/pl<ain", "(a)/b",
    ])
    func `a second type hidden in a parameter is refused`(type: String) {
        #expect(publish(type)?.status == 415)
        #expect(publish(type)?.code == "unsupported_media_type")
    }

    @Test(arguments: [
        "text/plain", "text/plain;", "text/plain; charset=utf-8", "Text/Plain ;a=b;;  c=\"\"",
        "application/vnd.x+json;v=1", "text/plain; a=\"b, \\\" ; charset=x\"",
        "multipart/mixed; boundary=\"=_?/:()\"",
    ])
    func `types by the grammar are taken`(type: String) throws {
        let request = CGIRequest.post("/push/news", ["CONTENT_TYPE": type], body: "x")
        #expect(http.publication(request)?.drafts.first?.contentType == type)
    }

    @Test func `a charset inside another parameter's quotation marks does not count`() {
        let type = "text/plain; a=\"; charset=x\""
        let reply = bare(message(9, "x", kind: .text, contentType: type))
        #expect(reply?["Content-Type"] == type + "; charset=utf-8")
        #expect(MediaType("text/plain;;")?.withCharset == "text/plain; charset=utf-8")
    }

    @Test(arguments: [
        (BodyKind.text, "text/plain; charset=utf-8"), (.bytes, "application/octet-stream"),
    ])
    func `a hidden second type that is in the log already is not served`(
        kind: BodyKind,
        served: String
    ) {
        for type in ["text/plain;a=,text/html", "text/html\r\nX: y", "text/é", "x"] {
            let reply = bare(message(9, "<script>", kind: kind, contentType: type))
            #expect(reply?["Content-Type"] == served)
            #expect(reply?["Content-Security-Policy"] == "sandbox")
        }
    }

    // Under `script-src 'self'`, which most sites have, a message was a script of the site.
    @Test(arguments: [
        "text/javascript", "application/javascript", "Text/JavaScript; charset=utf-8",
        "application/x-javascript", "text/ecmascript", "application/ecmascript", "text/jscript",
        "text/livescript", "text/javascript1.5", "text/x-javascript", "text/vbscript", "text/css",
        "text/html", "application/xhtml+xml", "text/xml", "application/xml", "image/svg+xml",
        "application/rss+xml", "application/xslt+xml", "text/xsl", "application/mathml+xml",
        "application/xml-dtd", "multipart/x-mixed-replace;boundary=b", "message/rfc822",
        "application/wasm", "application/manifest+json", "text/event-stream",
        "application/x-shockwave-flash", "text/x-server-parsed-html",
    ])
    func `what browsers execute or apply is served as plain text`(type: String) throws {
        for kind in [BodyKind.text, .bytes] {
            let sent = message(9, "alert(1)", kind: kind, contentType: type)
            #expect(bare(sent)?["Content-Type"] == "text/plain; charset=utf-8")
            #expect(bare(sent)?["X-Content-Type-Options"] == "nosniff")
            #expect(bare(sent)?.body == "alert(1)")
            #expect(asMessage(sent)?["Content-Type"] == "text/plain; charset=utf-8")
            let endpoint = HTTPInterface.open { $0.endpoints = classicEndpoints }
            let polled = try #require(endpoint.poll(.get("/sub"))).answer(
                reading([sent], scanned: 9),
                epoch: epoch
            )
            #expect(Reply(polled)?["Content-Type"] == "text/plain; charset=utf-8")
        }
    }

    @Test(arguments: [
        "image/png", "video/mp4", "audio/ogg", "font/woff2", "application/pdf", "application/zip",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/ld+json", "application/octet-stream", "application/cbor",
    ])
    func `types that browsers show or play are kept`(type: String) {
        let sent = message(9, "x", kind: .bytes, contentType: type)
        #expect(bare(sent)?["Content-Type"] == type)
    }

    @Test(arguments: [
        ("text/html; charset=iso-8859-1", "iso-8859-1"),
        ("text/html; charset=\"UTF-16\"", "utf-16"),
        ("text/html; charset=\"a; b\"", "utf-8"), ("text/html; charset=\"\"", "utf-8"),
    ])
    func `plain text keeps the character set`(type: String, charset: String) {
        let sent = message(9, [0xE9], kind: .bytes, contentType: type)
        #expect(bare(sent)?["Content-Type"] == "text/plain; charset=\(charset)")
    }

    @Test func `pages of unlisted origins could embed messages`() throws {
        let http = HTTPInterface.open {
            $0.cors.origins = .listed(["https://a.test"])
            $0.endpoints = classicEndpoints
        }
        let name = "Cross-Origin-Resource-Policy"
        let sent = message(9, "x", kind: .bytes, contentType: "image/png")
        for (origin, policy) in [
            ("", "same-origin" as String?), ("https://b.test", "same-origin"),
            ("https://a.test", nil),
        ] {
            for uri in ["/push/news?format=bare&since=k7f2-1", "/sub"] {
                let poll = try #require(http.poll(.get(uri, ["HTTP_ORIGIN": origin])))
                let answer = poll.answer(reading([sent], scanned: 9), epoch: epoch)
                #expect(Reply(answer)?[name] == policy)
            }
            for form in ["", "?format=bare"] {
                let request = CGIRequest.get(
                    "/push/-/messages/k7f2-9\(form)",
                    ["HTTP_ORIGIN": origin]
                )
                guard case .message(let asked) = http.intent(of: request, random: 0) else {
                    return #expect(Bool(false))
                }
                #expect(Reply(asked.answer(sent))?[name] == policy)
            }
        }
    }

    private func asMessage(_ message: Message) -> Reply? {
        guard
            case .message(let request) = http.intent(
                of: .get("/push/-/messages/k7f2-9?format=bare"),
                random: 0
            )
        else { return nil }
        return Reply(request.answer(message))
    }

    @Test(arguments: [
        (BodyKind.text, "text/plain"), (.json, "application/json"), (.bytes, "image/png"),
        (.text, "text/html"),
    ])
    func `every bare body is in a sandbox, plain text too`(kind: BodyKind, type: String) throws {
        let sent = message(9, "1", kind: kind, contentType: type)
        #expect(bare(sent)?["Content-Security-Policy"] == "sandbox")
        guard
            case .message(let request) = http.intent(
                of: .get("/push/-/messages/k7f2-9?format=bare"),
                random: 0
            )
        else { return #expect(Bool(false)) }
        #expect(Reply(request.answer(sent))?["Content-Security-Policy"] == "sandbox")
    }

    @Test(arguments: [
        ("text/plain; charset=\"\"", "text/plain; charset=utf-8"),
        ("text/plain ;charset=\"\"; a=b", "text/plain; a=b; charset=utf-8"),
        ("text/plain; charset=\"\"; charset=utf-8", "text/plain; charset=utf-8"),
    ])
    func `an empty character set counted as another one`(type: String, served: String) throws {
        let text = CGIRequest.post("/push/news", ["CONTENT_TYPE": type], body: "é")
        #expect(http.publication(text)?.drafts.first?.kind == .text)
        #expect(bare(message(9, "é", kind: .text, contentType: type))?["Content-Type"] == served)
        let json = CGIRequest.post(
            "/push/news",
            ["CONTENT_TYPE": "application/json; charset=\"\""],
            body: "\"é\""
        )
        #expect(http.publication(json)?.drafts.first?.kind == .json)
    }
}
