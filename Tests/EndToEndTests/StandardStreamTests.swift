import Glibc
import Harness
import Testing

/// Bugs with standard input and output that somebody made non-blocking, named after what went wrong.
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
}
