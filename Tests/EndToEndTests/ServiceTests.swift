import Harness
import Testing

/// Starting, checking, reloading, and what web servers say when Holdfast is away.
@Suite struct ServiceTests {
    private func holdfast(
        _ arguments: [String],
        _ directory: TestDirectory
    ) throws -> (exit: ChildProcess.Exit, output: String, error: String) {
        let result = try ChildProcess.run(try Place.holdfast, arguments, directory: directory)
        return (result.exit, String(decoding: result.output, as: UTF8.self), result.error)
    }

    // MARK: The ini file

    @Test func `check prints every problem with file and line, and the nearest key`() throws {
        let directory = try TestDirectory()
        let file = try directory.write(
            "[hold]\nmax_wiat = 25s\njitter = 80%\n[limits]\nmessage_bytes = many\n[nonsense]\n",
            to: "bad.ini"
        )
        let result = try holdfast(["check", "--config", file], directory)
        #expect(result.exit == .exited(1))
        for line in [2, 3, 5, 6] { #expect(result.error.contains("bad.ini:\(line):")) }
        #expect(result.error.contains("max_wait"))
        let serve = try holdfast(["serve", "--config", file], directory)
        #expect(serve.exit == .exited(78))
        #expect(serve.error == result.error)
    }

    @Test func `contradicting sections do not make check fail`() throws {
        let directory = try TestDirectory()
        let text = "[allow */public]\nread = everyone\n[allow secret/**]\nread = nobody\n"
        let file = try directory.write(text, to: "open.ini")
        let result = try holdfast(["check", "--elsewhere", "--config", file], directory)
        #expect(result.exit == .exited(0))
        #expect(result.error.contains("open.ini:1:"))
        #expect(result.error.contains("'secret/public'"))
    }

    @Test(arguments: ["holdfast.ini", "chat.ini"])
    func `the shipped ini files are right, and so is what --print makes of them`(name: String)
        throws
    {
        let directory = try TestDirectory()
        let shipped = try holdfast(
            ["check", "-c", "\(Place.root)/conf/\(name)", "--print", "--elsewhere"],
            directory
        )
        #expect(shipped.exit == .exited(0))
        #expect(shipped.output.contains("max_wait = 25s"))
        let copy = try directory.write(shipped.output, to: "copy.ini")
        let again = try holdfast(["check", "-c", copy, "--print", "--elsewhere"], directory)
        #expect(again.output == shipped.output)
    }

    @Test func `a missing ini file is reported in a sentence`() throws {
        let directory = try TestDirectory()
        let result = try holdfast(["serve", "--config", directory.file("none.ini")], directory)
        #expect(result.exit == .exited(78))
        #expect(result.error.contains("none.ini"))
        #expect(result.error.contains("--config"))
    }

    @Test func `SIGHUP applies the file anew without letting go of anybody`() throws {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?wait=25")
            try server.writeSettings(
                HoldfastServer.open.replacing("publish = everyone", with: "publish = nobody")
            )
            server.reload()
            // No request waits there: what is published before the reload must not end the hold.
            try waitUntil("publishing is closed") {
                try server.post("/push/other", "x").status == 403
            }
            #expect(try server.metrics().held == 1)
            let answer = try server.post("/push/news", "x", params: [("HOLDFAST_WRITE", "news")])
            #expect(answer.status == 201)
            _ = try held.answer()
        }
    }

    @Test func `a bad file at SIGHUP changes nothing and is logged with its line`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            try server.writeSettings("[allow **\nread = nobody\n")
            server.reload()
            try waitUntil("the problem is logged") { server.log.contains("holdfast.ini:") }
            #expect(try server.get("/push/news").status == 200)
        }
    }

    @Test func `a change that needs a restart is named at SIGHUP`() throws {
        try HoldfastServer.with { server in
            try server.writeSettings(HoldfastServer.open, fastcgi: ["max_connections = 77777"])
            server.reload()
            try waitUntil("it is named") { server.log.contains("max_connections") }
        }
    }

    // MARK: The socket

    @Test func `a second copy on the same socket says why it does not start`() throws {
        try HoldfastServer.with { server in
            let second = try holdfast(["serve", "--config", server.iniFile], server.directory)
            #expect(second.exit == .exited(1))
            #expect(second.error.contains(server.address.description))
            #expect(second.error.contains("another holdfast"))
            #expect(try server.get("/push/-/ready").status == 200)
        }
    }

    @Test func `a second copy on the same port says why it does not start`() throws {
        try HoldfastServer.with(listen: .tcp) { server in
            let second = try holdfast(["serve", "--config", server.iniFile], server.directory)
            #expect(second.exit == .exited(1))
            #expect(second.error.contains(server.address.description))
        }
    }

    @Test func `a socket that a killed process left is replaced`() throws {
        try HoldfastServer.with { server in
            try server.kill()
            #expect(Files.exists(server.address.description))
            try server.start()
            #expect(try server.get("/push/-/ready").status == 200)
        }
    }

    @Test func `a file that is no socket is never replaced`() throws {
        let server = try HoldfastServer()
        try server.directory.write("precious", to: "holdfast.sock")
        let result = try holdfast(["serve", "--config", server.iniFile], server.directory)
        #expect(result.exit == .exited(78))
        #expect(Files.text(server.address.description) == "precious")
    }

    @Test(arguments: [HoldfastServer.Listen.tcp, .tcp6])
    func `it serves on TCP`(listen: HoldfastServer.Listen) throws {
        try HoldfastServer.with(listen: listen) { server in
            let held = try server.hold("/push/news?wait=25")
            try server.publish("news", "hello")
            #expect(try held.answer().json["messages"][0]["data"] == "hello")
        }
    }

    @Test(.enabled(if: Tool.usable(.spawnFCGI), "spawn-fcgi is not installed"))
    func `it serves on the socket that spawn-fcgi leaves it`() throws {
        let server = try HoldfastServer(listen: .inherited)
        let process = try ChildProcess(
            try Tool.spawnFCGI.path,
            [
                "-n", "-s", server.address.description, "--", try Place.holdfast, "serve",
                "--config", server.iniFile,
            ],
            name: "spawned",
            directory: server.directory
        )
        try server.waitUntilReady()
        let held = try server.hold("/push/news?wait=25")
        try server.publish("news", "hello")
        #expect(try held.answer().json["messages"][0]["data"] == "hello")
        process.signal(15)
        #expect(try process.wait() == .exited(0))
        #expect(!process.errorText.contains(" error "))
    }

    @Test(.enabled(if: Tool.usable(.lighttpd), "lighttpd is not installed"))
    func `lighttpd starts it itself`() throws {
        let server = try HoldfastServer(listen: .inherited)
        let socket = "\"socket\" => \"\(server.address)\","
        let started = """
            \(socket)
            "bin-path" => "\(try Place.holdfast) serve --config \(server.iniFile)",
            "min-procs" => 1, "max-procs" => 1,
            """
        // As the user that runs the tests, which may read the binary and write the log.
        let edits = [(socket, started)]
        try WebServer.with(.lighttpd, before: server, options: ["--own-user"], edits: edits) {
            web throws in
            try waitUntil("it is ready") { try web.get("/push/-/ready").status == 200 }
            let client = try HTTPClient(port: web.port)
            try client.send("GET", "/push/news?wait=25")
            let head = try client.head()
            #expect(head.status == 200)
            #expect(try web.post("/push/news", "hello").status == 201)
            #expect(try JSON(client.body(after: head))["messages"][0]["data"] == "hello")
        }
    }

    @Test func `an inherited descriptor that is not a socket is reported in a sentence`() throws {
        let server = try HoldfastServer(listen: .inherited)
        let result = try holdfast(["serve", "--config", server.iniFile], server.directory)
        #expect(result.exit == .exited(78))
        #expect(result.error.contains("descriptor 0"))
    }

    // MARK: Away

    @Test(
        .enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"),
        arguments: WebServer.Kind.usual
    )
    func `while Holdfast is away a polling page gets a problem it understands`(
        kind: WebServer.Kind
    ) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                web.expectsFailures = true
                try holdfast.stop()
                let away = try web.get("/push/news?wait=25")
                #expect(away.status == 503)
                #expect(away["Content-Type"]?.hasPrefix("application/problem+json") == true)
                #expect(try away.json["code"] == "away")
                if kind == .nginx { #expect(away["Retry-After"] != nil) }
                try holdfast.start()
                try waitUntil("it is reached again") { try web.get("/push/news").status == 200 }
                // Holdfast's own errors pass unchanged.
                #expect(try web.get("/push/news?wait=x").json["code"] == "invalid_wait")
            }
        }
    }

    @Test(
        .enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"),
        arguments: WebServer.Kind.usual
    )
    func `a kill while a request is held ends it as a problem`(kind: WebServer.Kind) throws {
        try HoldfastServer.with { holdfast in
            try WebServer.with(kind, before: holdfast) { web throws in
                web.expectsFailures = true
                let client = try HTTPClient(port: web.port)
                try client.send("GET", "/push/news?wait=25&format=bare")
                try holdfast.waitForHeld(1)
                try holdfast.kill()
                let answer = try client.answer()
                #expect(answer.status == (kind == .nginx ? 503 : 500))
                #expect(try answer.json["code"] == "away")
                try holdfast.start()
            }
        }
    }

    @Test(.enabled(if: Tool.usable(.nginx), "nginx is not installed"))
    func `a hold that outlasts nginx is a problem, too, and is released`() throws {
        try HoldfastServer.with { holdfast in
            let edits = [("fastcgi_read_timeout 75s;", "fastcgi_read_timeout 1s;")]
            try WebServer.with(.nginx, before: holdfast, edits: edits) { web throws in
                web.expectsFailures = true
                let answer = try web.get("/push/news?wait=25")
                #expect(answer.status == 503)
                #expect(try answer.json["code"] == "away")
                try holdfast.waitForHeld(0)
            }
        }
    }

    // MARK: Status

    @Test func `metrics are well formed and status agrees with them`() throws {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?wait=25")
            try server.publish("news", "x")
            _ = try held.answer()
            _ = try server.hold("/push/news?wait=25", keep: true)
            let text = try server.get("/push/-/metrics", params: [("HOLDFAST_OPERATOR", "1")]).text
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(line.contains(/^[a-z_]+(\{[a-z]+="[^"]+"\})? -?[0-9.eE+]+$/), "\(line)")
            }
            let metrics = Metrics(text)
            #expect(metrics["holdfast_messages_total"] == 1)
            #expect(metrics["holdfast_deliveries_total"] == 1)
            #expect(metrics["holdfast_delivery_seconds_count"] == 1)
            let status = try server.get("/push/-/status", params: [("HOLDFAST_OPERATOR", "1")]).json
            #expect(status["ended"]["released"] == 1)
        }
    }

    @Test func `no client can write lines or control characters into the log`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.socket.write(FastCGIRecord(99, id: 0, Array("a\nb".utf8)).bytes)
            _ = try peer.record()
            _ = try server.get("/push/news%0A2026-01-01T00:00:00Z%20error%20forged%1b[31m?wait=%0A")
            _ = try server.get(
                "/push/x",
                ["User-Agent": "a\nb"],
                params: [("HOLDFAST_READ", "\n2026-01-01T00:00:00Z error forged\u{1b}[31m")]
            )
            #expect(!server.log.contains("\u{1b}"))
            #expect(server.log.split(separator: "\n").allSatisfy { $0.hasPrefix("20") })
        }
    }
}
