import Harness
import Testing

/// What once went wrong with holdfast.js, in Node; and with the chat that is written upon it, in a browser.
@Suite(.enabled(if: Tool.usable(.node, .nginx), "node or nginx is not installed"), .serialized)
struct ClientRegressionTests {
    private func run(
        _ name: String,
        _ settings: String = HoldfastServer.open,
        expecting expected: String
    ) throws {
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                web.expectsFailures = true
                let module = try holdfast.directory.write(
                    try holdfast.get("/push/-/holdfast.js").text,
                    to: "holdfast.mjs"
                )
                let outcome = try ChildProcess.run(
                    Tool.node.path,
                    [
                        "\(Place.root)/Tests/EndToEndTests/Support/regressions.mjs", name, module,
                        "http://127.0.0.1:\(web.port)/push",
                    ],
                    directory: holdfast.directory
                )
                #expect(outcome.exit == .exited(0), "\(outcome.error)")
                #expect(String(decoding: outcome.output, as: UTF8.self) == expected)
            }
        }
    }

    @Test func `messages may be of a type that is a field of event streams`() throws {
        try run("a type called retry", expecting: "retry,data,id\n")
    }

    @Test func `subscriptions that name too many channels together get connections of their own`()
        throws
    {
        try run("too many channels together", expecting: "a,b\n")
    }

    @Test func `where streams are refused it polls`() throws {
        try run("streams refused", expecting: "poll\nx\n")
    }

    @Test func `one slow stream made it poll for as long as the page lived`() throws {
        try run("a slow stream", expecting: "poll\nx\nsse\ny\n")
    }

    @Test func `what web servers answer a stream while Holdfast is away made it poll`() throws {
        try run(
            "away",
            expecting: "connecting,waiting: connection lost,connecting,sse\nx\n"
        )
    }

    @Test func `users saw the text of an aborted signal`() throws {
        let problem = "connection lost\n"
        try run("no answer", expecting: problem + problem)
    }

    @Test func `no answer may come from a cache`() throws {
        try run("caches", expecting: "no-store\n")
    }

    @Test func `a list of channels too long for a URL is sent as a form`() throws {
        try run("a list too long for a URL", expecting: "sse\nx\npoll\nx\n")
    }

    @Test func `Retry-After holds whatever others do, and ends at once by the signal`() throws {
        try run("others end no pause", expecting: "1\nenough\n")
    }

    @Test func `what fetch would always refuse is not tried again`() throws {
        try run("what can't be sent", expecting: "TypeError\n")
    }

    @Test func `presence does not begin at a cursor that was stored`() throws {
        let settings = HoldfastServer.open + "[presence news]\ngrace = 10m\n"
        try run("presence with a stored cursor", settings, expecting: "join Bob 1\n")
    }

    // MARK: The chat

    @Test(.enabled(if: Tool.usable(.chromium), "chromium is not installed"))
    func `the chat is no wider than the window, whoever is there`() throws {
        let settings = HoldfastServer.open + "[presence chat]\ngrace = 10m\n"
        try HoldfastServer.with(settings) { holdfast in
            let people = try (0..<20).map { number in
                try holdfast.hold("/push/chat?wait=25&name=Somebody-\(number)")
            }
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let page = try Browser(directory: holdfast.directory)
                    .open("http://127.0.0.1:\(web.port)/push/-/chat")
                try page.waitForText("20 here")
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
                try page.waitForText("This channel cannot be read")
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
