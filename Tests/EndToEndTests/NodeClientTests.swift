import Harness
import Testing

/// holdfast.js in Node, as it is served.
@Suite(.enabled(if: Tool.usable(.node, .nginx), "node or nginx is not installed"))
struct NodeClientTests {
    private func module(_ holdfast: HoldfastServer) throws -> String {
        try holdfast.directory.write(
            try holdfast.get("/push/-/holdfast.js").text,
            to: "holdfast.mjs"
        )
    }

    private func run(
        _ name: String,
        _ settings: String = HoldfastServer.open,
        expecting expected: String
    ) throws {
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                web.expectsFailures = true
                let outcome = try ChildProcess.run(
                    Tool.node.path,
                    [
                        support("regressions.mjs"), name, try module(holdfast),
                        "http://127.0.0.1:\(web.port)/push",
                    ],
                    directory: holdfast.directory
                )
                #expect(outcome.exit == .exited(0), "\(outcome.error)")
                #expect(String(decoding: outcome.output, as: UTF8.self) == expected)
            }
        }
    }

    private func support(_ name: String) -> String {
        "\(Place.root)/Tests/EndToEndTests/Support/\(name)"
    }

    @Test(arguments: ["sse", "poll"])
    func `a program subscribes and publishes`(transport: String) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let outcome = try ChildProcess.run(
                    Tool.node.path,
                    [
                        support("client.mjs"), try module(holdfast),
                        "http://127.0.0.1:\(web.port)/push", transport,
                    ],
                    directory: holdfast.directory
                )
                #expect(outcome.exit == .exited(0), "\(outcome.error)")
                let lines = String(decoding: outcome.output, as: UTF8.self)
                #expect(
                    lines == """
                        message "before"
                        live \(transport)
                        number {"n":1}
                        message "end"
                        TypeError

                        """
                )
            }
        }
    }

    @Test(arguments: ["sse", "poll"])
    func `a subscription outlives its tokens, and misses nothing`(transport: String) throws {
        let secret = "0123456789abcdef0123456789abcdef"
        let settings = """
            [key web]
            secret = \(secret)
            [allow user/**]
            read = key:web
            publish = key:web

            """
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(.nginx, before: holdfast) { web throws in
                let outcome = try ChildProcess.run(
                    Tool.node.path,
                    [
                        support("tokenclient.mjs"), try module(holdfast),
                        "http://127.0.0.1:\(web.port)/push", transport, secret,
                    ],
                    directory: holdfast.directory
                )
                #expect(outcome.exit == .exited(0), "\(outcome.error)")
                #expect(String(decoding: outcome.output, as: UTF8.self) == "done\n")
            }
        }
    }

    @Test func `event streams are read as the HTML standard says`() throws {
        try HoldfastServer.with { holdfast in
            let outcome = try ChildProcess.run(
                Tool.node.path,
                [support("eventparser.mjs"), try module(holdfast)],
                directory: holdfast.directory
            )
            #expect(
                outcome.exit == .exited(0),
                "\(String(decoding: outcome.output, as: UTF8.self))"
            )
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
}
