import Glibc
import Harness
import Testing

/// A newer process takes over from the one that runs: nothing of what is held ends.
@Suite struct TakeOverTests {
    // MARK: What goes on

    @Test(arguments: [Front.nginx, .nginxUnkept, .lighttpd])
    func `a poll that a web server waits for is answered by the newer process`(_ front: Front)
        throws
    {
        guard Front.areUsable else { return }
        try front.with { web, holdfast in
            let before = try #require(holdfast.process?.pid)
            let client = try WaitingClient(.http1, "/push/news?since=now&wait=60", through: web)
            try holdfast.waitForHeld(1)
            try holdfast.renew()
            #expect(holdfast.process?.pid != before)
            try holdfast.waitForHeld(1)
            try holdfast.publish("news", "after")
            let answer = try client.answer()
            #expect(answer.status == 200 && answer.text.contains("after"))
            #expect(try holdfast.metrics()["holdfast_holds_total"] == 1)
        }
    }

    @Test func `a poll ends at its deadline`() throws {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?since=now&wait=5")
            try server.renew()
            #expect(try held.answer().json["messages"].array.isEmpty)
            #expect(try server.metrics().ended("deadline") == 1)
        }
    }

    @Test func `a stream goes on with the next message, and repeats none`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(FastCGIRequest("GET", "/push/news?stream=ndjson"))
            _ = try peer.partialAnswer(atLeast: 10)
            for round in 0..<3 {
                try server.publish("news", "before \(round);")
                try server.renew()
                try server.publish("news", "after \(round);")
            }
            var text = ""
            while !text.contains("after 2;") {
                text = try peer.partialAnswer(atLeast: text.utf8.count + 1).text
            }
            for round in 0..<3 {
                #expect(text.components(of: "before \(round);") == 1)
                #expect(text.components(of: "after \(round);") == 1)
            }
            #expect(text.components(of: "hello") == 1 && text.components(of: "gap") == 0)
        }
    }

    @Test func `half a request is completed at the newer process`() throws {
        try HoldfastServer.with { server in
            let body = String(repeating: "x", count: 5000)
            let bytes = FastCGIRequest.publish("/push/news", body).bytes(id: 1, keep: false)
            for cut in [3, 100, bytes.count / 2, bytes.count - 3] {
                let peer = try server.peer()
                try peer.socket.write(Array(bytes[..<cut]))
                try server.waitForConnections(1)
                try server.renew()
                try peer.socket.write(Array(bytes[cut...]))
                #expect(try peer.answer().status == 201)
            }
            #expect(
                try server.get("/push/news?since=first&limit=10").text.components(of: "xxxx") > 0
            )
        }
    }

    @Test func `an answer that was not read is sent to its end`() throws {
        try HoldfastServer.with { server in
            let text = String(repeating: "0123456789", count: 6000)
            for _ in 0..<10 { try server.publish("news", text) }
            let peer = try server.peer(receiveBuffer: 4096)
            try peer.send(FastCGIRequest("GET", "/push/news?since=first&limit=10"))
            try waitUntil("something is unsent") {
                try server.metrics()["holdfast_unsent_bytes"] > 100_000
            }
            try server.renew()
            let answer = try peer.answer()
            #expect(answer.status == 200)
            #expect(
                try answer.json["messages"].array.map { $0["data"].string }
                    == Array(repeating: text, count: 10)
            )
        }
    }

    @Test func `members neither leave nor join`() throws {
        let settings = HoldfastServer.open + "[presence room]\ngrace = 5s\n"
        try HoldfastServer.with(settings) { server in
            let query = "since=now&wait=60&subscriber=0123456789abcdef&name=ann"
            let held = try server.hold("/push/room?\(query)")
            try waitUntil("ann is there") { try server.members("room").count == 1 }
            let events = try server.get("/push/~presence/room?since=first").text
            try server.renew()
            #expect(try server.members("room").count == 1)
            try server.publish("room", "hello")
            _ = try held.answer()
            #expect(try server.members("room").count == 1)
            let eventsAfter = try server.get("/push/~presence/room?since=first").text
            #expect(events.components(of: "\"id\"") == eventsAfter.components(of: "\"id\""))
            // A member that does not come back leaves.
            try waitUntil("ann has left") { try server.members("room").isEmpty }
        }
    }

    @Test func `a client of the bus socket goes on, in the middle of a command`() throws {
        try HoldfastServer.with { server in
            let client = try server.busClient()
            try client.send("subscribe news\n")
            try client.next("hello")
            try client.send("put news 6\nabc")
            try server.renew()
            try client.send("def\nstatus\n")
            var kinds: [String] = []
            var bodies: [String] = []
            while kinds.count < 3 {
                guard let line = try client.next() else { break }
                guard line["kind"] != "ping" else { continue }
                kinds.append(line["kind"].string ?? "")
                if let text = line["data"].string { bodies.append(text) }
            }
            #expect(bodies == ["abcdef"])
            // The bus is served on by the newer process, also for others.
            let other = try server.busClient()
            #expect(try other.ask("publish news text")["kind"] == "ok")
            #expect(try client.next("message")["data"] == "text")
        }
    }

    @Test func `lines of a pipe are published once, however often processes change`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file("pipe")
        let server = try HoldfastServer(
            HoldfastServer.open + "[pipe \(pipe)]\nchannel = news\n",
            directory: directory
        )
        try server.start()
        try waitUntil("there is a pipe") { access(pipe, F_OK) == 0 }
        let writer = open(pipe, O_WRONLY)
        defer { close(writer) }
        func write(_ text: String) { _ = text.withCString { Glibc.write(writer, $0, strlen($0)) } }
        for round in 0..<3 {
            write("line \(round)\nhalf ")
            try server.renew()
            write("\(round)\n")
        }
        try waitUntil("all are there") {
            try server.get("/push/news?since=first&limit=20").json["messages"].array.count == 6
        }
        let texts = try server.get("/push/news?since=first&limit=20").json["messages"].array
            .compactMap { $0["data"].string }
        #expect(texts == (0..<3).flatMap { ["line \($0)", "half \($0)"] })
        try server.finish()
    }

    @Test func `counters go on, and newcomers are never refused`() throws {
        try HoldfastServer.with { server in
            for _ in 0..<5 { try server.publish("news", "text") }
            let before = try server.metrics()
            try server.renew()
            let after = try server.metrics()
            for name in ["holdfast_requests_total", "holdfast_answers_total{class=\"2xx\"}"] {
                #expect(before[name] > 0 && after[name] >= before[name])
            }
        }
    }

    @Test func `over TCP, too, and while requests keep coming`() throws {
        try HoldfastServer.with(listen: .tcp) { server in
            let held = try (0..<20).map { try server.hold("/push/c\($0)?since=now&wait=60") }
            let newer = try server.launchNewer()
            var published = 0
            while server.process?.exitNow() == nil {
                try server.publish("other", "text \(published)")
                published += 1
            }
            server.adopt(newer)
            for index in held.indices { try server.publish("c\(index)", "for \(index)") }
            for (index, peer) in held.enumerated() {
                #expect(try peer.answer().text.contains("for \(index)"))
            }
            let count = try server.get("/push/other?since=first&limit=1000").json["messages"].array
                .count
            #expect(count == min(published, count) && published > 0)
        }
    }

    @Test func `the streams of the status page go on`() throws {
        try HoldfastServer.with { server in
            let peer = try server.peer()
            try peer.send(
                FastCGIRequest(
                    "GET",
                    "/push/-/status?stream=sse",
                    params: [("HOLDFAST_OPERATOR", "1")]
                )
            )
            _ = try peer.partialAnswer(atLeast: 10)
            try server.renew()
            let pid = try #require(server.process?.pid)
            var text = ""
            // What comes now is of the newer process.
            while !text.contains("\"pid\":\(pid),") {
                text = try peer.partialAnswer(atLeast: text.utf8.count + 1).text
            }
        }
    }

    @Test func `a reload that is asked for meanwhile reaches the newer process`() throws {
        try HoldfastServer.with { server in
            let old = try #require(server.process?.pid)
            try Gate.stopOutside(server.directory.file("bus"), process: old)
            let newer = try server.launchNewer()
            // It has read the ini file, and waits.
            try waitUntil("it has the log open") {
                server.log.split(separator: "\n").count { $0.contains("log open") } == 2
            }
            try server.writeSettings("[allow other]\nread = everyone\npublish = everyone\n")
            kill(old, SIGHUP)
            kill(old, SIGCONT)
            #expect(try server.process?.wait() == .exited(0))
            server.adopt(newer)
            try waitUntil("what was closed is closed") {
                try server.get("/push/news").status == 403
            }
        }
    }

    @Test func `the newer ini file decides who may connect`() throws {
        try HoldfastServer.with { server in
            let paths = [server.directory.file("holdfast.sock"), server.busSocket]
            try waitUntil("the bus is served") { paths.allSatisfy { mode($0) == 0o660 } }
            try server.writeSettings(
                HoldfastServer.open,
                fastcgi: ["mode = 0600"],
                bus: ["socket_mode = 0600"]
            )
            try server.renew()
            try waitUntil("the modes are new") { paths.allSatisfy { mode($0) == 0o600 } }
        }
    }

    private func mode(_ path: String) -> UInt32 {
        var info = stat()
        return stat(path, &info) == 0 ? info.st_mode & 0o777 : 0
    }

    @Test func `one that could not offer itself does so once it can`() throws {
        try HoldfastServer.with { server in
            let bus = server.directory.file("bus")
            let name = try #require(Files.names(in: bus).first { $0.hasPrefix("take-over-") })
            #expect(try server.stop() == .exited(0))
            // Something that is no socket is in its place.
            try #require(mkdir("\(bus)/\(name)", 0o700) == 0)
            try server.start()
            try waitUntil("it says so") {
                server.log.contains("no other process can take over from this one")
            }
            rmdir("\(bus)/\(name)")
            try waitUntil("it offers itself") { access("\(bus)/\(name)", F_OK) == 0 }
            try server.renew()
        }
    }

    @Test func `of several newer processes one serves in the end, and none begins beside it`()
        throws
    {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            let old = try #require(server.process)
            var all = [old]
            for _ in 0..<3 { all.append(try server.launchNewer()) }
            try waitUntil("one is left") { all.count { $0.exitNow() == nil } == 1 }
            server.adopt(try #require(all.first { $0.exitNow() == nil }))
            try server.waitUntilReady()
            #expect(!server.log.contains("starting as usual"))
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
        }
    }

    // MARK: Where it cannot be

    @Test func `a newer process that is stopped before its turn ends well`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            let pid = try #require(server.process?.pid)
            try Gate.stopOutside(server.directory.file("bus"), process: pid)
            let newer = try server.launchNewer()
            // It has the log open, and waits.
            try waitUntil("it has the log open") {
                server.log.split(separator: "\n").count { $0.contains("log open") } == 2
            }
            newer.signal(SIGTERM)
            #expect(try newer.wait() == .exited(0))
            kill(pid, SIGCONT)
            try waitUntil("the older process says so") {
                server.log.contains("this one continues")
            }
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
        }
    }

    @Test func `a newer process that cannot start leaves everything as it was`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            let good = Files.text(server.iniFile)
            try server.directory.write(
                good.replacing("holdfast.sock", with: "elsewhere.sock"),
                to: "other.ini"
            )
            let newer = try ChildProcess(
                try Place.holdfast,
                ["serve", "--config", server.directory.file("other.ini"), "--take-over"],
                name: "newer",
                directory: server.directory
            )
            // No process listens there: it starts as usual, beside the other one.
            try waitUntil("it has started") { newer.errorText.contains("log open") }
            newer.signal(SIGTERM)
            #expect(try newer.wait() == .exited(0))
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
        }
    }

    @Test func `an older process that is stopped meanwhile is not waited for in vain`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let pid = try #require(server.process?.pid)
            try Gate.stopOutside(server.directory.file("bus"), process: pid)
            let newer = try server.launchNewer()
            #expect(try newer.wait() == .exited(1))
            #expect(server.log.contains("the running process does not answer"))
            kill(pid, SIGCONT)
            try server.waitUntilReady()
            try server.publish("news", "text")
        }
    }

    @Test func `without a process to take over from, it starts as usual`() throws {
        let server = try HoldfastServer()
        server.adopt(try server.launchNewer())
        try server.waitUntilReady()
        #expect(server.log.contains("starting as usual"))
        try server.finish()
    }
}

extension String {
    fileprivate func components(of part: String) -> Int {
        guard !part.isEmpty else { return 0 }
        return split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}

extension HoldfastServer {
    fileprivate func waitForConnections(_ count: Int) throws {
        try waitUntil("\(count) connections besides ours") {
            try metrics().connections > count
        }
    }
}
