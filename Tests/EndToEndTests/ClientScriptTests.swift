import Harness
import Testing

/// holdfast.js in a real browser, behind nginx: what a page is promised, whatever tabs and networks do.
@Suite(
    .enabled(if: Tool.usable(.chromium, .nginx), "chromium or nginx is not installed"),
    .serialized
)
struct ClientScriptTests {
    /// A page of this origin without a script of its own, on which the tests run theirs, and without a policy.
    static let bare = "/bare"
    /// Where it comes from; and what Chromium looks for beside it.
    static let bareOptions = [
        "--server",
        """
        location = \(bare) { default_type text/html; return 200 "<!doctype html><title>bare</title>"; }
        location = /favicon.ico { return 204; }
        """,
    ]

    private func with(
        _ settings: String = HoldfastServer.open,
        edits: [(String, String)] = [],
        keepConnections: Bool = true,
        _ body: (Browser, WebServer, HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(
                .nginx,
                before: holdfast,
                keepConnections: keepConnections,
                options: Self.bareOptions,
                edits: edits
            ) { web throws in
                try body(Browser(directory: holdfast.directory), web, holdfast)
            }
        }
    }

    private func url(_ web: WebServer) -> String { "http://127.0.0.1:\(web.port)\(Self.bare)" }

    // MARK: Tabs

    @Test(arguments: ["auto", "poll"])
    func `tabs share one connection, and when one closes another takes over`(
        transport: String
    ) throws {
        try with { browser, web, holdfast in
            let first = try browser.open(url(web))
            let others = try (0..<2).map { _ in try browser.open(url(web), beside: first) }
            try first.subscribe("news", "{transport: '\(transport)'}")
            try others[0].subscribe("news", "{transport: '\(transport)'}")
            try others[1].subscribe("sport", "{transport: '\(transport)'}")
            try holdfast.waitForHeld(1)
            for number in 1...5 { try holdfast.publish("news", "n\(number)") }
            try holdfast.publish("sport", "s1")
            for page in [first, others[0]] { try page.waitForMessages(1...5, "n") }
            try others[1].waitForMessages(1...1, "s")

            try first.close()
            for number in 6...10 { try holdfast.publish("news", "n\(number)") }
            try holdfast.publish("sport", "s2")
            try others[0].waitForMessages(1...10, "n")
            try others[1].waitForMessages(1...2, "s")
            try holdfast.waitForHeld(1)

            for page in others { try page.close() }
            try holdfast.waitForHeld(0)
        }
    }

    @Test func `a tab that comes with a cursor of its own misses nothing and sees nothing twice`()
        throws
    {
        try with { browser, web, holdfast in
            let early = try holdfast.cursor("news")
            let first = try browser.open(url(web))
            try first.subscribe("news")
            for number in 1...3 { try holdfast.publish("news", "n\(number)") }
            try first.waitForMessages(1...3, "n")
            let late = try holdfast.cursor("news")
            let (second, third) = try (
                browser.open(url(web), beside: first), browser.open(url(web), beside: first)
            )
            try second.subscribe("news", "{since: '\(early)'}")
            try third.subscribe("news", "{since: '\(late)'}")
            for number in 4...6 { try holdfast.publish("news", "n\(number)") }
            try first.waitForMessages(1...6, "n")
            try second.waitForMessages(1...6, "n")
            try third.waitForMessages(4...6, "n")
        }
    }

    @Test func `a channel that may not be read stops no other`() throws {
        let settings = """
            [allow news]
            read = everyone
            publish = everyone
            [hold]
            jitter = 0%

            """
        try with(settings) { browser, web, holdfast in
            let first = try browser.open(url(web))
            let second = try browser.open(url(web), beside: first)
            try first.subscribe("news")
            try second.subscribe("secret")
            try waitUntil("it is refused") { try second.state == "refused" }
            try holdfast.publish("news", "n1")
            try first.waitForMessages(1...1, "n")
            #expect(try first.state == "live")
        }
    }

    // MARK: Networks

    @Test(arguments: ["auto", "poll"])
    func `nothing is lost or shown twice over restarts`(transport: String) throws {
        try with { browser, web, holdfast in
            web.expectsFailures = true
            let page = try browser.open(url(web))
            let other = try browser.open(url(web), beside: page)
            for tab in [page, other] { try tab.subscribe("news", "{transport: '\(transport)'}") }
            try holdfast.waitForHeld(1)
            for round in 0..<3 {
                for number in 1...5 { try holdfast.publish("news", "n\(round * 10 + number)") }
                try holdfast.stop()
                try holdfast.start()
                for number in 6...10 { try holdfast.publish("news", "n\(round * 10 + number)") }
            }
            for tab in [page, other] { try tab.waitForMessages(1...30, "n") }
            #expect(try page.evaluate("gaps.length") == 0)
        }
    }

    @Test func `the network goes away and comes back`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.subscribe("news")
            try holdfast.publish("news", "n1")
            try page.waitForMessages(1...1, "n")
            try page.setOffline(true)
            // Emulation leaves what is open alone; the restart ends it.
            try holdfast.stop()
            try holdfast.start()
            try waitUntil("it is noticed") { try page.state == "waiting" }
            for number in 2...4 { try holdfast.publish("news", "n\(number)") }
            try page.setOffline(false)
            try page.waitForMessages(1...4, "n")
            try waitUntil("it is live again") { try page.state == "live" }
        }
    }

    @Test func `a stream that nginx keeps back is followed by long-polls`() throws {
        let edits = [
            (
                "fastcgi_buffering off;",
                "fastcgi_buffering on; fastcgi_ignore_headers X-Accel-Buffering;"
            )
        ]
        // With kept connections nginx 1.22 passes on what it has, whatever this says.
        try with(edits: edits, keepConnections: false) { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.subscribe("news")
            try waitUntil("it is live") { try page.state == "live" }
            #expect(try page.evaluate("info.transport") == "poll")
            try holdfast.publish("news", "n1")
            try page.waitForMessages(1...1, "n")
            // For the next five minutes.
            try page.evaluate("subscription.close()")
            try page.subscribe("news", "{name: 'another'}")
            try holdfast.publish("news", "n1")
            try page.waitForMessages(1...1, "n")
            #expect(try page.evaluate("states.flat().includes('sse')") == false)
        }
    }

    @Test func `a page polls another port, and publishes there`() throws {
        let ports = try (first: Ports.free(), second: Ports.free())
        let settings =
            HoldfastServer.open + "[cors]\norigins = http://127.0.0.1:\(ports.first)\n"
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(
                .nginx,
                before: holdfast,
                ports: ports,
                options: Self.bareOptions
            ) { web throws in
                let browser = try Browser(directory: holdfast.directory)
                let page = try browser.open(url(web))
                let there =
                    "{base: 'http://127.0.0.1:\(web.secondPort)/push', credentials: 'include'}"
                try page.subscribe("news", there)
                try waitUntil("it is live") { try page.state == "live" }
                #expect(try page.evaluate("info.transport") == "sse")
                let id = try page.evaluate(
                    "client.publish('news', 'n1', \(there)).then(({id}) => id)"
                )
                #expect(id.string != nil)
                try page.waitForMessages(1...1, "n")
            }
        }
    }

    @Test func `a page restored by the Back button continues`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.subscribe("news")
            try holdfast.publish("news", "n1")
            try page.waitForMessages(1...1, "n")
            try page.navigate(to: "http://127.0.0.1:\(web.port)/push/-/mark.svg")
            // Put aside, it holds nothing.
            try holdfast.waitForHeld(0)
            try holdfast.publish("news", "n2")
            try page.evaluate("history.back()")
            try waitUntil("it is back") {
                try page.evaluate("document.readyState + location.pathname").string
                    == "complete\(Self.bare)"
            }
            // Else the browser did not keep it but loaded it anew, which is another matter.
            guard try page.evaluate("typeof subscription") == "object" else { return }
            try page.waitForMessages(1...2, "n")
            try holdfast.waitForHeld(1)
        }
    }

    // MARK: Cursors and gaps

    @Test func `a reload continues where the tab was`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.subscribe("news", "{persist: 'session'}")
            try holdfast.publish("news", "n1")
            try page.waitForMessages(1...1, "n")
            try page.navigate(to: "about:blank")
            try holdfast.publish("news", "n2")
            try page.navigate(to: url(web))
            try page.subscribe("news", "{persist: 'session'}")
            try page.waitForMessages(2...2, "n")
        }
    }

    @Test func `messages no longer kept are reported as a gap to readers that missed them`() throws
    {
        try with(HoldfastServer.open + "[retain news]\ncount = 3\n") { browser, web, holdfast in
            let early = try holdfast.cursor("news")
            for number in 1...6 { try holdfast.publish("news", "n\(number)") }
            let page = try browser.open(url(web))
            try page.subscribe("news", "{since: '\(early)'}")
            try page.waitForMessages(4...6, "n")
            #expect(try page.evaluate("gaps.map(({reason}) => reason).join()") == "trimmed")

            // While it waits, deleting tells a gap, too; and it goes on.
            let other = try browser.open(url(web), beside: page)
            try other.subscribe("sport")
            try waitUntil("both are live") { try page.state == "live" && other.state == "live" }
            #expect(try holdfast.exchange(FastCGIRequest("DELETE", "/push/news")).status == 204)
            try waitUntil("the gap is told") {
                try page.evaluate("gaps.map(({reason}) => reason).join()") == "trimmed,deleted"
            }
            try holdfast.publish("news", "n7")
            try page.waitForMessages(4...7, "n")
            #expect(try other.evaluate("gaps.length") == 0)
        }
    }

    // MARK: Presence

    @Test(arguments: ["sse", "poll"])
    func `a message may be called as a field of event streams is`(transport: String) throws {
        try with { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.subscribe("news", "{transport: '\(transport)'}")
            for (number, type) in ["retry", "data", "id", "message"].enumerated() {
                let fields = ["Holdfast-Type": type]
                let answer = try holdfast.post("/push/news", "n\(number + 1)", fields: fields)
                #expect(answer.status == 201)
            }
            try page.waitForMessages(1...4, "n")
        }
    }

    @Test func `more channels than one request may name are waited for all the same, at rest`()
        throws
    {
        let settings = HoldfastServer.open + "[limits]\nchannels_per_request = 4\n"
        try with(settings) { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.subscribe("a,b,c")
            _ = try page.evaluate(
                """
                window.more = [];
                client.subscribe(["d", "e", "f"], ({data}) => more.push(data)); 1
                """
            )
            var number = 0
            try waitUntil("messages of both come") {
                number += 1
                try holdfast.publish("a", "a\(number)")
                try holdfast.publish("f", "f\(number)")
                return try page.evaluate("got.length && more.length").number ?? 0 > 0
            }
            let before = try holdfast.metrics()["holdfast_requests_total"]
            #expect(try holdfast.get("/push/other?wait=3").status == 200)
            #expect(try holdfast.metrics()["holdfast_requests_total"] - before < 30)
            try holdfast.publish("a", "last")
            try holdfast.publish("f", "last")
            try waitUntil("the last ones come") {
                try page.evaluate("got.includes('last') && more.includes('last')") == true
            }
        }
    }

    @Test func `presence reports joins, and leaves by closing the tab`() throws {
        let settings = HoldfastServer.open + "[presence news]\ngrace = 10m\n"
        try with(settings) { browser, web, holdfast in
            let ann = try browser.open(url(web))
            try ann.subscribe("news", "{name: 'Ann'}")
            try holdfast.waitForHeld(1)
            let bob = try browser.open(url(web))
            try bob.subscribe("news", "{name: 'Bob'}")
            try bob.evaluate(
                "window.names = ''; client.presence('news', (all) => names = all.map((one) => one.name).sort().join(), {name: 'Bob'})"
            )
            func wait(for names: String) throws {
                try waitUntil("\(names) are there") { try bob.evaluate("names").string == names }
            }
            try wait(for: "Ann,Bob")
            // Only the good-bye tells so soon.
            try ann.close()
            try wait(for: "Bob")
            #expect(
                try bob.evaluate("client.presence('other').catch((error) => error.code)")
                    == "presence_off"
            )
        }
    }

    // MARK: Its forms

    @Test func `the plain script defines a global of the same functions`() throws {
        try with { browser, web, holdfast in
            let page = try browser.open(url(web))
            try page.evaluate(
                """
                new Promise((done) => {
                  const script = document.createElement("script");
                  script.src = "/push/-/holdfast.classic.js";
                  script.onload = done;
                  document.head.append(script);
                }).then(() => { window.got = []; holdfast.subscribe("news", ({data}) => got.push(data)); })
                """
            )
            try holdfast.waitForHeld(1)
            try page.evaluate("holdfast.publish('news', 'n1')")
            try page.waitForMessages(1...1, "n")
        }
    }

    @Test func `browsers, which all take it compressed, got it as it is`() throws {
        try HoldfastServer.with { holdfast in
            for name in ["holdfast.js", "holdfast.classic.js"] {
                let plain = try holdfast.get("/push/-/\(name)")
                let fields = ["Accept-Encoding": "gzip, deflate, br"]
                let packed = try holdfast.get("/push/-/\(name)", fields)
                #expect(packed["Content-Encoding"] == "gzip" && plain["Content-Encoding"] == nil)
                #expect(packed.body.starts(with: [0x1F, 0x8B]) && packed.body.count <= 6000)
                #expect(packed["Vary"]?.contains("Accept-Encoding") == true)
                #expect(plain["Vary"] == packed["Vary"])
                let tag = try #require(packed["ETag"])
                #expect(tag != plain["ETag"])
                let same = try holdfast.get(
                    "/push/-/\(name)",
                    fields.merging(["If-None-Match": tag]) { $1 }
                )
                #expect(same.status == 304)
                #expect(try holdfast.get("/push/-/\(name)", ["If-None-Match": tag]).status == 200)
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.gzip)))
    func `it is small, and known by its ETag`() throws {
        try HoldfastServer.with { holdfast in
            for name in ["holdfast.js", "holdfast.classic.js"] {
                let answer = try holdfast.get("/push/-/\(name)")
                #expect(answer["Content-Type"] == "text/javascript; charset=utf-8")
                let tag = try #require(answer["ETag"])
                #expect(try holdfast.get("/push/-/\(name)", ["If-None-Match": tag]).status == 304)
                let file = try holdfast.directory.write(answer.text, to: name)
                let packed = try ChildProcess.run(
                    Tool.gzip.path,
                    ["-9", "-c", file],
                    directory: holdfast.directory
                )
                // As sizes are meant everywhere: 1 kB is 1024 bytes.
                #expect(packed.output.count <= 6 * 1024)
            }
        }
    }
}
