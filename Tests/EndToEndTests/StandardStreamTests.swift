import Glibc
import Harness
import Testing

/// Standard input, output and error that are closed, full, broken or do not block.
@Suite struct StandardStreamTests {
    /// A pipe of which one end does not block, as a shell's neighbour or a web server may leave it.
    private func withPipe(
        nonBlocking end: Int,
        _ body: (_ read: Int32, _ write: Int32) throws -> Void
    ) throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        _ = fcntl(ends[end], F_SETFL, O_NONBLOCK)
        try body(ends[0], ends[1])
    }

    private func isReady(_ descriptor: Int32, _ event: Int32) -> Bool {
        var look = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        return poll(&look, 1, 10) > 0
    }

    @Test func `an answer was cut where CGI's standard output does not block`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nmessage_bytes = 900k\n") {
            server in
            let text = String(repeating: "0123456789abcde\n", count: 50_000)
            try server.publish("a", text)
            try withPipe(nonBlocking: 1) { read, write in
                let environment = [
                    "REQUEST_METHOD": "GET", "REQUEST_URI": "/push/a?since=first&format=bare",
                ]
                let bridge = try server.start(
                    ["cgi"],
                    environment: environment,
                    output: .descriptor(write)
                )
                try waitUntil("the pipe is full") { !isReady(write, POLLOUT) }
                var bytes: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65_536)
                while bridge.running || isReady(read, POLLIN) {
                    guard isReady(read, POLLIN) else { continue }
                    let count = Glibc.read(read, &buffer, buffer.count)
                    bytes += buffer.prefix(max(0, count))
                }
                #expect(try bridge.wait() == .exited(0))
                #expect(try HTTPAnswer(document: bytes).text == text)
            }
        }
    }

    @Test func `pub failed where its standard input does not block`() throws {
        try HoldfastServer.with { server in
            _ = try server.busClient()
            try withPipe(nonBlocking: 0) { read, write in
                let publisher = try server.start(["pub", "a", "--lines"], input: .descriptor(read))
                for text in ["one", "two"] {
                    #expect(Glibc.write(write, text + "\n", 4) == 4)
                    // It asked for more meanwhile, and there was none.
                    try waitUntil("\(text) is published") { try server.texts("a").last == text }
                }
                publisher.signal(SIGTERM)
                #expect(try publisher.wait() == .killed(SIGTERM))
            }
        }
    }

    @Test func `a program with closed descriptors wrote into its own files`() throws {
        try HoldfastServer.withBus { server in
            let closed = try server.shell("exec \"$HOLDFAST\" pub a hello >&- 2>&-")
            #expect(closed.exit == .exited(0))
            let input = try server.shell("exec \"$HOLDFAST\" pub a <&-")
            #expect(input.exit == .exited(74))
            #expect(input.error.contains("standard input"))
            let full = try server.shell("exec \"$HOLDFAST\" status > /dev/full")
            #expect(full.exit == .exited(74))
            let messages = try server.get("/push/a?since=first").json["messages"].array
            #expect(messages.compactMap { $0["data"].string } == ["hello"])
        }
    }

    enum Unwritable: CaseIterable { case fullDisk, brokenPipe }

    @Test(arguments: Unwritable.allCases)
    func `a log of events that couldn't be written ended the process`(kind: Unwritable) throws {
        let server = try HoldfastServer()
        let descriptor: Int32
        switch kind {
        case .fullDisk: descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
        case .brokenPipe:
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            close(ends[0])
            descriptor = ends[1]
        }
        defer { close(descriptor) }
        let process = try ChildProcess(
            try Place.holdfast,
            ["serve", "--config", server.iniFile],
            name: "holdfast",
            directory: server.directory,
            descriptors: [2: descriptor]
        )
        try waitUntil("holdfast is ready") {
            if let exit = process.exitNow() { throw HarnessError("holdfast \(exit)") }
            return (try? server.get("/push/-/ready").status) == 200
        }
        // Something to log.
        let rude = try server.peer()
        try rude.socket.write([UInt8](repeating: 9, count: 8))
        try rude.drainToEnd()
        process.signal(SIGHUP)
        try server.publish("news", "hello")
        process.signal(SIGTERM)
        #expect(try process.wait() == .exited(0))
    }
}
