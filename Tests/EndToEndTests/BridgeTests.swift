import Glibc
import Harness
import Testing

/// Through cgi-fcgi, which is all that a CGI server or a shell needs.
@Suite(.enabled(if: Tool.usable(.cgiFCGI), "cgi-fcgi is not installed"))
struct BridgeTests {
    private func start(
        _ server: HoldfastServer,
        _ target: String,
        _ more: [String: String] = [:]
    ) throws -> ChildProcess {
        // The whole environment becomes parameters.
        try ChildProcess(
            try Tool.cgiFCGI.path,
            ["-bind", "-connect", server.address.description],
            name: "bridge-\(more.count)-\(target.hashValue)",
            directory: server.directory,
            environment: more.merging(["REQUEST_METHOD": "GET", "REQUEST_URI": target]) { $1 }
        )
    }

    private func get(
        _ server: HoldfastServer,
        _ target: String,
        _ more: [String: String] = [:]
    ) throws -> HTTPAnswer {
        let result = try ChildProcess.run(
            try Tool.cgiFCGI.path,
            ["-bind", "-connect", server.address.description],
            directory: server.directory,
            environment: more.merging(["REQUEST_METHOD": "GET", "REQUEST_URI": target]) { $1 }
        )
        guard result.exit == .exited(0) else {
            throw HarnessError("cgi-fcgi \(result.exit): \(result.error)")
        }
        return try HTTPAnswer(document: result.output)
    }

    @Test(arguments: [HoldfastServer.Listen.unix, .tcp])
    func `an immediate poll is answered`(listen: HoldfastServer.Listen) throws {
        try HoldfastServer.with(listen: listen) { server in
            let answer = try get(server, "/push/news")
            #expect(try answer.json["messages"] == [])
        }
    }

    @Test func `a held poll gets the message`() throws {
        try HoldfastServer.with { server in
            let bridge = try start(server, "/push/news?wait=25")
            try server.waitForHeld(1)
            try server.publish("news", "hello")
            #expect(try bridge.wait() == .exited(0))
            let answer = try HTTPAnswer(document: bridge.outputBytes)
            #expect(try answer.json["messages"][0]["data"] == "hello")
        }
    }

    @Test(arguments: [SIGTERM, SIGKILL, SIGHUP])
    func `a signal to the bridge lets the request go`(signal: Int32) throws {
        try HoldfastServer.with { server in
            let bridge = try start(server, "/push/news?wait=25")
            try server.waitForHeld(1)
            bridge.signal(signal)
            try server.waitForHeld(0)
            #expect(try server.metrics().ended("closed") == 1)
            try bridge.wait()
        }
    }

    @Test func `a server that dies under the bridge ends it`() throws {
        try HoldfastServer.with { server in
            let bridge = try start(server, "/push/news?wait=25")
            try server.waitForHeld(1)
            try server.kill()
            #expect(try bridge.wait() != .exited(0))
        }
    }

    /// The bridge reads 8192 bytes at a time, and spoils answers whose record headers fall across that; answers whose
    /// records are padded to eight bytes never do.
    @Test func `answers around its buffer arrive whole`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "x")
            let overhead = try headBytes(server)
            // Bodies, and documents, of 8170 to 8200 bytes.
            let lengths = Set(8170...8200).union((8170...8200).map { $0 - overhead })
            for length in lengths.sorted() { try check(server, length) }
        }
    }

    @Test func `answers around a record's largest content arrive whole`() throws {
        let limits = "[limits]\nmessage_bytes = 128k\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            try server.publish("news", "x")
            let overhead = try headBytes(server)
            // Every remainder of eight, and every byte where the second record begins.
            let lengths = Set(stride(from: 65_000 - overhead, through: 66_000, by: 31))
                .union((65_525...65_545).map { $0 - overhead })
            for length in lengths.sorted() { try check(server, length) }
        }
    }

    private func headBytes(_ server: HoldfastServer) throws -> Int {
        let peer = try server.peer()
        try peer.send(FastCGIRequest("GET", "/push/news?since=last:1&format=bare"))
        let response = try peer.response()
        return try response.stdout.count - response.answer.body.count
    }

    private func check(_ server: HoldfastServer, _ length: Int) throws {
        let text =
            String(repeating: "0123456789abcdef", count: length / 16)
            + String(repeating: "#", count: length % 16)
        try server.publish("news", text)
        let answer = try get(server, "/push/news?since=last:1&format=bare")
        #expect(answer.body.count == length)
        #expect(answer.text == text, "a body of \(length) bytes")
    }

    @Test func `an environment of 120 kB is understood`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "hello")
            var environment: [String: String] = [:]
            for number in 1...6 {
                environment["HTTP_X_\(number)"] = String(repeating: "y", count: 20_000)
            }
            let answer = try get(server, "/push/news?since=first", environment)
            #expect(try answer.json["messages"][0]["data"] == "hello")
        }
    }
}
