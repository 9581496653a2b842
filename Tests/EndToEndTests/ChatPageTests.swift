import Harness
import Testing

/// What the chat page promises to its users.
@Suite(
    .enabled(if: Tool.usable(.chromium, .nginx), "chromium or nginx is not installed"),
    .serialized
)
struct ChatPageTests {
    private func with(
        _ settings: String? = nil,
        _ body: (Browser, WebServer, HoldfastServer, _ url: String) throws -> Void
    ) throws {
        let settings = settings ?? HoldfastServer.open + "[presence chat]\ngrace = 2s\n"
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let browser = try Browser(directory: holdfast.directory)
                try body(browser, web, holdfast, "http://127.0.0.1:\(web.port)/push/-/chat")
            }
        }
    }

    private func isShown(_ id: String, _ page: Browser.Page) throws -> Bool {
        try page.evaluate("document.getElementById('\(id)')?.checkVisibility()") == true
    }

    /// Says this by another client.
    ///
    /// - Parameter text: as in a string of JSON.
    private func say(_ text: String, _ web: WebServer) throws {
        let body = "{\"nick\":\"Bob\",\"message\":\"\(text)\"}"
        let fields = ["Content-Type": "application/json"]
        #expect(try web.post("/push/chat", body, fields).status == 201)
    }

    @Test(.enabled(if: Tool.usable(.node), "node is not installed"))
    func `a long end of an address cost its square`() throws {
        let run = try ChildProcess.run(
            try Tool.node.path,
            [
                "\(Place.root)/Tests/EndToEndTests/Support/linked.mjs",
                "\(Place.root)/Sources/BrowserClient/Resources/chat.js",
            ],
            directory: TestDirectory()
        )
        #expect(run.exit == .exited(0), "\(run.error)")
    }

    @Test func `a visitor is not asked for a name before wanting to write, and then only once`()
        throws
    {
        try with { browser, _, holdfast, url in
            let page = try browser.open(url)
            try page.waitForText("Live")
            // On a phone, a keyboard would cover half of the page.
            #expect(try page.evaluate("document.activeElement === document.body") == true)
            try page.type("Ann", into: "nick")
            try page.type("hello", into: "message")
            try page.pressEnter()
            try page.waitForText("hello")
            #expect(try !isShown("nick", page) && isShown("me", page))
            try page.reload()
            try waitUntil("it is there again") { try isShown("me", page) }
            #expect(try !isShown("nick", page))
            try page.evaluate("document.getElementById('me').click()")
            #expect(try page.evaluate("document.activeElement.id") == "nick")
        }
    }

    @Test func `addresses are links, and nothing else is; line breaks survive`() throws {
        try with { browser, web, holdfast, url in
            let page = try browser.open(url)
            try page.waitForText("Live")
            try say(
                #"see https://example.org/a_(b)?x=1&y=2. (or http://example.org/c), not javascript:alert(1),\n"#
                    + #"data:text/html,x, https:// or <a href=\"javascript:alert(1)\">this</a>"#,
                web
            )
            try page.waitForText("see https://example.org")
            let links = try page.evaluate(
                "[...document.querySelectorAll('#log a')].map((a) => [a.getAttribute('href'), a.rel, a.target].join(' ')).join('\\n')"
            )
            let rest = " noopener noreferrer _blank"
            #expect(
                links.string
                    == "https://example.org/a_(b)?x=1&y=2\(rest)\nhttp://example.org/c\(rest)"
            )
            let text = try page.text
            #expect(text.contains("not javascript:alert(1),\ndata:text/html"), "\(text)")
            // As they are pasted; Enter alone sends.
            try page.type("Ann", into: "nick")
            try page.type("first line\n  second line", into: "message")
            try page.pressEnter()
            try page.waitForText("first line\n  second line")
            let said = try holdfast.get("/push/chat?since=last:1").json["messages"][0]["data"]
            #expect(said == ["nick": "Ann", "message": "first line\n  second line"])
        }
    }

    @Test
    func `a visitor that may not write is told so in plain words, and has nothing to send with`()
        throws
    {
        try with("[allow chat]\nread = everyone\n") { browser, web, holdfast, url in
            let page = try browser.open(url)
            try page.waitForText("You can read here, but not write.")
            #expect(try !isShown("send", page) && !isShown("message", page))
            #expect(try page.evaluate("document.getElementById('send').disabled") == true)
            for word in ["HOLDFAST_", "[allow", ".ini"] { #expect(try !page.text.contains(word)) }
            // Nor do visitors that may not read see jargon; the operator finds the reason.
            let other = try browser.open("\(url)?channel=closed")
            try other.waitForText("This channel is not open to you")
            for word in ["HOLDFAST_", "[allow", ".ini"] { #expect(try !other.text.contains(word)) }
            try other.evaluate("document.querySelector('details').open = true")
            try other.waitForText("HOLDFAST_READ")
        }
    }

    @Test func `a visitor that loses the right to write reads that the message was not sent`()
        throws
    {
        try with { browser, web, holdfast, url in
            web.expectsFailures = true
            let page = try browser.open(url)
            try page.waitForText("Live")
            try page.type("Ann", into: "nick")
            try page.type("hello", into: "message")
            try holdfast.writeSettings("[allow chat]\nread = everyone\n")
            holdfast.reload()
            try waitUntil("it is closed") {
                try holdfast.post("/push/chat", "x").status == 403
            }
            // Not by Enter: a page that has heard of it meanwhile has hidden the form.
            try page.evaluate("document.getElementById('form').requestSubmit()")
            try page.waitForText("Not sent: you may not write here")
            try page.waitForText("You can read here, but not write.")
        }
    }

    @Test func `the reader counts among the members, named or not`() throws {
        try with { browser, _, holdfast, url in
            let page = try browser.open(url)
            try page.waitForText("1 here")
            try page.type("Ann", into: "nick")
            try page.evaluate("document.getElementById('message').focus()")
            try page.waitForText("Ann (you)")
            let bob = try browser.open(url)
            try bob.type("Bob", into: "nick")
            try bob.evaluate("document.getElementById('message').focus()")
            for one in [page, bob] { try one.waitForText("2 here") }
        }
    }

    @Test func `of a crowd the page says how many are not shown, and shows them`() throws {
        try with { browser, _, holdfast, url in
            let crowd = try (1...26).map { number in
                try holdfast.hold(
                    "/push/chat?wait=55&name=Visitor-\(number)&subscriber=0123456789abcdef-\(number)"
                )
            }
            let page = try browser.open(url)
            try page.waitForText("27 here")
            let hidden =
                try page.evaluate(
                    """
                    (() => {
                      const {bottom} = document.getElementById("here-names").getBoundingClientRect();
                      return [...document.querySelectorAll("#here-names li")].filter((one) => one.getBoundingClientRect().top >= bottom).length;
                    })()
                    """
                ).number ?? 0
            #expect(hidden > 0 && hidden < 27)
            let more = "document.getElementById('here-more')"
            #expect(try page.evaluate("\(more).textContent").string == "+\(Int(hidden))")
            try page.evaluate("\(more).click()")
            #expect(try page.evaluate("\(more).getAttribute('aria-expanded')") == "true")
            #expect(
                try page.evaluate(
                    "document.getElementById('here-names').offsetHeight > \(more).offsetHeight"
                ) == true
            )
            _ = crowd
        }
    }

    @Test func `a visitor that does not want to wait for the next attempt has a button`() throws {
        try with { browser, web, holdfast, url in
            web.expectsFailures = true
            let page = try browser.open(url)
            try page.waitForText("Live")
            try holdfast.stop()
            try waitUntil("it is offered") { try isShown("retry", page) }
            #expect(try page.text.contains("Reconnecting"))
            try page.evaluate(
                """
                const real = fetch;
                window.asked = 0;
                window.fetch = (...all) => (asked++, real(...all));
                document.getElementById("retry").click();
                """
            )
            try waitUntil("it has asked") { try page.evaluate("asked > 0") == true }
            try holdfast.start()
            try page.waitForText("Live")
            try say("here again", web)
            try page.waitForText("here again")
        }
    }
}
