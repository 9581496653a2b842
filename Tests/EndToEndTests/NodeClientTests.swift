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
}
