import Harness
import Testing

/// A real browser, the pages that people see.
@Suite(
    .enabled(if: Tool.usable(.chromium, .nginx), "chromium or nginx is not installed"),
    .serialized
)
struct BrowserTests {
    private func with(
        _ body: (Browser, WebServer, HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.withChat { holdfast, ports in
            try WebServer.with(.nginx, before: holdfast, ports: ports) { web throws in
                try body(Browser(directory: holdfast.directory), web, holdfast)
            }
        }
    }

    /// What would show if it were taken for HTML.
    private let script =
        #"<script>document.title='owned'</script><b id="bold">x</b><img src=x onerror="document.title='owned'">"#

    @Test func `two people chat, and what they type stays text`() throws {
        try with { browser, web, holdfast in
            let url = "http://127.0.0.1:\(web.port)/push/-/chat"
            let (ann, bob) = try (browser.open(url), browser.open(url))
            try holdfast.waitForHeld(2)
            try ann.type("Ann", into: "nick")
            try ann.type("hello from Ann", into: "message")
            try ann.pressEnter()
            try bob.waitForText("hello from Ann")
            try ann.waitForText("hello from Ann")
            try bob.type("Bob", into: "nick")
            try bob.type(script, into: "message")
            try bob.pressEnter()
            for page in [ann, bob] {
                try page.waitForText(script)
                #expect(try page.evaluate("document.getElementById('bold')") == .null)
                #expect(try page.evaluate("document.title").string?.contains("owned") == false)
                #expect(try page.text.contains("Ann"))
            }
            // From elsewhere, in whatever form.
            #expect(try web.post("/push/chat", "from a shell").status == 201)
            for page in [ann, bob] { try page.waitForText("from a shell") }
        }
    }

    @Test func `the chat page comes through a restart and shows what was missed, once`() throws {
        try with { browser, web, holdfast in
            web.expectsFailures = true
            let page = try browser.open("http://127.0.0.1:\(web.port)/push/-/chat")
            try holdfast.waitForHeld(1)
            try holdfast.publish("chat", "before the restart")
            try page.waitForText("before the restart")
            try holdfast.stop()
            try holdfast.start()
            try holdfast.publish("chat", "while it was away")
            try page.waitForText("while it was away")
            let count = "(document.body?.innerText ?? '').split('before the restart').length - 1"
            #expect(try page.evaluate(count) == 1)
            // And over a reload of the page.
            try page.reload()
            try page.waitForText("while it was away")
            #expect(try page.evaluate(count) == 1)
        }
    }

    @Test func `two tabs of one person chat over one connection, behind lighttpd too`() throws {
        try HoldfastServer.withChat { holdfast, ports in
            try WebServer.with(.lighttpd, before: holdfast, ports: ports) { web throws in
                let browser = try Browser(directory: holdfast.directory)
                let url = "http://127.0.0.1:\(web.port)/push/-/chat"
                let first = try browser.open(url)
                try first.type("Ann", into: "nick")
                try first.type("hello from the first tab", into: "message")
                try first.pressEnter()
                let second = try browser.open(url, beside: first)
                try second.waitForText("hello from the first tab")
                try second.type("hello from the second tab", into: "message")
                try second.pressEnter()
                for page in [first, second] {
                    try page.waitForText("hello from the second tab")
                    try page.waitForText("Live")
                    try page.waitForText("1 here")
                }
                try holdfast.waitForHeld(1)
            }
        }
    }

    @Test func `the chat says that messages are missing`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open("http://127.0.0.1:\(web.port)/push/-/chat")
            try holdfast.publish("chat", "soon gone")
            try page.waitForText("soon gone")
            try page.waitForText("Live")
            #expect(try holdfast.exchange(FastCGIRequest("DELETE", "/push/chat")).status == 204)
            try page.waitForText("Messages were deleted from this channel.")
        }
    }

    @Test func `the classic page chats, from its own port and across ports`() throws {
        try with { browser, web, holdfast in
            let home = "http://127.0.0.1:\(web.port)/"
            let ann = try browser.open(home)
            let bob = try browser.open("\(home)?poll=\(web.secondPort)")
            try holdfast.waitForHeld(2)
            try ann.waitForText("polling = ")
            try ann.type("Ann", into: "nick")
            // One after the other: each page gets one message a poll and must lose none between them.
            for number in 1...5 {
                try ann.type("message \(number)", into: "message")
                try ann.pressEnter()
                try ann.waitForText("Ann: message \(number)")
            }
            for number in 1...5 { try bob.waitForText("Ann: message \(number)") }
            try bob.type("Bob", into: "nick")
            try bob.type(script, into: "message")
            try bob.pressEnter()
            for page in [ann, bob] {
                try page.waitForText("Bob: \(script)")
                #expect(try page.evaluate("document.getElementById('bold')") == .null)
            }
            #expect(try bob.text.contains("polls http://127.0.0.1:\(web.secondPort)"))
        }
    }

    /// It asks again from its success handler, and after an error a second later.
    @Test func `a page from before Holdfast stopped for good at the first empty answer`() throws {
        try HoldfastServer.withChat(edits: [("wait = 55s", "wait = 1s")]) { holdfast, ports in
            let options = ["--pages", "\(Place.root)/Tests/EndToEndTests/Support"]
            try WebServer.with(.nginx, before: holdfast, ports: ports, options: options) {
                web throws in
                web.expectsFailures = true
                let page = try Browser(directory: holdfast.directory)
                    .open("http://127.0.0.1:\(web.port)/oldchat.html")
                var said = 0
                func say(_ count: Int = 1) throws {
                    for _ in 1...count {
                        said += 1
                        let form = ["Content-Type": "application/x-www-form-urlencoded"]
                        let body = "nick=Ann&message=\(said)"
                        #expect(try web.post("/pub", body, form).status == 201)
                    }
                }
                /// Each once, and in order.
                func waitForAll() throws {
                    let all = (1...said).map { "Ann: \($0)" }.joined(separator: "\n")
                    try waitUntil("the page shows all \(said)") { try page.text == all }
                }
                // Nothing comes before it has been idle for some holds.
                try waitUntil("it asks again") { try holdfast.metrics().ended("deadline") >= 2 }
                try say()
                try waitForAll()
                for endsWell in [true, false, true] {
                    try holdfast.waitForHeld(1)
                    if endsWell { try holdfast.stop() } else { try holdfast.kill() }
                    try holdfast.start()
                    // While it waits for its second to be over.
                    try say(3)
                    try waitForAll()
                }
                try say(250)
                try waitForAll()
                try waitUntil("it asks again") { try holdfast.metrics().ended("deadline") >= 1 }
                try say()
                try waitForAll()
            }
        }
    }

    @Test func `the classic page stopped at a message that was not JSON`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open("http://127.0.0.1:\(web.port)/")
            try holdfast.waitForHeld(1)
            #expect(try web.post("/push/chat", "from a shell").status == 201)
            try page.waitForText("from a shell")
            try holdfast.waitForHeld(1)
            #expect(try web.post("/push/chat", "and again").status == 201)
            try page.waitForText("and again")
        }
    }

    @Test func `a channel of dots led the chat page to another path of the site`() throws {
        try with { browser, web, holdfast in
            let chat = "http://127.0.0.1:\(web.port)/push/-/chat"
            let page = try browser.open("\(chat)?channel=../../x")
            try holdfast.waitForHeld(1)
            try holdfast.publish("chat", "to the channel chat")
            try page.waitForText("to the channel chat")
        }
    }

    @Test(.enabled(if: Tool.usable(.chromium), "chromium is not installed"))
    func `the chat is no wider than the window, whatever the members`() throws {
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 10m\n"
        try HoldfastServer.with(settings) { holdfast in
            let people = try (0..<20).map { number in
                try holdfast.hold("/push/chat?wait=25&name=Somebody-\(number)")
            }
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let page = try Browser(directory: holdfast.directory)
                    .open("http://127.0.0.1:\(web.port)/push/-/chat")
                try page.waitForText("21 here")
                #expect(
                    try page.evaluate("document.documentElement.scrollWidth <= innerWidth") == true
                )
            }
            _ = people
        }
    }

    @Test(.enabled(if: Tool.usable(.chromium), "chromium is not installed"))
    func `a burst is stored once, and its end is shown`() throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let page = try Browser(directory: holdfast.directory)
                    .open("http://127.0.0.1:\(web.port)/push/-/chat")
                try page.waitForText("Live")
                try page.evaluate(
                    """
                    window.stores = 0;
                    const store = Storage.prototype.setItem;
                    Storage.prototype.setItem = function (...both) { stores++; store.apply(this, both); };
                    """
                )
                let lines = (1...1000).map { "\"burst \($0)\"" }.joined(separator: "\n")
                #expect(
                    try web.post("/push/chat", lines, ["Content-Type": "application/x-ndjson"])
                        .status
                        == 201
                )
                try page.waitForText("burst 1000")
                #expect(try page.evaluate("stores < 100") == true)
                #expect(try page.evaluate("document.querySelectorAll('.message').length") == 300)
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.chromium), "chromium is not installed"))
    func `a user that may publish but not read sees that the message was sent`() throws {
        try HoldfastServer.with("[allow chat]\npublish = everyone\n") { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let page = try Browser(directory: holdfast.directory)
                    .open("http://127.0.0.1:\(web.port)/push/-/chat")
                try page.waitForText("This channel is not open to you")
                try page.type("Ann", into: "nick")
                try page.type("hello", into: "message")
                try page.pressEnter()
                try waitUntil("it was sent") {
                    try page.evaluate(
                        "document.querySelector('#outbox .own:not(.pending)') != null"
                    )
                        == true
                }
            }
        }
    }
}
