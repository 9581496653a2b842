import Channels
import Configuration
import Testing

@testable import Endpoint

@Suite struct AuthorizationTests {
    private func rule(
        _ pattern: String,
        read: AllowRule.Who? = nil,
        publish: AllowRule.Who? = nil
    ) -> AllowRule {
        AllowRule(pattern: ChannelPattern(pattern)!, read: read, publish: publish)
    }

    private func interface(_ rules: [AllowRule]) -> HTTPInterface {
        .open { $0.allow = rules }
    }

    @Test func `everything is closed by default`() throws {
        let http = interface([])
        let reply = try #require(http.answer(.get("/push/news")))
        #expect(reply.status == 403)
        #expect(reply.code == "read_forbidden")
        #expect(reply.body.contains("HOLDFAST_READ"))
        #expect(
            http.answer(.post("/push/news", body: "x"))?.body.contains("HOLDFAST_WRITE") == true
        )
    }

    @Test func `a page asks what it may do before it offers that`() throws {
        let http = interface([
            rule("chat", read: .everyone, publish: .everyone), rule("news", read: .everyone),
        ])
        func rights(_ channel: String, _ parameters: KeyValuePairs<String, String> = [:]) -> String?
        {
            http.answer(.get("/push/-/rights/\(channel)", parameters))?.body
        }
        func json(_ channel: String, read: Bool, publish: Bool, _ user: String = "null") -> String {
            #"{"channel":"\#(channel)","read":\#(read),"publish":\#(publish),"user":\#(user)}"#
                + "\n"
        }
        #expect(rights("chat") == json("chat", read: true, publish: true))
        #expect(rights("news") == json("news", read: true, publish: false))
        #expect(rights("secret") == json("secret", read: false, publish: false))
        let granted: KeyValuePairs = [
            "HOLDFAST_WRITE": "news", "HOLDFAST_READ": "secret", "HOLDFAST_USER": "ann",
        ]
        let ann = #""ann""#
        #expect(rights("news", granted) == json("news", read: true, publish: true, ann))
        #expect(rights("secret", granted) == json("secret", read: true, publish: false, ann))
        // Only Holdfast writes these.
        let own = "~presence/chat"
        #expect(rights(own) == json(own, read: true, publish: false))
        // What a page of another origin may not do, it is not told it could.
        let foreign: KeyValuePairs = [
            "HTTP_ORIGIN": "https://evil.example", "HTTP_HOST": "a.example",
        ]
        #expect(rights("chat", foreign) == json("chat", read: true, publish: false))
        #expect(http.refusal(.get("/push/-/rights/")) != nil)
        #expect(http.refusal(.get("/push/-/rights/a,b")) != nil)
    }

    @Test func `for each key the most specific rule that sets it decides`() {
        let http = interface([
            rule("news/*", publish: .everyone), rule("news/private", read: .nobody),
            rule("news/**", read: .everyone, publish: .nobody),
        ])
        #expect(http.poll(.get("/push/news/a")) != nil)
        #expect(http.poll(.get("/push/news/private")) == nil)
        #expect(http.publication(.post("/push/news/a", body: "x")) != nil)
        #expect(http.publication(.post("/push/news/a/b", body: "x")) == nil)
    }

    @Test func `a section for all channels hid the closed one, or kept the open one closed`() throws
    {
        let closed = [rule("**", read: .everyone), rule("secret/**", read: .nobody)]
        let opened = [rule("**", read: .nobody), rule("chat", read: .everyone)]
        for rules in [closed, closed.reversed()] {
            #expect(interface(rules).refusal(.get("/push/secret/a")) == "read_forbidden")
            #expect(interface(rules).refusal(.get("/push/a,secret")) == "read_forbidden")
            #expect(interface(rules).refusal(.get("/push/~presence/secret")) == "read_forbidden")
            #expect(interface(rules).poll(.get("/push/other")) != nil)
        }
        for rules in [opened, opened.reversed()] {
            #expect(interface(rules).poll(.get("/push/chat")) != nil)
            #expect(interface(rules).refusal(.get("/push/other")) == "read_forbidden")
        }
    }

    @Test(arguments: [
        ("secret/a", "[allow secret/**] says read = nobody", "holdfast.ini:7"),
        ("local", "[allow local] opens it only to others", "holdfast.ini:9"),
        ("other", "no [allow] section with 'read' matches it", "holdfast.ini"),
    ])
    func `a refusal names the section that decided, and the log its line`(
        channel: String,
        reason: String,
        place: String
    ) throws {
        var (secret, local) = (rule("secret/**", read: .nobody), rule("local"))
        local.read = .local([.user("ann")])
        (secret.line, local.line) = (7, 9)
        let http = HTTPInterface.open {
            $0.allow = [rule("**", publish: .everyone), local, secret]
            $0.file = "/etc/holdfast.ini"
        }
        guard case .answer(let answer) = http.intent(of: .get("/push/\(channel)"), random: 0) else {
            return #expect(Bool(false))
        }
        let reply = try #require(Reply(answer))
        #expect(reply.status == 403 && reply.body.contains(reason))
        #expect(!reply.body.contains("holdfast.ini") && !reply.body.contains("user:"))
        let said = "refused: read of \(channel): \(reason) (/etc/\(place))"
        #expect(answer.decision?.sentence == said)
        let decider = place.firstMatch(of: /:(\d+)/).map { String($0.1) } ?? "no section"
        #expect(answer.decision?.kind == "read by \(decider)")
    }

    @Test(arguments: [
        ("news", true), ("news/*", false), ("**", true), ("x news", true), ("x,news", true),
        ("x,\t news ,y", true), ("", false), (" , ", false), ("new*", false),
        ("ne?s news", true), ("/news", false),
    ])
    func `the web server grants by patterns`(granted: String, may: Bool) {
        let http = interface([rule("**", read: .nobody)])
        let request = CGIRequest.get("/push/news", ["HOLDFAST_READ": granted])
        #expect((http.poll(request) != nil) == may)
        #expect(http.poll(.get("/push/news", ["HOLDFAST_WRITE": granted])) == nil)
    }

    @Test func `all channels of a request must be allowed`() {
        let http = interface([rule("open", read: .everyone)])
        #expect(http.poll(.get("/push/open,news")) == nil)
        #expect(http.poll(.get("/push/open,news", ["HOLDFAST_READ": "news"])) != nil)
    }

    @Test func `the operator's right does not include reading`() {
        #expect(interface([]).poll(.get("/push/news", ["HOLDFAST_OPERATOR": "1"])) == nil)
    }

    @Test func `an unusable pattern is noted for the administrator`() {
        let request = CGIRequest.get("/push/news", ["HOLDFAST_READ": "new*\u{1b}é x"])
        guard case .answer(let answer) = interface([]).intent(of: request, random: 0) else {
            return #expect(Bool(false))
        }
        #expect(
            answer.note?.sentence
                == "HOLDFAST_READ contains 'new*??', which is not a channel pattern and grants nothing"
        )
        #expect(Reply(answer)?.body.contains("new*") == false)
    }

    @Test(arguments: [" ", "\u{A0}\u{3000}", " a", "a"])
    func `a verified name was blank`(name: String) {
        let http = HTTPInterface.open { $0.presence = [PresenceRule(pattern: .any)] }
        let refusal = name.hasSuffix("a") ? nil : "invalid_user"
        #expect(http.refusal(.get("/push/a?wait=5", ["HOLDFAST_USER": name])) == refusal)
        for parameter in ["HOLDFAST_USER", "HOLDFAST_PUBLISHER"] {
            #expect(http.refusal(.post("/push/a", [parameter: name], body: "x")) == refusal)
        }
    }
}
