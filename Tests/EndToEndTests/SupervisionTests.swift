import Glibc
import Harness
import Testing

/// Under a service manager such as systemd: what it is told, and the sockets that it passes.
@Suite struct SupervisionTests {
    /// A service that is started by this manager; nothing is passed to it.
    private func server(
        _ notifySocket: String? = nil,
        watchdogMicroseconds: Int? = nil,
        listen: HoldfastServer.Listen = .unix
    ) throws -> (HoldfastServer, ServiceManager) {
        let server = try HoldfastServer(listen: listen)
        let manager = try ServiceManager(
            notifySocket: notifySocket ?? server.directory.file("notify"),
            watchdogMicroseconds: watchdogMicroseconds
        )
        server.manager = manager
        return (server, manager)
    }

    // MARK: What it is told

    @Test(arguments: [false, true])
    func `it says when it is ready, reloads and stops`(isAbstract: Bool) throws {
        let name = "@holdfast-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let (server, manager) = try server(isAbstract ? name : nil)
        try server.launch()
        let ready = try manager.hear("READY=1")
        #expect(ready == ["READY=1", "STATUS=holding 0 requests"])
        // Not a moment later: the manager's clients may send requests then.
        #expect(try server.get("/push/-/ready").status == 200)

        let held = try server.hold("/push/news?wait=25")
        let before = try monotonicMicroseconds()
        server.reload()
        let reloading = try manager.next()
        #expect(reloading.first == "RELOADING=1")
        let time = reloading.last?.split(separator: "=").last.flatMap { Int64($0) } ?? 0
        #expect(time >= before)
        #expect(try monotonicMicroseconds() >= time)
        #expect(try manager.next() == ["READY=1", "STATUS=holding 1 requests"])

        server.process?.signal(SIGTERM)
        #expect(try manager.next() == ["STOPPING=1", "STATUS=answering 1 held requests"])
        _ = try held.answer()
        try server.finish()
    }

    private func monotonicMicroseconds() throws -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    @Test func `a reload that is refused is over, too, and the status says so`() throws {
        let (server, manager) = try server()
        server.expectsErrors = true
        try server.start()
        try manager.hear("READY=1")
        try server.writeSettings("[allow **\n")
        server.reload()
        #expect(try manager.next().first == "RELOADING=1")
        #expect(
            try manager.next() == [
                "READY=1",
                "STATUS=holding 0 requests; the ini file has problems, so the old settings stay",
            ]
        )
        try server.writeSettings(HoldfastServer.open)
        server.reload()
        try manager.hear("RELOADING=1")
        #expect(try manager.next() == ["READY=1", "STATUS=holding 0 requests"])
        try server.finish()
    }

    @Test func `it gives signs of life while it idles, and none while it is stopped`() throws {
        let (server, manager) = try server(watchdogMicroseconds: 200_000)
        try server.start()
        try manager.hear("READY=1")
        for _ in 1...3 {
            #expect(try manager.hear("WATCHDOG=1") == ["STATUS=holding 0 requests", "WATCHDOG=1"])
        }
        server.process?.signal(SIGSTOP)
        try waitUntil("it is stopped") {
            Files.text("/proc/\(server.process?.pid ?? 0)/stat").split(separator: ")").last?
                .split(separator: " ").first == "T"
        }
        while manager.nextNow() != nil {}
        // It cannot; so nothing is waited for here but that nothing comes.
        #expect(throws: HarnessError.self) { try manager.next(seconds: 1) }
        server.process?.signal(SIGCONT)
        try manager.hear("WATCHDOG=1")
        try server.finish()
    }

    @Test func `a watchdog that is another process's gets nothing`() throws {
        let server = try HoldfastServer(prelude: "export WATCHDOG_PID=1 WATCHDOG_USEC=100000")
        let manager = try ServiceManager(notifySocket: server.directory.file("notify"))
        server.manager = manager
        try server.start()
        try manager.hear("READY=1")
        #expect(throws: HarnessError.self) { try manager.next(seconds: 1) }
        try server.finish()
    }

    @Test func `a manager that has gone does no harm`() throws {
        let (server, manager) = try server(watchdogMicroseconds: 50_000)
        try server.start()
        try manager.hear("WATCHDOG=1")
        unlink(manager.notifySocket)
        server.reload()
        try waitUntil("the reload is done") { server.log.contains("ini file read again") }
        #expect(try server.get("/push/-/ready").status == 200)
        try server.finish()
    }

    // MARK: Sockets that are passed

    @Test func `passed sockets are served, and stay as they are when it ends`() throws {
        let (server, manager) = try server()
        try manager.pass("bus", .unix(server.busSocket), mode: 0o600)
        try manager.pass("fastcgi", server.address, mode: 0o600)
        try server.start()
        let held = try server.hold("/push/news?wait=25")
        #expect(try server.busClient().ask("publish news hello")["kind"] == "ok")
        #expect(try held.answer().json["messages"][0]["data"] == "hello")
        #expect(try server.stop() == .exited(0))
        for path in [server.address.description, server.busSocket] {
            var info = stat()
            #expect(lstat(path, &info) == 0)
            #expect(info.st_mode & 0o777 == 0o600)
        }
        // Both wait for the next process.
        let peer = try server.peer()
        try peer.send(FastCGIRequest("GET", "/push/news?since=first"))
        let client = try LineClient(server.busSocket)
        try server.launch()
        #expect(try peer.answer().json["messages"][0]["data"] == "hello")
        #expect(try client.ask("status")["held"] == 0)
        try server.finish()
    }

    @Test(
        .enabled(if: Tool.usable(.nginx), "nginx is not installed"),
        arguments: [SIGKILL, SIGTERM]
    )
    func `requests of nginx wait for the next process when one ends`(signal: Int32) throws {
        let (server, manager) = try server()
        try manager.pass("fastcgi", server.address)
        try server.start()
        try WebServer.with(.nginx, before: server) { web throws in
            // That a kept connection is gone, which nginx notices and connects anew.
            web.expectsFailures = true
            for round in 1...5 {
                // So that nginx has a connection to the process that ends.
                let before = try web.post("/push/news", "before \(round)")
                #expect(before.status == 201)
                let cursor = try #require(try before.json["id"].string)
                server.process?.signal(signal)
                try server.process?.wait()
                let clients = try (1...20).map { number in
                    let client = try HTTPClient(port: web.port)
                    try client.send("GET", "/push/news?wait=25&name=\(number)&since=\(cursor)")
                    return client
                }
                try server.launch()
                try server.waitUntilReady()
                try server.waitForHeld(20)
                let after = try web.post("/push/news", "after \(round)")
                #expect(after.status == 201)
                for client in clients {
                    let answer = try client.answer()
                    #expect(answer.status == 200)
                    #expect(try answer.json["messages"][0]["data"].string == "after \(round)")
                }
            }
        }
        try server.finish()
    }

    @Test func `a passed bus socket goes from a process that is killed to the next`() throws {
        let (first, manager) = try server()
        try manager.pass("bus", .unix(first.busSocket))
        try first.start()
        let second = try HoldfastServer(
            bus: ["directory = \(first.directory.file("bus"))", "socket = \(first.busSocket)"]
        )
        let other = try ServiceManager(notifySocket: second.directory.file("notify"))
        try other.pass("bus", of: manager)
        second.manager = other
        try second.start()
        try waitUntil("they know each other") {
            try second.metrics()["holdfast_processes"] == 2
        }
        func servingPID() throws -> Double? {
            try first.busClient().ask("status")["processes"].array
                .first { $0["serves_bus"] == true }?["pid"].number
        }
        #expect(try servingPID() == first.process.map { Double($0.pid) })
        try first.kill()
        // Connected at once, whichever process accepts it.
        let client = try LineClient(first.busSocket)
        #expect(try client.ask("publish news hello")["kind"] == "ok")
        #expect(try servingPID() == second.process.map { Double($0.pid) })
        try second.finish()
        #expect(Files.exists(first.busSocket))
    }

    @Test func `a passed TCP socket is served`() throws {
        let server = try HoldfastServer(listen: .tcp)
        let manager = try ServiceManager(notifySocket: server.directory.file("notify"))
        server.manager = manager
        try manager.pass("fastcgi", server.address)
        try server.start()
        #expect(try server.get("/push/-/ready").status == 200)
        try server.finish()
    }

    /// What is wrong with a passed socket.
    enum Wrong: CaseIterable {
        case address, port, kind, notListening, mode, open, name, twice, busAddress, noBus
    }

    @Test(arguments: Wrong.allCases)
    func `a passed socket that the ini file does not ask for is an error`(wrong: Wrong) throws {
        let (server, manager) = try server(
            listen: wrong == .open ? .inherited : .unix
        )
        let other = server.directory.file("other.sock")
        var sentence = ""
        switch wrong {
        case .address:
            try manager.pass("fastcgi", .unix(other))
            sentence = "listens on \(other), but listen in [fastcgi] is \(server.address)"
        case .port:
            try manager.pass("fastcgi", .tcp(try Ports.free()))
            sentence = "listens on 127.0.0.1:"
        case .kind:
            try manager.pass("fastcgi", server.address, isDatagram: true, isListening: false)
            sentence = "is not a listening stream socket"
        case .notListening:
            try manager.pass("fastcgi", server.address, isListening: false)
            sentence = "is not a listening stream socket"
        case .mode:
            try manager.pass("fastcgi", server.address, mode: 0o666)
            sentence = "has the mode 0666"
        case .open:
            try manager.passOpen("fastcgi")
            sentence = "so that other machines may connect"
        case .name:
            try manager.pass("holdfast.socket", server.address)
            sentence = "of the name 'holdfast.socket'"
        case .twice:
            try manager.pass("fastcgi", server.address)
            try manager.pass("fastcgi", .unix(other))
            sentence = "two sockets of the name fastcgi"
        case .busAddress:
            try manager.pass("bus", .unix(other))
            sentence = "listens on \(other), but socket in [bus] is \(server.busSocket)"
        case .noBus:
            try server.writeSettings(HoldfastServer.open, bus: ["socket = none"])
            try manager.pass("bus", .unix(server.busSocket))
            sentence = "but socket in [bus] is none"
        }
        try server.launch()
        #expect(try server.process?.wait() == .exited(78))
        #expect(server.log.contains(sentence), "\(server.log)")
    }

    @Test func `a number of sockets beyond all descriptors ended the process`() throws {
        let server = try HoldfastServer(
            prelude: #"export LISTEN_PID=$$ LISTEN_FDS=2147483647; exec "$0" "$@""#
        )
        try server.launch()
        #expect(try server.process?.wait() == .exited(78))
        #expect(server.log.contains("passed 2147483647 sockets"), "\(server.log)")
    }

    @Test func `sockets that are meant for another process are none of its business`() throws {
        let server = try HoldfastServer(
            prelude: "export LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=nonsense"
        )
        try server.start()
        #expect(try server.get("/push/-/ready").status == 200)
        try server.finish()
    }
}
