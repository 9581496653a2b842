import Glibc
import Harness
import Testing

/// A reload under a service manager after the program's file was replaced: the new program takes over.
@Suite struct ReloadSuccessorTests {
    private struct Service {
        let server: HoldfastServer
        let manager: ServiceManager
        let program: String

        /// Puts another file in the program's place, as a package manager does.
        func replaceProgram(by source: String? = nil) throws {
            let next = program + ".new"
            try copy(source ?? (try Place.holdfast), to: next)
            guard rename(next, program) == 0 else { throw HarnessError("rename failed") }
        }
    }

    private func with(fastcgi: [String] = [], _ body: (Service) throws -> Void) throws {
        let directory = try TestDirectory()
        let program = directory.file("holdfast-program")
        try copy(try Place.holdfast, to: program)
        let server = try HoldfastServer(
            fastcgi: fastcgi,
            prelude: "exec \(program) \"$@\"",
            directory: directory
        )
        let manager = try ServiceManager(
            notifySocket: directory.file("notify"),
            watchdogMicroseconds: 600_000_000
        )
        server.manager = manager
        try server.launch()
        try manager.hear("READY=1")
        do {
            try body(Service(server: server, manager: manager, program: program))
        } catch {
            throw HarnessError("\(error)\nlog of holdfast:\n\(server.log)")
        }
    }

    @Test func `the manager watches the new process, and nothing that is held ends`() throws {
        try with { service in
            let server = service.server
            let held = try server.hold("/push/news?since=now&wait=60")
            try service.replaceProgram()
            server.reload()
            try service.manager.hear("RELOADING=1")
            // A manager does not listen to the new one before.
            let lines = try service.manager.next()
            #expect(lines.contains("READY=1"))
            let pid = try #require(
                lines.compactMap { line in
                    line.hasPrefix("MAINPID=") ? Int32(line.dropFirst(8)) : nil
                }.first
            )
            #expect(try server.process?.wait() == .exited(0))
            #expect(pid != server.process?.pid && kill(pid, 0) == 0)
            let ready = try service.manager.next()
            #expect(ready.contains("READY=1") && ready.contains("STATUS=holding 1 requests"))
            // Otherwise the time without a sign of life could get too long between the two.
            #expect(lines.contains("WATCHDOG=1") && ready.contains("WATCHDOG=1"))
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
            // It reloads and ends as any other does.
            kill(pid, SIGHUP)
            #expect(try service.manager.hear("RELOADING=1").count == 2)
            #expect(try service.manager.hear("READY=1").contains("STATUS=holding 0 requests"))
            kill(pid, SIGTERM)
            try service.manager.hear("STOPPING=1")
            try waitUntil("the new process has ended") { kill(pid, 0) != 0 || isZombie(pid) }
            #expect(server.errorLines.isEmpty)
        }
    }

    @Test func `a program that cannot start leaves the old one serving, and the reload is over`()
        throws
    {
        try with { service in
            let server = service.server
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            try service.replaceProgram(by: "/bin/false")
            server.reload()
            try service.manager.hear("RELOADING=1")
            #expect(try service.manager.hear("READY=1").contains("STATUS=holding 1 requests"))
            #expect(server.log.contains("this one continues: it has ended"))
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
            #expect(server.process?.exitNow() == nil)
            try server.finish()
        }
    }

    @Test func `a mistake in the ini file leaves the old one serving, and both say why`() throws {
        try with { service in
            let server = service.server
            server.expectsErrors = true
            try service.replaceProgram()
            try server.writeSettings("[allow **\n")
            server.reload()
            try service.manager.hear("READY=1")
            try waitUntil("both say why") {
                server.log.contains("this one continues: the ini file has problems")
            }
            #expect(try server.get("/push/-/live").status == 200)
            try server.finish()
        }
    }

    @Test(.enabled(if: Tool.usable(.python)))
    func `one that does not understand the format waits until the old one has ended`() throws {
        try with(fastcgi: ["stop_timeout = 4s"]) { service in
            let server = service.server
            // A peer that does not read keeps the old process for as long as it waits.
            for _ in 0..<10 { try server.publish("news", String(repeating: "x", count: 60_000)) }
            let slow = try server.peer(receiveBuffer: 4096)
            try slow.send(FastCGIRequest("GET", "/push/news?since=first&limit=10"))
            try waitUntil("something is unsent") {
                try server.metrics()["holdfast_unsent_bytes"] > 100_000
            }
            let words = [
                try Tool.python.path, "\(Place.root)/Tests/EndToEndTests/Support/handover.py",
                server.directory.file("bus"), server.address.description, "heir", "welcome",
                "polite",
            ]
            let script = "#!/bin/sh\nexec \(words.joined(separator: " "))\n"
            try server.directory.write(script, to: "heir")
            try service.replaceProgram(by: server.directory.file("heir"))
            server.reload()
            try service.manager.hear("RELOADING=1")
            #expect(try server.process?.wait() == .exited(0))
            let lines = try service.manager.next()
            #expect(lines.contains { $0.hasPrefix("MAINPID=") })
            try waitUntil("the new one has seen the old one's end") {
                server.log.contains("the older process has closed the connection")
            }
        }
    }

    @Test func `the same program reads the ini file, and goes on`() throws {
        try with { service in
            service.server.reload()
            try service.manager.hear("RELOADING=1")
            #expect(try service.manager.hear("READY=1").contains("STATUS=holding 0 requests"))
            #expect(service.server.process?.exitNow() == nil)
            try service.server.finish()
        }
    }
}

/// The state of a process that has ended and was not waited for.
private func isZombie(_ pid: Int32) -> Bool {
    Files.text("/proc/\(pid)/stat").contains(") Z ")
}

private func copy(_ source: String, to target: String) throws {
    guard let from = fopen(source, "re"), let to = fopen(target, "we") else {
        throw HarnessError("cannot copy \(source)")
    }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    while true {
        let count = fread(&bytes, 1, bytes.count, from)
        guard count > 0, fwrite(&bytes, 1, count, to) == count else { break }
    }
    fclose(from)
    fclose(to)
    chmod(target, 0o755)
}
