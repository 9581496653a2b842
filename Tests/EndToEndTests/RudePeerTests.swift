import Glibc
import Harness
import Testing

/// Peers that cut, drip, lie, vanish and do not read. None may harm another, and none may leave anything behind.
@Suite struct RudePeerTests {
    @Test func `a request may be cut anywhere`() throws {
        try HoldfastServer.with { server in
            let bytes = FastCGIRequest.publish("/push/news", "cut").bytes(keep: false)
            for cut in 1..<bytes.count {
                let peer = try server.peer()
                try peer.socket.write(Array(bytes[..<cut]))
                // Another request in between: the first part has been read by then.
                if cut % 16 == 0 { #expect(try server.get("/push/-/live").status == 200) }
                try peer.socket.write(Array(bytes[cut...]))
                #expect(try peer.answer().status == 201, "cut at \(cut)")
            }
            let count = bytes.count - 1
            let got = try server.get("/push/news?since=first").json["messages"].array.count
            #expect(got == count)
        }
    }

    @Test func `a peer may vanish anywhere`() throws {
        try HoldfastServer.with { server in
            let bytes = FastCGIRequest("GET", "/push/news?wait=25").bytes(keep: true)
            // The log's files are open by then, and the bus socket.
            try server.publish("other", "x")
            #expect(try server.busClient().ask("ping")["kind"] == "pong")
            let descriptors = server.descriptorTargets
            for cut in 0...bytes.count {
                let peer = try server.peer()
                try peer.socket.write(Array(bytes[..<cut]))
                if cut % 2 == 0 { peer.socket.halfClose() }
                peer.socket.close()
            }
            try server.waitForHeld(0)
            try waitUntil("all connections are closed") { try server.metrics().connections == 1 }
            try waitUntil("\(descriptors) descriptors, not \(server.descriptorTargets)") {
                server.openDescriptors <= descriptors.count
            }
        }
    }

    @Test func `a request in single bytes is answered`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            for byte in FastCGIRequest.publish("/push/news", "drip").bytes() {
                try peer.socket.write([byte])
            }
            #expect(try peer.answer().status == 201)
        }
    }

    @Test func `a large body in small records of a slow peer arrives whole`() throws {
        try HoldfastServer.with { server in
            let body = String((0..<60_000).map { Character(UnicodeScalar(97 + UInt8($0 % 26))) })
            let bytes = FastCGIRequest.publish("/push/news", body).bytes(pieces: 11)
            let peer = try server.peer()
            for start in stride(from: 0, to: bytes.count, by: 997) {
                try peer.socket.write(Array(bytes[start..<min(start + 997, bytes.count)]))
            }
            #expect(try peer.answer().status == 201)
            #expect(try server.get("/push/news?since=first&format=bare").text == body)
        }
    }

    enum Departure: CaseIterable { case close, halfClose }

    @Test(arguments: Departure.allCases)
    func `a departure while held is seen at once`(departure: Departure) throws {
        try HoldfastServer.with { server in
            let peer = try server.hold("/push/news?wait=25")
            switch departure {
            case .close: peer.socket.close()
            case .halfClose: peer.socket.halfClose()
            }
            try server.waitForHeld(0)
            #expect(try server.metrics().ended("closed") == 1)
        }
    }

    @Test func `a reset while held is seen at once over TCP`() throws {
        try HoldfastServer.with(listen: .tcp) { server in
            let peer = try server.hold("/push/news?wait=25")
            peer.socket.reset()
            try server.waitForHeld(0)
            #expect(try server.metrics().ended("closed") == 1)
        }
    }

    struct Violation: CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]

        init(_ description: String, _ bytes: [UInt8]) {
            (testDescription, self.bytes) = (description, bytes)
        }
    }

    static let violations: [Violation] = {
        let begin = FastCGIRecord.begin(id: 1, keep: true).bytes
        let params = FastCGIRecord.params
        func request(_ pairs: [UInt8]) -> [UInt8] {
            begin + FastCGIRecord.stream(params, id: 1, pairs)
                + FastCGIRecord(FastCGIRecord.stdin, id: 1).bytes
        }
        return [
            Violation("noise", (0..<64).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }),
            Violation("an HTTP request", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
            Violation(
                "version 0",
                FastCGIRecord(1, id: 1, [0, 1, 1, 0, 0, 0, 0, 0], version: 0).bytes
            ),
            Violation(
                "version 2",
                FastCGIRecord(1, id: 1, [0, 1, 1, 0, 0, 0, 0, 0], version: 2).bytes
            ),
            Violation("a begin of id 0", FastCGIRecord.begin(id: 0, keep: true).bytes),
            Violation("a short begin", FastCGIRecord(1, id: 1, [0, 1, 1, 0, 0, 0, 0]).bytes),
            Violation(
                "a long begin",
                FastCGIRecord(1, id: 1, [UInt8](repeating: 1, count: 9)).bytes
            ),
            Violation("the same id begun twice", begin + begin),
            Violation(
                "a body before the end of the parameters",
                begin + FastCGIRecord(FastCGIRecord.stdin, id: 1, [65]).bytes
            ),
            Violation("a name longer than all parameters", request([0x7F, 0x01, 65])),
            Violation(
                "a name of nearly two gigabytes",
                request([0xFF, 0xFF, 0xFF, 0xFE, 0, 65, 66])
            ),
            Violation(
                "lengths that overflow when added",
                request([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 65])
            ),
            Violation("a length cut short", request([0x80, 0x00])),
            Violation(
                "values asked with bad lengths",
                FastCGIRecord(FastCGIRecord.getValues, id: 0, [200, 200, 1]).bytes
            ),
        ]
    }()

    @Test(arguments: violations)
    func `records that break the rules end their connection only`(violation: Violation) throws {
        try HoldfastServer.with { server in
            let innocent = try server.hold("/push/news?wait=25")
            let rude = try server.peer()
            try rude.socket.write(violation.bytes)
            _ = try rude.socket.readToEnd()
            try server.publish("news", "still here")
            #expect(try innocent.answer().json["messages"][0]["data"] == "still here")
            try waitUntil("the connection is closed") { try server.metrics().connections == 1 }
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /push/a HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}",
    ])
    func `HTTP to the FastCGI socket was called a record of version 71`(said: String) throws {
        try HoldfastServer.with { server in
            let proxy = try server.peer()
            try proxy.socket.write(Array(said.utf8))
            let answer = String(decoding: try proxy.socket.readToEnd(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 400 ") == (said.first != "\u{16}"))
            try waitUntil("it is said") {
                server.log.contains("fastcgi_pass (nginx), not proxy_pass")
            }
        }
    }

    @Test func `each malformed connection had a line of the log`() throws {
        try HoldfastServer.with { server in
            for _ in 0..<50 {
                let rude = try server.peer()
                try rude.socket.write([9, 9, 9, 9, 9, 9, 9, 9])
                _ = try rude.socket.readToEnd()
            }
            let lines = server.log.split(separator: "\n").filter { $0.contains("FastCGI 1.0") }
            #expect((1...20).contains(lines.count))
        }
    }

    @Test func `parameters beyond the limit are answered 431, and the next request is served`()
        throws
    {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            let long = String(repeating: "x", count: 50_000)
            try peer.send(
                FastCGIRequest("GET", "/push/news", fields: ["A": long, "B": long, "C": long]),
                keep: true
            )
            let answer = try peer.answer()
            #expect(answer.status == 431)
            #expect(answer["Content-Type"] == "application/problem+json")
            try peer.send(FastCGIRequest("GET", "/push/-/live"))
            #expect(try peer.answer().status == 200)
        }
    }

    @Test func `a body beyond the limit is answered 413, and the next request is served`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(
                .publish("/push/news", String(repeating: "x", count: 300_000)),
                keep: true
            )
            #expect(try peer.answer().status == 413)
            try peer.send(FastCGIRequest("GET", "/push/-/live"))
            #expect(try peer.answer().status == 200)
        }
    }

    @Test func `stuck peers delay no other`() throws {
        try HoldfastServer.with { server in
            let bytes = FastCGIRequest("GET", "/push/news?wait=25").bytes()
            let stuck = try (1...40).map { number in
                let peer = try server.peer()
                try peer.socket.write(Array(bytes[..<(number * bytes.count / 41)]))
                return peer
            }
            let held = try server.hold("/push/news?wait=25")
            try server.publish("news", "hello")
            #expect(try held.answer().json["messages"][0]["data"] == "hello")
            #expect(try server.metrics().connections == stuck.count + 1)
        }
    }

    /// About 480 kB, more than a Unix socket takes at once.
    private func fill(_ server: HoldfastServer) throws {
        for _ in 1...8 { try server.publish("news", String(repeating: "x", count: 60_000)) }
    }

    @Test func `a short write is finished later`() throws {
        try HoldfastServer.with { server in
            try fill(server)
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(FastCGIRequest("GET", "/push/news?since=first"))
            #expect(try server.get("/push/-/live").status == 200)
            #expect(try slow.answer().json["messages"].array.count == 8)
            try slow.expectClosed()
        }
    }

    @Test func `a peer that does not read is dropped after a time`() throws {
        try HoldfastServer.with(HoldfastServer.open + "[limits]\nunsent_timeout = 1s\n") { server in
            try fill(server)
            let peer = try server.peer(receiveBuffer: 4096)
            try peer.send(FastCGIRequest("GET", "/push/news?since=first"), keep: true)
            try waitUntil("it is dropped") { try server.metrics().bound("unsent_time") == 1 }
            try waitUntil("it is closed") { try server.metrics().connections == 1 }
        }
    }

    @Test func `a peer that does not read is dropped after so many bytes`() throws {
        try HoldfastServer.with { server in
            try fill(server)
            let peer = try server.peer(receiveBuffer: 4096)
            let request = FastCGIRequest("GET", "/push/news?since=first")
            var bytes: [UInt8] = []
            for id in UInt16(1)...40 { bytes += request.bytes(id: id, keep: true) }
            _ = peer.socket.writeAtOnce(bytes)
            try waitUntil("it is dropped") { try server.metrics().bound("unsent_bytes") == 1 }
            try waitUntil("it is closed") { try server.metrics().connections == 1 }
        }
    }

    /// A peer that asked about multiplexing, with a hold on each channel.
    private func multiplexer(
        _ server: HoldfastServer,
        _ channels: [String],
        wait: Int
    ) throws -> FastCGIPeer {
        let peer = try server.peer()
        var bytes = FastCGIRecord.multiplexingQuestion.bytes
        for (index, channel) in channels.enumerated() {
            let request = FastCGIRequest("GET", "/push/\(channel)?wait=\(wait)")
            bytes += request.bytes(id: UInt16(index + 1), keep: true)
        }
        try peer.socket.write(bytes)
        return peer
    }

    /// Holds with everybody, and returns when the first answers are going out; all leave in that moment.
    private func leave(
        _ server: HoldfastServer,
        wait: Int,
        _ answersBegin: () throws -> Void
    ) throws {
        let channels = ["a", "b", "c", "d", "e"]
        let held = try server.metrics()["holdfast_holds_total"]
        let peers = try (0..<200).map { _ in try multiplexer(server, channels, wait: wait) }
        try waitUntil("all were held") {
            try server.metrics()["holdfast_holds_total"] == held + 1000
        }
        for peer in peers { _ = try peer.record() }
        try answersBegin()
        // Whoever is first in the responder's order, those at the other end have most likely not been reached.
        let isFirst = try waitFor("an answer") {
            try peers[0].socket.readNow() != nil
                ? true : peers[199].socket.readNow() != nil ? false : nil
        }
        for peer in isFirst ? peers.reversed() : peers { peer.socket.close() }
        try server.waitForHeld(0)
    }

    @Test func `peers with several holds may vanish in the midst of a delivery`() throws {
        try HoldfastServer.with { server in
            for _ in 1...5 {
                let publisher = try server.peer()
                try leave(server, wait: 25) {
                    try publisher.send(.publish("/push/a,b,c,d,e", "x"))
                }
                #expect(try publisher.answer().status == 201)
            }
            #expect(try server.metrics().endedInAll == 5000)
        }
    }

    @Test func `peers with several holds may vanish in the midst of their deadline`() throws {
        try HoldfastServer.with { server in
            for _ in 1...2 { try leave(server, wait: 1) {} }
            #expect(try server.metrics().endedInAll == 2000)
        }
    }

    @Test func `a poll whose peer left while the log was asked was held`() throws {
        try HoldfastServer.with { server in
            let process = try #require(server.process)
            for _ in 1...5 {
                let ghosts = try (1...4).map { _ in try server.peer() }
                // Request and end are there together.
                process.signal(SIGSTOP)
                for peer in ghosts {
                    try peer.send(FastCGIRequest("GET", "/push/empty?since=first&wait=20"))
                    peer.socket.close()
                }
                process.signal(SIGCONT)
            }
            let halfClosed = try server.peer()
            try halfClosed.send(
                FastCGIRequest("GET", "/push/empty?since=first&wait=20"),
                keep: true
            )
            halfClosed.socket.halfClose()
            try halfClosed.drainToEnd()
            try waitUntil("all connections are closed") { try server.metrics().connections == 1 }
            #expect(try server.metrics().held == 0)
        }
    }
}
