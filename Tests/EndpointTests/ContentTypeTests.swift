import Channels
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

    @Test func `a charset in quotation marks of another parameter is none`() {
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
}
