import Glibc
import Harness
import Testing

/// Which process of a bus serves its socket and pipes, and which one takes over from it.
@Suite struct BusTakeoverTests {
    @Test(arguments: [SIGTERM, SIGKILL])
    func `the bus socket is served by another when its process ends`(signal: Int32) throws {
        try HoldfastGroup.with(3) { group in
            for round in 0..<2 {
                let server = try group.serving()
                let subscriber = try group.busClient()
                try subscriber.send("subscribe news\n")
                var cursor = try subscriber.next("hello")["cursor"].string ?? ""
                if signal == SIGKILL {
                    try server.kill()
                } else {
                    try server.stop()
                    cursor = try subscriber.next("bye")["cursor"].string ?? ""
                }
                #expect(try subscriber.next() == nil)
                // At once: the kernel passes the lock on to a waiting process.
                let client = try group.busClient()
                #expect(try client.ask("publish news \(round)")["kind"] == "ok")
                try client.send("subscribe news since \(cursor)\n")
                try client.next("hello")
                #expect(try client.next("message")["data"].string == "\(round)")
            }
            #expect(try group.serving().process?.running == true)
        }
    }

    @Test func `a bus socket that is removed is created again`() throws {
        try HoldfastGroup.with(2) { group in
            _ = try group.busClient()
            try Files.remove(group.busSocket)
            #expect(try group.busClient().ask("ping")["kind"] == "pong")
            #expect(try group.serving().log.contains("was removed; making it again"))
        }
    }

    @Test func `no web server reached a process whose socket had been removed`() throws {
        try HoldfastServer.with { server in
            guard case .unix(let path) = server.address else { return }
            let cursor = try server.cursor("news")
            let held = try server.hold("/push/news?wait=25&since=\(cursor)")
            let admitted = Self.admitted(path)
            try Files.remove(path)
            try Files.remove(path + ".lock")
            try waitUntil("it is there again") { (try? server.publish("news", "hello")) != nil }
            #expect(try held.answer().json["messages"].array.count == 1)
            #expect(Self.admitted(path) == admitted && Files.exists(path + ".lock"))
            #expect(server.log.contains("\(path) was removed; making it again"))
            #expect(server.log.split(separator: "\n").filter { $0.contains("again") }.count == 2)
        }
    }

    /// What was taken over kept its lock open, so that the address seemed to be in use.
    @Test func `a process that has taken over makes its socket again, too`() throws {
        try HoldfastServer.with { server in
            guard case .unix(let path) = server.address else { return }
            try server.renew()
            try Files.remove(path)
            try waitUntil("it is there again") { (try? server.publish("news", "hello")) != nil }
            #expect(Files.exists(path + ".lock"))
        }
    }

    /// Who may connect: the mode and the group.
    private static func admitted(_ path: String) -> [UInt32] {
        var info = stat()
        return lstat(path, &info) == 0 ? [info.st_mode, info.st_gid] : []
    }

    @Test func `a socket is made again once that is possible`() throws {
        try HoldfastServer.with { server in
            guard case .unix(let path) = server.address else { return }
            server.expectsErrors = true
            let away = path + ".away"
            try Files.remove(path)
            try server.directory.makeDirectory("holdfast.sock", mode: 0o700)
            try waitUntil("it is told why not") {
                server.log.contains("something that is not a socket is there; move it away; trying")
            }
            #expect(rename(path, away) == 0)
            try waitUntil("it is there again") { (try? server.publish("news", "hello")) != nil }
        }
    }

    @Test func `processes whose sockets were removed never found each other again`() throws {
        try HoldfastGroup.with(2) { group in
            for name in Files.names(in: group.busDirectory + "/processes") {
                try Files.remove("\(group.busDirectory)/processes/\(name)")
            }
            #expect(try group[0].metrics()["holdfast_processes"] == 1)
            try group.waitUntilAcquainted()
            #expect(group[0].log.contains("was removed; making another one"))
        }
    }

    @Test func `a bus directory that is replaced is served too`() throws {
        try HoldfastGroup.with(2) { group in
            _ = try group.busClient()
            try group[0].publish("news", "old")
            #expect(rename(group.busDirectory, group.directory.file("away")) == 0)
            try group.directory.makeDirectory("bus", mode: 0o770)
            try waitUntil("the new log") {
                (try? group[0].publish("news", "new")) != nil
            }
            try waitUntil("both serve the new bus") {
                guard let status = try? group.busClient().ask("status") else { return false }
                return status["processes"].array.count == 2
                    && status["processes"].array.contains { $0["serves_bus"] == true }
            }
            #expect(try group.busClient().ask("publish news newer")["kind"] == "ok")
            let messages = try group[1].get("/push/news?since=first").json["messages"].array
            #expect(messages.map { $0["data"] } == ["new", "newer"])
        }
    }

    @Test func `a process that is stopping kept the bus from the next one`() throws {
        try HoldfastGroup.with(2) { group in
            let serving = try group.serving()
            let other = try #require(group.servers.first { $0 !== serving })
            // A web server that takes its time keeps the process from ending.
            let peer = try serving.peer()
            try peer.send(FastCGIRequest("GET", "/push/a?wait=25"))
            try serving.waitForHeld(1)
            serving.process?.signal(SIGTERM)
            try waitUntil("the other serves") { other.log.contains("serving the bus") }
            _ = try peer.answer()
        }
    }

    @Test func `a process that had ended was said not to answer`() throws {
        try HoldfastGroup.with(2) { group in
            // Both are asked by a third one when it starts, and neither answers; one of them ends.
            let pids = group.servers.compactMap { $0.process?.pid }
            let bus = ["directory = \(group.busDirectory)", "socket = none"]
            let third = try HoldfastServer(bus: bus)
            for pid in pids { try Gate.stopOutside(group.busDirectory, process: pid) }
            defer { for server in group.servers { server.process?.signal(SIGCONT) } }
            try third.start()
            try group.servers[1].kill()
            try waitUntil("the stopped one is named") {
                third.log.contains("process \(pids[0]) of this bus")
            }
            #expect(!third.log.contains("process \(pids[1]) of this bus"))
            group.servers[0].process?.signal(SIGCONT)
            try third.finish()
        }
    }

    @Test func `a process that does not answer is named`() throws {
        try HoldfastGroup.with(2) { group in
            let serving = try group.serving()
            let other = try #require(group.servers.first { $0 !== serving })
            let pid = try #require(serving.process?.pid)
            try Gate.stopOutside(group.busDirectory, process: pid)
            defer { serving.process?.signal(SIGCONT) }
            let status = try other.command("pub", "a", "x", "--timeout", "1")
            #expect(status.exit == .exited(75))
            #expect(status.error.contains("process \(pid) serves the bus"))
            try waitUntil("it is named") { other.log.contains("process \(pid) of this bus") }
            serving.process?.signal(SIGCONT)
            try waitUntil("it is back") { other.log.contains("\(pid) of this bus answers again") }
        }
    }
}
