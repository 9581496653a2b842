import Glibc
import Harness
import Testing

/// What went wrong once when the log was stuck, replaced or not to be written to, and when the process was to end.
@Suite struct LogRegressionTests {
    /// Takes the gate to the log and keeps it, as a process does that is frozen inside it.
    private final class StuckGate {
        private let descriptor: Int32

        init(_ server: HoldfastServer) throws {
            descriptor = open(server.directory.file("bus"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
                throw HarnessError("cannot take the gate (\(errno))")
            }
        }

        func release() { _ = flock(descriptor, LOCK_UN) }

        deinit { close(descriptor) }
    }

    // MARK: Standard error

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

    // MARK: A stuck gate

    @Test func `the bound of the publish queue forgot requests that had been answered 503`() throws
    {
        let limits = "[limits]\npublish_queue_messages = 4\n"
        try HoldfastServer.with(HoldfastServer.open + limits) { server in
            server.expectsErrors = true
            try server.publish("news", "opens the log")
            let gate = try StuckGate(server)
            let first = try (1...4).map { number in
                let peer = try server.peer()
                try peer.send(.publish("/push/news", "m\(number)"))
                return peer
            }
            // Four connections are read in any order, and before a fifth only if one waits for that.
            try waitUntil("the queue is full") {
                try server.metrics()["holdfast_pending_requests"] == 4
            }
            #expect(try server.post("/push/news", "refused").status == 503)
            #expect(try server.metrics().bound("publish_queue") == 1)
            for peer in first { #expect(try peer.answer().status == 503) }
            #expect(try server.metrics().bound("publish_time") == 4)
            // They wait in the log's queue nevertheless.
            for refused in 2...6 {
                #expect(try server.post("/push/news", "refused").status == 503)
                #expect(try server.metrics().bound("publish_queue") == refused)
            }
            gate.release()
            try waitUntil("publishes are taken again") {
                try server.post("/push/news", "last").status == 201
            }
            let got = try server.get("/push/news?since=first").json["messages"].array
            let texts = got.map { $0["data"].string ?? "" }
            #expect(!texts.contains("refused"))
            #expect(texts.first == "opens the log")
            #expect(texts.last == "last")
        }
    }

    @Test func `SIGTERM waited for a stuck gate, whatever stop_timeout was`() throws {
        try HoldfastServer.with(fastcgi: ["stop_timeout = 1s"]) { server in
            server.expectsErrors = true
            try server.publish("news", "opens the log")
            let gate = try StuckGate(server)
            let peer = try server.peer()
            try peer.send(.publish("/push/news", "stuck"))
            #expect(try server.get("/push/-/live").status == 200)
            // The gate is given back only after that.
            #expect(try server.stop() == .exited(0))
            gate.release()
        }
    }

    // MARK: SIGTERM

    // Longer than any test waits: a test that waits for it has failed.
    private let longStop = ["stop_timeout = 60s"]

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

    // MARK: A log that is replaced

    @Test(.enabled(if: Tool.usable(.prlimit)))
    func `a log that was closed while no descriptor was free ended the process`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            try server.publish("news", "before")
            let process = try #require(server.process)
            func limitDescriptors(_ limit: String) throws {
                let arguments = ["--pid", "\(process.pid)", "--nofile=\(limit):"]
                let prlimit = try ChildProcess(
                    Tool.prlimit.path,
                    arguments,
                    name: "prlimit",
                    directory: server.directory
                )
                #expect(try prlimit.wait() == .exited(0))
            }
            let before = Files.text("/proc/\(process.pid)/limits").split(separator: "\n")
                .first { $0.hasPrefix("Max open files") }?.split(separator: " ")[3]
            // The log is looked at once a second; closing it must need no descriptor, and opening it fails.
            try limitDescriptors("4")
            try Files.remove(server.directory.file("bus/log.sqlite"))
            try waitUntil("the log can't be opened") {
                if let exit = process.exitNow() { throw HarnessError("holdfast \(exit)") }
                return server.log.contains("Too many open files")
            }
            try limitDescriptors(String(before ?? "1024"))
            try waitUntil("there is a log again") {
                (try? server.post("/push/news", "after").status) == 201
            }
        }
    }

    @Test func `polls that waited for a log that was replaced skipped messages without a gap`()
        throws
    {
        try HoldfastServer.with(bus: ["memory_messages = 16"]) { server in
            server.expectsErrors = true
            for _ in 1...3 {
                for number in 1...60 { try server.publish("news", "old \(number)") }
                let first = try server.get("/push/news?since=first&limit=1").json
                let cursor = try #require(first["cursor"].string)
                let epoch = cursor.prefix { $0 != "-" }
                // Publishes that find the log gone and make a new one, and right behind them, in the same turn of the
                // loop, polls from the old one. They are below what is in memory, so the log is asked.
                let (publishes, polls) = (UInt16(1)...60, UInt16(61)...860)
                let poll = FastCGIRequest("GET", "/push/news?since=\(cursor)&limit=1")
                var bytes: [UInt8] = []
                for id in publishes {
                    bytes += FastCGIRequest.publish("/push/news", "new").bytes(id: id, keep: true)
                }
                for id in polls { bytes += poll.bytes(id: id, keep: true) }
                let process = try #require(server.process)
                let peer = try server.peer()
                process.signal(SIGSTOP)
                for file in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
                    try? Files.remove(server.directory.file("bus/\(file)"))
                }
                let written = peer.socket.writeAtOnce(bytes)
                process.signal(SIGCONT)
                try peer.socket.write(Array(bytes.dropFirst(written)))
                for id in publishes { #expect(try peer.answer(id).status == 201) }
                var wrong: [JSON] = []
                for id in polls {
                    let answer = try peer.answer(id)
                    guard answer.status == 200 else { continue }
                    let json = try answer.json
                    let isOld = json["cursor"].string?.hasPrefix("\(epoch)-") == true
                    // What was read beside what is said: all of the old log, or the new one with its gap.
                    let areOld = json["messages"].array.map {
                        $0["id"].string?.hasPrefix("\(epoch)-") == true
                    }
                    let reason: JSON = isOld ? .null : "restarted"
                    if json["gap"]["reason"] != reason || areOld.contains(!isOld) {
                        wrong.append(json)
                    }
                }
                #expect(wrong.isEmpty, "\(wrong.count) answers, \(wrong.prefix(2))")
            }
        }
    }
}
