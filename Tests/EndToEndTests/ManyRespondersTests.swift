import Glibc
import Harness
import Testing

/// Identical processes that share a bus.
@Suite struct ManyRespondersTests {
    @Test func `processes that start at once make one log, and all hear what one is told`() throws {
        try HoldfastGroup.with(4) { group in
            let waiting = try group.servers.map { try $0.hold("/push/news?wait=25") }
            let id = try group[2].publish("news", "hello")
            for peer in waiting {
                let answer = try peer.answer().json
                #expect(answer["messages"][0]["id"].string == id)
                #expect(answer["cursor"].string == id)
            }
            let made = group.servers.filter { $0.log.contains("log open") }
            #expect(made.count == 4)
            let epochs = try Set(group.servers.map { try $0.cursor("news").prefix { $0 != "-" } })
            #expect(epochs.count == 1)
        }
    }

    @Test(.enabled(if: Tool.usable(.spawnFCGI), "spawn-fcgi is not installed"))
    func `spawn-fcgi starts four on one socket`() throws {
        let server = try HoldfastServer(listen: .inherited)
        let run = try ChildProcess.run(
            try Tool.spawnFCGI.path,
            [
                "-F", "4", "-s", server.address.description, "--", try Place.holdfast, "serve",
                "--config", server.iniFile,
            ],
            directory: server.directory
        )
        let said = String(decoding: run.output, as: UTF8.self)
        let pids = said.matches(of: /PID: (\d+)/).compactMap { Int32($0.output.1) }
        defer { for pid in pids { kill(pid, SIGKILL) } }
        #expect(pids.count == 4, "\(said) \(run.error)")
        try server.waitUntilReady()
        try waitUntil("all four know each other") {
            try server.metrics()["holdfast_processes"] == 4
        }
        // All get it, whichever process has accepted them.
        let held = try (1...40).map { _ in try server.hold("/push/news?wait=25") }
        try waitUntil("all are counted") { try server.metrics().held == 40 }
        let id = try server.publish("news", "hello")
        for peer in held { #expect(try peer.answer().json["messages"][0]["id"].string == id) }
        kill(pids[0], SIGKILL)
        try server.publish("news", "after")
        for pid in pids.dropFirst() { kill(pid, SIGTERM) }
        try waitUntil("all have ended") { pids.allSatisfy { kill($0, 0) != 0 } }
    }

    @Test(.enabled(if: Tool.usable(.lighttpd), "lighttpd is not installed"))
    func `lighttpd starts four, each with a socket of its own`() throws {
        let server = try HoldfastServer(listen: .inherited)
        let socket = "\"socket\" => \"\(server.address)\","
        let started = """
            \(socket)
            "bin-path" => "\(try Place.holdfast) serve --config \(server.iniFile)",
            "max-procs" => 4,
            """
        let edits = [(socket, started)]
        try WebServer.with(.lighttpd, before: server, options: ["--own-user"], edits: edits) {
            web throws in
            try waitUntil("it is ready") { try web.get("/push/-/ready").status == 200 }
            let bus = try waitFor("the bus socket") { try? LineClient(server.busSocket) }
            try waitUntil("all four know each other") {
                try bus.ask("status")["processes"].array.count == 4
            }
            let clients = try (1...20).map { _ in
                let client = try HTTPClient(port: web.port)
                try client.send("GET", "/push/news?wait=25")
                return client
            }
            let shares = try waitFor("all are held") {
                let status = try bus.ask("status")
                return status["held"] == 20
                    ? status["processes"].array.map { $0["held"].number ?? 0 } : nil
            }
            #expect(shares.filter { $0 > 0 }.count > 1, "\(shares)")
            #expect(try web.post("/push/news", "hello").status == 201)
            for client in clients {
                #expect(try client.answer().json["messages"][0]["data"] == "hello")
            }
        }
    }

    @Test func `one ini file serves several processes, each told where to listen`() throws {
        try HoldfastServer.with { server in
            let other = server.directory.file("second.sock")
            let second = try ChildProcess(
                try Place.holdfast,
                ["serve", "--config", server.iniFile, "--listen", other],
                name: "second",
                directory: server.directory
            )
            try waitUntil("both know each other") {
                try server.metrics()["holdfast_processes"] == 2
            }
            let peer = try FastCGIPeer(.unix(other))
            try peer.send(FastCGIRequest("GET", "/push/news?wait=25"))
            try waitUntil("held") { try server.metrics().held == 1 }
            // A reload keeps the place.
            second.signal(SIGHUP)
            try server.publish("news", "hello")
            #expect(try peer.answer().json["messages"][0]["data"] == "hello")
            second.signal(SIGTERM)
            #expect(try second.wait() == .exited(0))
            #expect(!second.errorText.contains("needs a restart"))
            let wrong = try ChildProcess.run(
                try Place.holdfast,
                ["serve", "--listen", "0.0.0.0:9000"],
                directory: server.directory
            )
            #expect(wrong.exit == .exited(64))
            #expect(wrong.error.contains("loopback"))
        }
    }

    @Test func `a publisher that got a 201 from one process finds the message at another at once`()
        throws
    {
        try HoldfastGroup.with(2) { group in
            var cursor = try group[1].cursor("news")
            for number in 1...300 {
                let id = try group[0].publish("news", "\(number)")
                let answer = try group[1].get("/push/news?since=\(cursor)").json
                #expect(answer["messages"].array.map { $0["id"].string } == [id])
                #expect(answer["messages"][0]["data"].string == "\(number)")
                cursor = answer["cursor"].string ?? ""
            }
        }
    }

    @Test func `the operator sees all processes, whichever is asked`() throws {
        try HoldfastGroup.with(3) { group in
            let holds = try group.servers.map { try $0.hold("/push/news?wait=25") }
            let params = [("HOLDFAST_OPERATOR", "1")]
            /// What `target` says once that is so: a process that is slow to answer on a busy machine is left out.
            func ask(
                _ target: String,
                _ server: HoldfastServer,
                _ isSo: (JSON) throws -> Bool
            ) throws -> JSON {
                var last = JSON.null
                return try waitFor("\(target) is complete: \(last)") {
                    last = try server.get("/push/-/\(target)", params: params).json
                    return try isSo(last) ? last : nil
                }
            }
            for server in group.servers {
                try waitUntil("all are counted") {
                    let metrics = try server.metrics()
                    return metrics["holdfast_processes"] == 3 && metrics.held == 3
                }
            }
            let status = try ask("status", group[0]) { $0["held"] == 3 }
            #expect(status["processes"].array.map { $0["held"] } == [1, 1, 1])
            // And all requests that wait for a channel.
            try group[2].publish("other", "x")
            let listed = try ask("channels", group[1]) { $0["channels"].array.count == 1 }
            #expect(listed["channels"][0]["held"] == 0)
            try group[0].publish("news", "released")
            for peer in holds { _ = try peer.answer() }
            let again = try group.servers.map { try $0.hold("/push/news,other?wait=25") }
            _ = try ask("channels", group[1]) { $0["channels"].array.map { $0["held"] } == [3, 3] }
            _ = try ask("channels/news", group[1]) { $0["held"] == 3 }
            // One that is stopped counts as missing, and delays nothing for long.
            let pid = try #require(group[1].process?.pid)
            try Gate.stopOutside(group.busDirectory, process: pid)
            let without = try ask("status", group[0]) { $0["processes"].array.count == 2 }
            #expect(without["processes_missing"] == 1)
            group[1].process?.signal(SIGCONT)
            // One that is gone is forgotten.
            try group[2].kill()
            try waitUntil("two are left") {
                let status = try group[0].status()
                return status["processes_missing"] == 0 && status["processes"].array.count == 2
            }
            try group[0].publish("news", "end")
            for peer in again.prefix(2) { #expect(try peer.answer().status == 200) }
        }
    }

    @Test func `a process stopped inside the gate stops only publishers, which are told`()
        throws
    {
        try HoldfastGroup.with(2) { group in
            let before = try group[1].publish("news", "before")
            let gate = open(group.busDirectory, O_RDONLY | O_DIRECTORY)
            defer { close(gate) }
            // As a process that was stopped between taking the gate and leaving it.
            #expect(flock(gate, LOCK_EX) == 0)
            let answer = try group[0].post("/push/news", "stuck", fields: ["Idempotency-Key": "k"])
            #expect(answer.status == 503)
            #expect(try answer.json["code"] == "outcome_unknown")
            #expect(try group[1].get("/push/news?since=first").json["cursor"].string == before)
            let held = try group[0].hold("/push/news?wait=25")
            flock(gate, LOCK_UN)
            // What was queued is committed after all, and the same key finds it.
            let message = try held.answer().json["messages"][0]
            #expect(message["data"] == "stuck")
            let again = try group[1].post("/push/news", "stuck", fields: ["Idempotency-Key": "k"])
            #expect(again.status == 201)
            #expect(try again.json["id"] == message["id"])
            let log = group[0].log
            #expect(log.contains("is inside the gate"), "\(log)")
            #expect(log.contains("process \(getpid())"), "\(log)")
        }
    }

    @Test func `a process that is stopped delays only the clients that it holds`() throws {
        try HoldfastGroup.with(3) { group in
            let stopped = try group.serving()
            let others = group.servers.filter { $0 !== stopped }
            let frozen = try stopped.hold("/push/news?wait=25")
            let held = try others[0].hold("/push/news?wait=25")
            let pid = try #require(stopped.process?.pid)
            try Gate.stopOutside(group.busDirectory, process: pid)
            let id = try others[1].publish("news", "hello")
            #expect(try held.answer().json["messages"][0]["id"].string == id)
            stopped.process?.signal(SIGCONT)
            #expect(try frozen.answer().json["messages"][0]["id"].string == id)
            #expect(try group.busClient().ask("ping")["kind"] == "pong")
        }
    }

    @Test func `a log that is deleted under several processes is begun anew by all, once`() throws {
        try HoldfastGroup.with(3) { group in
            let old = try group[0].publish("news", "old")
            let held = try group.servers.map { try $0.hold("/push/news?wait=25&since=\(old)") }
            try Files.remove("\(group.busDirectory)/log.sqlite")
            let new = try group[1].publish("news", "new")
            #expect(new.prefix { $0 != "-" } != old.prefix { $0 != "-" })
            for peer in held {
                let answer = try peer.answer().json
                #expect(answer["gap"]["reason"] == "restarted")
            }
            for server in group.servers {
                let answer = try server.get("/push/news?since=\(old)").json
                #expect(answer["messages"].array.map { $0["data"] } == ["new"])
                #expect(
                    server.log.contains("removed or replaced") || server.log.contains("log open")
                )
            }
        }
    }

    @Test func `a process that was stopped read all that was published meanwhile`() throws {
        let retain = "[retain **]\ncount = 20000\n"
        try HoldfastGroup.with(2, HoldfastServer.open + retain) { group in
            try group[0].publish("news", "first")
            let stopped = group[1]
            let poll = try stopped.hold("/push/news?wait=25")
            let stream = try stopped.peer()
            try stream.send(
                FastCGIRequest("GET", "/push/news", fields: ["Accept": "application/x-ndjson"])
            )
            try stopped.waitForHeld(2)
            let process = try #require(stopped.process)
            try Gate.stopOutside(group.busDirectory, process: process.pid)
            // More than memory keeps.
            let count = 10_000
            for begin in stride(from: 0, to: count, by: 500) {
                let lines = (begin..<begin + 500).map { "\($0)\n" }.joined()
                let answer = try group[0].post("/push/news", lines, type: "application/x-ndjson")
                #expect(answer.status == 201)
            }
            process.signal(SIGCONT)
            try group[0].publish("news", "end")

            var told = 0
            while !(try stream.partialAnswer(atLeast: told).text.contains("\"end\"")) {
                told = try stream.partialAnswer().body.count + 1
            }
            let lines = try stream.partialAnswer().text.split(separator: "\n")
            let numbers = try lines.compactMap { try JSON(Array($0.utf8))["data"].number }
            #expect(numbers == (0..<count).map { Double($0) })
            #expect(!lines.contains { $0.contains("\"gap\"") })

            // A polling client continues where it was.
            let answer = try poll.answer().json
            var polled = answer["messages"].array.compactMap { $0["data"].number }
            var cursor = try #require(answer["cursor"].string)
            #expect(answer["gap"] == .null)
            while polled.count < count {
                let next = try stopped.get("/push/news?since=\(cursor)").json
                #expect(next["gap"] == .null)
                polled += next["messages"].array.compactMap { $0["data"].number }
                let reached = try #require(next["cursor"].string)
                guard reached != cursor else { break }
                cursor = reached
            }
            #expect(polled == numbers)
        }
    }

    @Test func `an older copy put in the log's place is told by all as a gap`() throws {
        try HoldfastGroup.with(2) { group in
            try group[0].publish("news", "1")
            let log = "\(group.busDirectory)/log.sqlite"
            let backup = try ChildProcess.run(
                try Place.holdfast,
                ["log", "backup", "\(log).copy", "--config", group[0].iniFile],
                directory: group.directory
            )
            #expect(backup.exit == .exited(0), "\(backup.error)")
            let cursor = try group[1].publish("news", "2")
            let held = try group.servers.map { try $0.hold("/push/news?wait=25&since=\(cursor)") }
            #expect(rename("\(log).copy", log) == 0)
            try group[1].publish("news", "3")
            for peer in held {
                #expect(try peer.answer().json["gap"]["reason"] == "restarted")
            }
            for server in group.servers {
                let answer = try server.get("/push/news?since=\(cursor)").json
                #expect(answer["gap"]["reason"] == "restarted")
                #expect(answer["messages"].array.map { $0["data"] } == ["3"])
            }
            #expect(group[0].log.contains("new epoch") || group[1].log.contains("new epoch"))
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs needs root"))
    func `on a full disk all processes refuse and none lies, and it goes on when there is room`()
        throws
    {
        let directory = try TestDirectory()
        let disk = try SmallDisk(directory, megabytes: 8)
        try HoldfastGroup.with(3, disk: disk) { group in
            for server in group.servers { server.expectsErrors = true }
            let text = String(repeating: "x", count: 60_000)
            try disk.fill()
            var acknowledged: [String] = []
            for number in 1...60 {
                let answer = try group[number % 3].post("/push/news", "\(number) \(text)")
                #expect([201, 503, 507].contains(answer.status))
                if answer.status == 201 { acknowledged.append("\(number)") }
            }
            #expect(acknowledged.count < 60)
            disk.empty()
            for server in group.servers {
                try waitUntil("there is room again") {
                    try server.post("/push/news", "room").status == 201
                }
            }
            var kept: [String] = []
            var cursor = "first"
            while true {
                let answer = try group[1].get("/push/news?since=\(cursor)").json
                kept += answer["messages"].array.map {
                    String(($0["data"].string ?? "?").prefix { $0 != " " })
                }
                cursor = answer["cursor"].string ?? ""
                if answer["more"] != true { break }
            }
            let numbers = kept.filter { $0 != "room" }
            #expect(numbers == acknowledged.suffix(numbers.count))
            #expect(group.servers.contains { $0.log.contains("is full") })
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs needs root"))
    func `on a read-only disk a process does not start, and says why`() throws {
        let directory = try TestDirectory()
        let disk = try SmallDisk(directory, megabytes: 8)
        try HoldfastGroup.with(1, disk: disk) { group in
            try group[0].publish("news", "1")
            try group[0].stop()
            try disk.makeReadOnly(true)
            try group[0].launch()
            #expect(try group[0].process?.wait() == .exited(78))
            #expect(group[0].log.contains("on a disk that is mounted read-only"), "\(group[0].log)")
            try disk.makeReadOnly(false)
            try group[0].start()
            #expect(try group[0].get("/push/news?since=first").json["messages"][0]["data"] == "1")
            group[0].expectsErrors = true
        }
    }
}
