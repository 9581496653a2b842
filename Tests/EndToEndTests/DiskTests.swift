import Harness
import Testing

/// The log's disk: full, or taken away under the running process.
@Suite struct DiskTests {
    @Test func `a log deleted under the running process is made anew, and everybody is told`()
        throws
    {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            try server.publish("news", "before")
            let cursor = try server.cursor("news")
            let held = try server.hold("/push/news?wait=25&since=\(cursor)")
            let bus = server.directory.file("bus")
            for name in Files.names(in: bus) { try Files.remove("\(bus)/\(name)") }

            // Nothing is acknowledged that is not in a log which is there.
            try waitUntil("publishing works again") {
                let answer = try server.post("/push/news", "after")
                #expect([201, 503].contains(answer.status))
                return answer.status == 201
            }
            let told = try held.answer()
            #expect(told.status == 200)
            let next = try server.get("/push/news?since=\(cursor)")
            #expect(try next.json["gap"]["reason"] == "restarted")
            let kept = try server.get("/push/news?since=first").json["messages"].array
            #expect(kept.map { $0["data"] } == ["after"])
            try server.stop()
            try server.start()
            let again = try server.get("/push/news?since=first").json["messages"].array
            #expect(again.map { $0["data"] } == ["after"])
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs needs root"))
    func `a full disk drops old messages, then refuses, and never lies`() throws {
        let directory = try TestDirectory()
        let disk = try SmallDisk(directory, megabytes: 6)
        let bus = ["directory = \(disk.path)/bus", "reserve_bytes = 1M", "max_bytes = 64M"]
        try Files.makeDirectory("\(disk.path)/bus")
        try HoldfastServer.with(HoldfastServer.open, bus: bus) { server in
            server.expectsErrors = true
            let cursor = try server.cursor("news")
            let text = String(repeating: "x", count: 60_000)
            var acknowledged: [String] = []
            var refused = 0
            for number in 1...200 {
                let answer = try server.post("/push/news", "\(number) \(text)")
                #expect([201, 503, 507].contains(answer.status))
                if answer.status == 201 { acknowledged.append("\(number)") } else { refused += 1 }
            }
            #expect(acknowledged.count > 40)
            // What is left is the newest of what was acknowledged, and the rest is told as a gap.
            let answer = try server.get("/push/news?since=\(cursor)").json
            #expect(answer["gap"]["reason"] == "trimmed")
            var kept = answer["messages"].array
            var next = answer
            while next["more"] == true {
                next = try server.get("/push/news?since=\(next["cursor"].string ?? "")").json
                kept += next["messages"].array
            }
            let numbers = kept.map { String(($0["data"].string ?? "?").prefix { $0 != " " }) }
            #expect(numbers == acknowledged.suffix(numbers.count))
            #expect(!numbers.isEmpty)

            // Another program takes what is left.
            try disk.fill()
            for _ in 1...20 {
                let answer = try server.post("/push/news", text)
                #expect([201, 503, 507].contains(answer.status))
            }
            #expect(try server.get("/push/-/live").status == 200)
            disk.empty()
            try waitUntil("there is room again") {
                try server.post("/push/news", "room").status == 201
            }
            try server.kill()
            try server.start()
            let last = try server.get("/push/news?since=last:1").json["messages"]
            #expect(last[0]["data"] == "room")
        }
    }

    @Test func `the log's own bound drops the oldest, and tells`() throws {
        try HoldfastServer.with(bus: ["max_bytes = 1M"]) { server in
            let cursor = try server.cursor("news")
            let text = String(repeating: "x", count: 10_000)
            for number in 1...300 {
                #expect(try server.post("/push/news", "\(number) \(text)").status == 201)
            }
            let answer = try server.get("/push/news?since=\(cursor)").json
            #expect(answer["gap"]["reason"] == "trimmed")
            #expect(answer["messages"].array.last?["data"].string?.hasPrefix("300 ") == true)
        }
    }

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
            try waitUntil("the log cannot be opened") {
                if let exit = process.exitNow() { throw HarnessError("holdfast \(exit)") }
                return server.log.contains("Too many open files")
            }
            try limitDescriptors(String(before ?? "1024"))
            try waitUntil("there is a log again") {
                (try? server.post("/push/news", "after").status) == 201
            }
        }
    }
}
