import Harness
import Testing

/// Requests whose body takes its time.
@Suite struct UploadTests {
    private let closed = """
        [allow open/**]
        publish = everyone
        [allow **]
        read = everyone
        """

    private func parts(_ target: String, _ body: String, keep: Bool = false)
        -> (head: [UInt8], body: [UInt8])
    {
        let request = FastCGIRequest.publish(target, body)
        let bytes = request.bytes(keep: keep)
        let tail = FastCGIRecord.stream(FastCGIRecord.stdin, id: 1, request.body)
        return (Array(bytes.dropLast(tail.count)), tail)
    }

    @Test(arguments: [false, true])
    func `an upload was awaited although its sender has no right to it`(keep: Bool) throws {
        try HoldfastServer.with(closed) { server in
            let body = String(repeating: "x", count: 600_000)
            let peer = try server.peer()
            let (head, rest) = parts("/push/secret", body, keep: keep)
            try peer.socket.write(head)
            let answer = try peer.answer()
            #expect(answer.status == 403)
            #expect(try answer.json["code"] == "publish_forbidden")
            try peer.socket.write(Array(rest.prefix(rest.count - 8)))
            #expect(try server.metrics()["holdfast_unfinished_bytes"] == 0)
            // The end of the body: only then the connection goes, or serves the next request.
            try peer.socket.write(Array(rest.suffix(8)))
            if keep {
                try peer.send(FastCGIRequest.publish("/push/open/a", "y"), keep: false)
                #expect(try peer.answer().status == 201)
            }
            try peer.expectClosed()
        }
    }

    @Test(
        .enabled(if: Tool.usable(.nginx, .lighttpd, .apache, .haproxy, .caddy, .curl)),
        arguments: [WebServer.Kind.nginx, .lighttpd, .apache, .haproxy, .caddy]
    )
    func `a refusal before the body reaches the client behind every server`(kind: WebServer.Kind)
        throws
    {
        try HoldfastServer.with(closed + "\n[limits]\nmessage_bytes = 1M\n") { server in
            try WebServer.with(kind, before: server) { web throws in
                web.expectsFailures = true
                let body = String(repeating: "x", count: 900_000)
                for _ in 0..<3 {
                    #expect(try web.post("\(kind.base)/secret", body).status == 403)
                    #expect(try web.post("\(kind.base)/open/a", body).status == 201)
                }
            }
        }
    }

    @Test func `a body whose length alone is too large is refused before it comes`() throws {
        try HoldfastServer.with { server in
            var request = FastCGIRequest("POST", "/push/news")
            request.params += [("CONTENT_TYPE", "text/plain"), ("CONTENT_LENGTH", "99000000")]
            let peer = try server.peer()
            try peer.socket.write(Array(request.bytes().dropLast(8)))
            #expect(try peer.answer().status == 413)
        }
    }

    @Test func `unfinished uploads were kept without a bound for all together`() throws {
        let settings = HoldfastServer.open + "[limits]\nunfinished_bytes = 4M\n"
        try HoldfastServer.with(settings) { server in
            let (head, rest) = parts("/push/news", String(repeating: "x", count: 900_000))
            let slow = try (0..<20).map { _ in
                let peer = try server.peer()
                try peer.socket.write(head + rest.dropLast(9))
                return peer
            }
            try waitUntil("the first ones give way") {
                try server.metrics().bound("unfinished_bytes") >= 12
            }
            #expect(try server.metrics()["holdfast_unfinished_bytes"] <= 4 << 20)
            let refused = try slow[0].answer()
            #expect(refused.status == 503)
            #expect(refused["Retry-After"] != nil)
            #expect(try refused.json["code"] == "too_many_uploads")
            let other = try server.post("/push/news", String(repeating: "y", count: 60_000))
            #expect(other.status == 201)
            // Nothing is left of clients that leave.
            for peer in slow { peer.socket.close() }
            try waitUntil("their memory is given back") {
                try server.metrics()["holdfast_unfinished_bytes"] == 0
            }
        }
    }

    @Test func `a body that a poll does not need was kept`() throws {
        try HoldfastServer.with { server in
            var request = FastCGIRequest("GET", "/push/news")
            request.body = [UInt8](repeating: 120, count: 500_000)
            let bytes = request.bytes()
            let peer = try server.peer()
            try peer.socket.write(Array(bytes.dropLast(9)))
            try waitUntil("nearly all of it is read") {
                let bytes = try server.metrics()["holdfast_unfinished_bytes"]
                return bytes > 0 && bytes < 16_384
            }
            try peer.socket.write(Array(bytes.suffix(9)))
            #expect(try peer.answer().status == 200)
        }
    }
}
