import Glibc
import Harness
import Testing

/// The time that requests are given, and the clock it is taken from.
@Suite struct RequestTimeTests {
    /// Time passes without input: the condition under test, not a wait for something else.
    private func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }

    @Test func `a publish after idle seconds was answered 503, since time stood still meanwhile`()
        throws
    {
        try HoldfastServer.with { server in
            try server.publish("news", "opens the log")
            pause(milliseconds: 2200)
            #expect(try server.post("/push/news", "after a pause").status == 201)
            #expect(try server.metrics().bound("publish_time") == 0)
        }
    }

    @Test func `a hold after idle seconds ended too early, since time stood still meanwhile`()
        throws
    {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            pause(milliseconds: 2200)
            let begun = ContinuousClock.now
            try peer.send(FastCGIRequest("GET", "/push/news?wait=1"))
            #expect(try peer.answer().json["messages"] == [])
            #expect(ContinuousClock.now - begun >= .milliseconds(900))
            #expect(try server.metrics().ended("deadline") == 1)
        }
    }

    @Test(arguments: [false, true])
    func `a healthy connection was dropped since its requests came in pieces`(backToBack: Bool)
        throws
    {
        // Each request takes a quarter of the timeout, all together more than it.
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nrequest_timeout = 3s\n") {
            server in
            let bytes = FastCGIRequest.publish("/push/news", String(repeating: "x", count: 100))
                .bytes(keep: true)
            let (start, end) = (Array(bytes.dropLast(50)), Array(bytes.suffix(50)))
            let peer = try server.peer()
            try peer.socket.write(start)
            for _ in 1...5 {
                pause(milliseconds: 750)
                try peer.socket.write(backToBack ? end + start : end)
                #expect(try peer.answer().status == 201)
                if !backToBack { try peer.socket.write(start) }
            }
            try peer.socket.write(end)
            #expect(try peer.answer().status == 201)
            #expect(try server.metrics().bound("request_time") == 0)
        }
    }

    @Test func `a request never finished lived for ever while others on its connection were`()
        throws
    {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nrequest_timeout = 1s\n") {
            server in
            let peer = try server.peer()
            try peer.socket.write(
                FastCGIRecord.multiplexingQuestion.bytes
                    + FastCGIRecord.begin(id: 3, keep: true).bytes
            )
            #expect(try peer.record()?.type == FastCGIRecord.getValuesResult)
            let live = FastCGIRequest("GET", "/push/-/live")
            try waitUntil("the connection is closed") {
                do {
                    try peer.send(live, id: 5, keep: true)
                    return try peer.answer(5).status != 200
                } catch {
                    return true
                }
            }
            #expect(try server.metrics().bound("request_time") == 1)
            #expect(try server.metrics().connections == 1)
        }
    }

    @Test func `a request that is never finished is dropped`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nrequest_timeout = 1s\n") {
            server in
            let held = try server.hold("/push/news?wait=25", keep: true)
            let peer = try server.peer()
            try peer.socket.write(Array(FastCGIRequest("GET", "/push/news").bytes().dropLast()))
            try peer.expectClosed()
            #expect(try server.metrics().bound("request_time") == 1)
            #expect(try server.metrics().held == 1)
            try server.publish("news", "hello")
            #expect(try held.answer().status == 200)
        }
    }
}
