import Glibc
import Harness
import Testing

/// Reloads, restarts and kills while requests are held; nothing acknowledged is ever lost.
@Suite struct RestartTests {
    @Test(
        .enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"),
        arguments: [Front.nginx, .nginxUnkept, .lighttpd]
    )
    func `a reload of the web server loses no held request`(front: Front) throws {
        try front.with { web, holdfast in
            let waiting = try WaitingClient(.http1, "/push/news?wait=25", through: web)
            try holdfast.waitForHeld(1)
            web.reload()
            if front.kind == .nginx {
                // The new workers serve while the old one holds.
                #expect(try web.get("/push/-/ready").status == 200)
                #expect(try holdfast.metrics().held == 1)
            }
            try holdfast.publish("news", "hello")
            #expect(try waiting.answer().json["messages"][0]["data"] == "hello")
            try waitUntil("\(web.kind) serves again") {
                (try? web.get("/push/-/ready").status) == 200
            }
        }
    }

    @Test(
        .enabled(if: Front.areUsable, "nginx, lighttpd or curl is not installed"),
        arguments: [Front.nginx, .nginxUnkept, .lighttpd]
    )
    func `a restart of Holdfast answers held requests, and their clients miss nothing`(front: Front)
        throws
    {
        try front.with { web, holdfast in
            web.expectsFailures = true
            try holdfast.publish("news", "before")
            let waiting = try WaitingClient(.http1, "/push/news?wait=25", through: web)
            try holdfast.waitForHeld(1)
            let exit = try holdfast.stop()
            #expect(exit == .exited(0))
            let empty = try waiting.answer()
            #expect(empty.status == 200)
            #expect(try empty.json["messages"] == [])
            let cursor = try #require(try empty.json["cursor"].string)

            try holdfast.start()
            try holdfast.publish("news", "after")
            let next = try web.get("/push/news?wait=25&since=\(cursor)")
            #expect(try next.json["messages"].array.map { $0["data"].string } == ["after"])
            #expect(try next.json["gap"] == .null)
        }
    }

    @Test func `SIGTERM answers every held request with an empty batch and a cursor`() throws {
        try HoldfastServer.with { server in
            let kept = try server.hold("/push/a?wait=25", keep: true)
            let unkept = try server.hold("/push/b?wait=25")
            let bare = try server.hold("/push/c?wait=25&format=bare")
            #expect(try server.stop() == .exited(0))
            for peer in [kept, unkept] {
                let answer = try peer.answer()
                #expect(try answer.json["messages"] == [])
                #expect(try answer.json["cursor"].string?.isEmpty == false)
                try peer.expectClosed()
            }
            #expect(try bare.answer().status == 204)
            #expect(!Files.exists(server.address.description))
        }
    }

    @Test func `SIGTERM and the end of a peer with several holds in one moment are survived`()
        throws
    {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(.multiplexingQuestion)
            for id in UInt16(1)...5 {
                try peer.send(FastCGIRequest("GET", "/push/news?wait=25"), id: id, keep: true)
            }
            try server.waitForHeld(5)
            let process = try #require(server.process)
            // Both are there when it wakes up, the signal first.
            process.signal(SIGSTOP)
            process.signal(SIGTERM)
            peer.socket.close()
            process.signal(SIGCONT)
            #expect(try process.wait() == .exited(0))
        }
    }

    @Test func `SIGTERM ends in bounded time though a peer does not read`() throws {
        try HoldfastServer.with(fastcgi: ["stop_timeout = 1s"]) { server in
            for _ in 1...8 { try server.publish("news", String(repeating: "x", count: 60_000)) }
            let peer = try server.peer(receiveBuffer: 4096)
            try peer.send(FastCGIRequest("GET", "/push/news?since=first"), keep: true)
            #expect(try server.get("/push/-/live").status == 200)
            #expect(try server.stop() == .exited(0))
            peer.socket.close()
        }
    }

    @Test func `kill -9 between publishes loses nothing acknowledged and tells of no gap`() throws {
        try HoldfastServer.with { server in
            var cursor = try server.cursor("news")
            var acknowledged: [String] = []
            var got: [String] = []
            for round in 1...6 {
                for number in 1...10 {
                    try server.publish("news", "\(round).\(number)")
                    acknowledged.append("\(round).\(number)")
                }
                // And some of which the outcome is open when it dies.
                let open = try (1...20).map { number in
                    let peer = try server.peer()
                    try peer.send(.publish("/push/news", "\(round).open.\(number)"))
                    return peer
                }
                // Some rounds wait for a few of them, so that the kill falls among the commits.
                for (number, peer) in open.prefix(round * 2).enumerated() {
                    #expect(try peer.answer().status == 201)
                    acknowledged.append("\(round).open.\(number + 1)")
                }
                try server.kill()
                for (number, peer) in open.enumerated().dropFirst(round * 2) {
                    if let status = try? peer.answer().status, status == 201 {
                        acknowledged.append("\(round).open.\(number + 1)")
                    }
                }
                try server.start()
                let answer = try server.get("/push/news?wait=1&since=\(cursor)").json
                #expect(answer["gap"] == .null)
                #expect(answer["more"] == false)
                got += answer["messages"].array.map { $0["data"].string ?? "?" }
                cursor = answer["cursor"].string ?? ""
            }
            #expect(Set(acknowledged).isSubset(of: got))
            #expect(Set(got).count == got.count)
            let whole = try server.get("/push/news?since=first").json
            #expect(whole["messages"].array.map { $0["data"].string } == got)
        }
    }

    @Test func `a client held at the time of a kill continues from its previous cursor`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "one")
            let cursor = try server.cursor("news")
            let peer = try server.hold("/push/news?wait=25&since=\(cursor)")
            try server.kill()
            try peer.expectClosed()
            try server.start()
            try server.publish("news", "two")
            let answer = try server.get("/push/news?wait=25&since=\(cursor)").json
            #expect(answer["messages"].array.map { $0["data"].string } == ["two"])
            #expect(answer["gap"] == .null)
        }
    }

    // Longer than any test waits: a test that waits for it has failed.
    private let longStop = ["stop_timeout = 5m"]

    @Test func `connections in the backlog at SIGTERM were left there`() throws {
        try HoldfastServer.with(fastcgi: longStop) { server in
            let process = try #require(server.process)
            process.signal(SIGSTOP)
            process.signal(SIGTERM)
            let peers = try (1...5).map { _ in
                let peer = try server.peer()
                try peer.send(FastCGIRequest("GET", "/push/-/live"), keep: true)
                return peer
            }
            process.signal(SIGCONT)
            for peer in peers {
                #expect(try peer.answer().status == 200)
                try peer.expectClosed()
            }
            #expect(try process.wait() == .exited(0))
        }
    }

    @Test func `connections after SIGTERM waited until the process was gone`() throws {
        try HoldfastServer.with(fastcgi: longStop) { server in
            let process = try #require(server.process)
            // Keeps it stopping.
            let unfinished = try server.peer()
            try unfinished.socket.write(
                Array(FastCGIRequest("GET", "/push/news").bytes().prefix(20))
            )
            #expect(try server.get("/push/-/live").status == 200)
            process.signal(SIGTERM)
            try waitUntil("it is stopping") { server.log.contains("stopping") }
            if let late = try? server.peer() {
                try? late.send(FastCGIRequest("GET", "/push/-/live"), keep: true)
                try late.drainToEnd()
            }
            #expect(process.running)
            unfinished.socket.close()
            #expect(try process.wait() == .exited(0))
        }
    }
}
