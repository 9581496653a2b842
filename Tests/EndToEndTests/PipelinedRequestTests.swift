import Harness
import Testing

/// Requests that come before the answers of earlier ones on their connection.
@Suite struct PipelinedRequestTests {
    @Test(arguments: [true, false])
    func `a request on a kept connection behind a stream that reads the log is answered`(
        aborts: Bool
    ) throws {
        try HoldfastServer.with { server in
            for number in 1...300 { try server.publish("news", "m\(number)") }
            for _ in 1...20 {
                let peer = try server.peer()
                var bytes = FastCGIRequest.events("/push/news?since=first").bytes(id: 1, keep: true)
                if aborts { bytes += FastCGIRecord(FastCGIRecord.abort, id: 1, []).bytes }
                bytes += FastCGIRequest("GET", "/push/-/live").bytes(id: 1, keep: true)
                try peer.socket.write(bytes)
                _ = try peer.response(1)
                #expect(try peer.answer(1).text == "live\n")
            }
            try server.waitForHeld(0)
        }
    }

    @Test
    func `a half-closed connection with a request behind a stream that reads is closed in the end`()
        throws
    {
        try HoldfastServer.with { server in
            let text = String(repeating: "x", count: 20_000)
            for _ in 1...50 { try server.publish("news", text) }
            for _ in 1...10 {
                let peer = try server.peer(receiveBuffer: 4096)
                let stream = FastCGIRequest.events("/push/news?since=first").bytes(
                    id: 1,
                    keep: true
                )
                let behind = FastCGIRequest("GET", "/push/-/live").bytes(id: 1, keep: true)
                try peer.socket.write(stream + behind)
                peer.socket.halfClose()
                while try peer.record() != nil {}
            }
            try waitUntil("they are closed") { try server.metrics().connections == 1 }
        }
    }

    @Test func `a request behind a publish was put into another that had half arrived`() throws {
        try HoldfastServer.with { server in
            let third = FastCGIRequest.publish("/push/news", String(repeating: "A", count: 300))
                .bytes(id: 3, keep: true)
            let peer = try server.peer()
            // The second waits for its turn, which comes while the third is incomplete.
            try peer.socket.write(
                FastCGIRequest.publish("/push/news", "first").bytes(keep: true)
                    + FastCGIRequest.publish("/push/news", "second").bytes(keep: true)
                    + third.dropLast(100)
            )
            for _ in 1...2 { #expect(try peer.answer().status == 201) }
            try peer.socket.write(third.suffix(100))
            #expect(try peer.answer(3).status == 201)
            let got = try server.get("/push/news?since=first").json["messages"].array
            let texts = got.map { $0["data"].string ?? "" }
            #expect(texts == ["first", "second", String(repeating: "A", count: 300)])
        }
    }

    @Test(arguments: [UInt16(1), 3])
    func `a request hung behind a poll that asked the log and was then held`(id: UInt16) throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.socket.write(
                FastCGIRequest("GET", "/push/empty?since=first&wait=20").bytes(keep: true)
                    + FastCGIRequest("GET", "/push/-/live").bytes(id: id, keep: true)
            )
            let empty = try peer.answer()
            #expect(empty.status == 200)
            #expect(try empty.json["messages"] == [])
            #expect(try empty.json["cursor"].string?.isEmpty == false)
            #expect(try peer.answer(id).text == "live\n")
            #expect(try server.metrics().held == 0)
        }
    }

    @Test(arguments: ["/push/news?wait=0", "/push/empty?since=first&wait=20"])
    func `a publish behind a poll of a departing peer was lost`(poll: String) throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.socket.write(
                FastCGIRequest.publish("/push/news", "first").bytes(keep: true)
                    + FastCGIRequest("GET", poll).bytes(keep: true)
                    + FastCGIRequest.publish("/push/news", "last").bytes(keep: true)
            )
            peer.socket.halfClose()
            try peer.drainToEnd()
            try waitUntil("all connections are closed") { try server.metrics().connections == 1 }
            let got = try server.get("/push/news?since=first").json["messages"].array
            #expect(got.map { $0["data"].string ?? "" } == ["first", "last"])
            #expect(try server.metrics().held == 0)
        }
    }
}
