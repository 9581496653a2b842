import Glibc
import Harness
import Testing

/// `holdfast cgi`, under web servers that speak CGI, and by itself.
@Suite(.enabled(if: Tool.usable(.lighttpd, .apache, .busybox), "a CGI server is not installed"))
struct CGITests {
    private func with(
        _ kind: WebServer.Kind,
        _ settings: String = HoldfastServer.open,
        _ body: (WebServer, HoldfastServer) throws -> Void
    ) throws {
        try HoldfastServer.with(settings) { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in try body(web, holdfast) }
        }
    }

    @Test(arguments: WebServer.Kind.cgi)
    func `publishing, polling and holding work`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast throws in
            let base = kind.base
            let sent = try web.post("\(base)/news", "hello & goodbye")
            #expect(sent.status == 201)
            #expect(sent["Location"]?.hasPrefix("\(base)/-/messages/") == true)
            let first = try web.get("\(base)/news?since=first").json
            #expect(first["messages"][0]["data"] == "hello & goodbye")
            let client = try HTTPClient(port: web.port)
            let cursor = first["cursor"].string ?? ""
            try client.send("GET", "\(base)/news?wait=25&since=\(cursor)")
            try holdfast.waitForHeld(1)
            try holdfast.publish("news", "later")
            #expect(try client.answer().json["messages"][0]["data"] == "later")
            try holdfast.waitForHeld(0)
        }
    }

    @Test(arguments: WebServer.Kind.cgi)
    func `a large body arrives whole`(kind: WebServer.Kind) throws {
        let limits = "[limits]\nmessage_bytes = 900k\n"
        try with(kind, HoldfastServer.open + limits) { web, holdfast throws in
            let text = String(repeating: "0123456789abcde\n", count: 50_000)
            #expect(try web.post("\(kind.base)/news", text).status == 201)
            #expect(try web.get("\(kind.base)/news?since=first&format=bare").text == text)
        }
    }

    @Test func `behind lighttpd a departed client is released at once`() throws {
        try with(.lighttpdCGI) { web, holdfast throws in
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/news?wait=25")
            try holdfast.waitForHeld(1)
            _ = try client.head()
            client.socket.close()
            try holdfast.waitForHeld(0)
            #expect(try holdfast.metrics().ended("closed") == 1)
        }
    }

    @Test(arguments: WebServer.Kind.cgi)
    func `without a responder the answer says how to start one`(kind: WebServer.Kind) throws {
        try with(kind) { web, holdfast throws in
            web.expectsFailures = true
            try holdfast.stop()
            let answer = try web.get("\(kind.base)/news")
            #expect(answer.status == 503)
            let detail = try answer.json["detail"].string ?? ""
            #expect(detail.contains("start it with"), "\(detail)")
            #expect(!detail.contains(holdfast.address.description))
            // After a 503 a browser's EventSource would never come back.
            let stream = try web.get("\(kind.base)/news", ["Accept": "text/event-stream"])
            #expect(stream.status == 200)
            #expect(stream["Content-Type"] == "text/event-stream")
            #expect(stream.text == "retry: 2000\n")
            try holdfast.start()
            #expect(try web.get("\(kind.base)/news").status == 200)
        }
    }

    // MARK: By itself

    private func start(
        _ server: HoldfastServer,
        _ arguments: [String] = ["cgi"],
        program: String? = nil,
        environment: [String: String] = [:],
        output: ChildProcess.Stream = .pipe
    ) throws -> ChildProcess {
        try ChildProcess(
            try program ?? Place.holdfast,
            arguments,
            name: "cgi-\(UInt32.random(in: 0...UInt32.max))",
            directory: server.directory,
            environment: [
                "HOLDFAST_INI": server.iniFile, "REQUEST_METHOD": "GET",
                "REQUEST_URI": "/push/news?wait=25",
            ].merging(environment) { $1 },
            output: output
        )
    }

    @Test func `it ends when its answer has no reader any more`() throws {
        try HoldfastServer.with { server in
            let bridge = try start(server)
            try server.waitForHeld(1)
            bridge.closeOutput()
            try server.waitForHeld(0)
            #expect(try bridge.wait() == .exited(0))
        }
    }

    @Test(arguments: [SIGTERM, SIGKILL])
    func `it goes when it is told to`(signal: Int32) throws {
        try HoldfastServer.with { server in
            let bridge = try start(server)
            try server.waitForHeld(1)
            bridge.signal(signal)
            try server.waitForHeld(0)
            #expect(try bridge.wait() == .killed(signal))
        }
    }

    @Test func `it goes when its parent has gone`() throws {
        try HoldfastServer.with { server in
            let shell = try ChildProcess(
                "/bin/sh",
                ["-c", "\(try Place.holdfast) cgi > \(server.directory.file("answer")) & wait"],
                name: "parent",
                directory: server.directory,
                environment: [
                    "HOLDFAST_INI": server.iniFile, "REQUEST_METHOD": "GET",
                    "REQUEST_URI": "/push/news?wait=55",
                ]
            )
            try server.waitForHeld(1)
            shell.signal(SIGKILL)
            try server.waitForHeld(0)
            #expect(try server.metrics().ended("closed") == 1)
        }
    }

    @Test func `it answers when the responder ends in the middle`() throws {
        try HoldfastServer.with { server in
            let bridge = try start(server, output: .standard)
            try server.waitForHeld(1)
            try server.kill()
            _ = try bridge.wait()
            let answer = try HTTPAnswer(document: bridge.outputBytes)
            #expect(answer.status == 503)
            try server.start()
        }
    }

    @Test
    func `called holdfast dot cgi, or run as a CGI program, it is one, whatever its arguments`()
        throws
    {
        try HoldfastServer.with { server in
            let link = server.directory.file("holdfast.cgi")
            let name = try Place.holdfast
            #expect(symlink(name, link) == 0)
            let immediate = ["REQUEST_URI": "/push/news"]
            let cgi = ["GATEWAY_INTERFACE": "CGI/1.1"].merging(immediate) { $1 }
            for (program, arguments, environment) in [
                (link, ["pub", "news", "forged"], immediate), (name, [], cgi),
                (
                    name, ["pub", "news", "forged"],
                    cgi.merging(["SCRIPT_FILENAME": name]) { $1 }
                ),
                (
                    name, ["pub", "news", "forged"],
                    cgi.merging(["SCRIPT_NAME": "/cgi-bin/holdfast"]) { $1 }
                ),
            ] {
                let bridge = try start(
                    server,
                    arguments,
                    program: program,
                    environment: environment,
                    output: .standard
                )
                #expect(try bridge.wait() == .exited(0))
                let answer = try HTTPAnswer(document: bridge.outputBytes)
                #expect(answer.status == 200, "\(program) \(environment): \(answer.text)")
            }
            #expect(try server.metrics()["holdfast_messages_total"] == 0)
            // A script that a web server runs may publish.
            let script = try start(
                server,
                ["pub", "news", "from a script"],
                environment: cgi.merging(["SCRIPT_FILENAME": "/cgi-bin/job.sh"]) { $1 }
            )
            #expect(try script.wait() == .exited(0))
            #expect(try server.metrics()["holdfast_messages_total"] == 1)
        }
    }
}
