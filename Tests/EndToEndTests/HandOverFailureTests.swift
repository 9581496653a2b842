import Glibc
import Harness
import Testing

/// A hand-over in which one side dies, hangs or says something else, at each of its steps: the other side is played by
/// hand. One of them serves afterwards, and what a poll waited for comes.
@Suite(.enabled(if: Tool.usable(.python)))
struct HandOverFailureTests {
    private func played(
        _ server: HoldfastServer,
        _ mode: String,
        _ step: String,
        _ action: String
    ) throws -> ChildProcess {
        try ChildProcess(
            try Tool.python.path,
            [
                "\(Place.root)/Tests/EndToEndTests/Support/handover.py",
                server.directory.file("bus"), server.address.description, mode, step, action,
            ],
            name: "played",
            directory: server.directory
        )
    }

    @Test(arguments: ["hello", "welcome", "able", "common", "batch", "whole", "ready", "yours"])
    func `the older process goes on if the newer one is killed`(step: String) throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            let stream = try server.peer()
            try stream.send(FastCGIRequest("GET", "/push/news?stream=ndjson"))
            _ = try stream.partialAnswer(atLeast: 10)
            let client = try server.busClient()
            let newer = try played(server, "take", step, "die")
            #expect(try newer.wait() == .killed(SIGKILL))
            try waitUntil("the older process says so") {
                server.log.contains("this one continues: it has ended")
            }
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
            #expect(try stream.partialAnswer(atLeast: 100).text.contains("text"))
            #expect(try client.ask("publish news more")["kind"] == "ok")
            #expect(server.process?.exitNow() == nil)
            // Another one may try again.
            server.expectsErrors = false
            try server.renew()
            #expect(try client.ask("publish news last")["kind"] == "ok")
            server.expectsErrors = true
        }
    }

    @Test(arguments: ["whole", "yours"])
    func `the older process goes on if the newer one hangs`(step: String) throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            let newer = try played(server, "take", step, "hang")
            try waitUntil("the older process says so") {
                server.log.contains("this one continues: it has not answered in time")
            }
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
            if step == "yours" {
                // It might have acted at any moment.
                #expect(try newer.wait() == .killed(SIGKILL))
            } else {
                newer.signal(SIGKILL)
                _ = try newer.wait()
            }
        }
    }

    @Test func `the older process says why the newer one is not able`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            for step in ["welcome", "whole"] {
                let newer = try played(server, "take", step, "unable")
                #expect(try newer.wait() == .exited(0))
            }
            try waitUntil("the older process says so") {
                server.log.contains("this one continues: because the test wants it")
            }
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
        }
    }

    @Test func `what is held is answered if the newer process is stopped as it gets its turn`()
        throws
    {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?since=now&wait=60")
            let older = try played(server, "relay", "yours", "terminate")
            #expect(try server.process?.wait() == .exited(0))
            try waitUntil("it can be asked") { older.outputText.contains("listening") }
            let newer = try server.launchNewer()
            let answer = try held.answer()
            #expect(answer.status == 200 && answer.text.contains("cursor"))
            #expect(try newer.wait() == .exited(0) && older.wait() == .exited(0))
            try server.start()
        }
    }

    @Test func `a process that does not introduce itself gets nothing`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let stranger = try played(server, "take", "hello", "rush")
            #expect(try stranger.wait() == .exited(0))
            #expect(!server.log.contains("handing over"))
            try server.publish("news", "text")
        }
    }

    @Test
    func `a newer process that does not understand the format lets the older one end politely`()
        throws
    {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?since=now&wait=60")
            let newer = try played(server, "take", "welcome", "polite")
            let answer = try held.answer()
            #expect(answer.status == 200 && answer.text.contains("cursor"))
            #expect(try server.process?.wait() == .exited(0))
            #expect(try newer.wait() == .exited(0))
            #expect(server.log.contains("because the test wants it"))
            try server.start()
        }
    }

    // MARK: The older process dies

    @Test(arguments: ["hello", "welcome", "able", "common", "batch", "whole", "ready", "yours"])
    func `the newer process serves if the older one is killed`(step: String) throws {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?since=now&wait=60")
            let older = try played(server, "relay", step, "die")
            #expect(try server.process?.wait() == .exited(0))
            try waitUntil("it can be asked") { older.outputText.contains("listening") }
            server.adopt(try server.launchNewer())
            #expect(try older.wait() == .killed(SIGKILL))
            try server.waitUntilReady()
            try server.publish("news", "text")
            if ["batch", "whole", "ready", "yours"].contains(step) {
                #expect(try held.answer().text.contains("text"))
            } else {
                // It ended with the process, as it does at each kill -9.
                try held.expectClosed()
            }
            #expect(try server.busClient().ask("publish news more")["kind"] == "ok")
        }
    }

    @Test func `the newer process begins by itself if it does not understand the format`() throws {
        try HoldfastServer.with { server in
            let older = try played(server, "relay", "welcome", "format")
            #expect(try server.process?.wait() == .exited(0))
            try waitUntil("it can be asked") { older.outputText.contains("listening") }
            server.adopt(try server.launchNewer())
            #expect(try older.wait() == .exited(0))
            try server.waitUntilReady()
            #expect(server.log.contains("starting as usual"))
        }
    }

    @Test(arguments: ["common", "whole"])
    func `the newer process gives up if the older one hangs`(step: String) throws {
        try HoldfastServer.with { server in
            let older = try played(server, "relay", step, "hang")
            #expect(try server.process?.wait() == .exited(0))
            try waitUntil("it can be asked") { older.outputText.contains("listening") }
            let newer = try server.launchNewer()
            #expect(try newer.wait() == .exited(1))
            #expect(server.log.contains("the running process does not answer"))
            older.signal(SIGKILL)
            _ = try older.wait()
            server.expectsErrors = true
            try server.start()
        }
    }

    @Test func `the newer process serves on its own sockets if the older one is killed`() throws {
        let (server, manager) = try managed()
        try server.start()
        let older = try played(server, "relay", "welcome", "die")
        #expect(try server.process?.wait() == .exited(0))
        try waitUntil("it can be asked") { older.outputText.contains("listening") }
        unlink(server.directory.file("holdfast.sock"))
        try manager.pass("fastcgi", server.address)
        server.manager = manager
        server.adopt(try server.launchNewer())
        #expect(try older.wait() == .killed(SIGKILL))
        try server.waitUntilReady()
        #expect(server.log.contains("starting as usual"))
        try server.finish()
    }

    @Test func `with sockets of its own, and no older process, it starts as usual`() throws {
        let (server, manager) = try managed()
        try manager.pass("fastcgi", server.address)
        server.manager = manager
        server.adopt(try server.launchNewer())
        try server.waitUntilReady()
        #expect(server.log.contains("starting as usual"))
        try server.finish()
    }

    private func managed() throws -> (HoldfastServer, ServiceManager) {
        let server = try HoldfastServer()
        return (server, try ServiceManager(notifySocket: server.directory.file("notify")))
    }

    @Test func `another older process is asked if the first one ends`() throws {
        try HoldfastServer.with { server in
            let held = try server.hold("/push/news?since=now&wait=60")
            // Like one that has just handed over: no process accepts its new connections any more.
            let gone = try played(server, "decoy", "hello", "die")
            try waitUntil("it can be asked") { gone.outputText.contains("listening") }
            let newer = try server.launchNewer()
            // The one that serves makes its door anew meanwhile.
            #expect(try server.process?.wait() == .exited(0))
            server.adopt(newer)
            try server.waitUntilReady()
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
            gone.signal(SIGKILL)
            _ = try gone.wait()
        }
    }

    // MARK: A mistake in the new settings

    @Test func `a newer process with a pipe that is none refuses, and both say why`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            try server.directory.write("text", to: "file")
            let pipe = "[pipe \(server.directory.file("file"))]\nchannel = news\n"
            try server.writeSettings(HoldfastServer.open + pipe)
            #expect(try server.launchNewer().wait() == .exited(78))
            try waitUntil("the older process says so") {
                server.log.split(separator: "\n").contains {
                    $0.contains("this one continues") && $0.contains("file")
                }
            }
            try server.publish("news", "text")
        }
    }

    @Test func `a newer process with another address refuses, and both say why`() throws {
        try HoldfastServer.with { server in
            server.expectsErrors = true
            let held = try server.hold("/push/news?since=now&wait=60")
            // A log that is not one: the newer process cannot open it, and the older one has it open.
            try server.directory.write(
                Files.text(server.iniFile).replacing(
                    "directory = ",
                    with: "durability = power\ngroup = nobody-such\ndirectory = "
                ),
                to: "holdfast.ini"
            )
            let newer = try server.launchNewer()
            let exit = try newer.wait()
            #expect(exit == .exited(78) || exit == .exited(1))
            try waitUntil("the older process says so") {
                server.log.contains("this one continues: not started")
            }
            try server.publish("news", "text")
            #expect(try held.answer().text.contains("text"))
        }
    }
}
