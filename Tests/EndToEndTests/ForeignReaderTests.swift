import Glibc
import Harness
import Testing

/// Another program has the log open: it reads for a long time, or writes, which only Holdfast may do.
@Suite(.enabled(if: Tool.usable(.python)))
struct ForeignReaderTests {
    /// A process with a transaction on the log that lasts until it is told to end.
    private final class Stranger {
        private let process: ChildProcess
        var pid: Int32 { process.pid }

        init(_ server: HoldfastServer, _ statements: [String]) throws {
            let script = """
                import sqlite3, sys
                log = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
                for statement in sys.argv[2:]: log.execute(statement).fetchall()
                print("ready", flush=True)
                sys.stdin.read()
                """
            process = try ChildProcess(
                Tool.python.path,
                ["-c", script, server.directory.file("bus/log.sqlite")] + statements,
                name: "stranger",
                directory: server.directory,
                input: .pipe,
                output: .pipe
            )
            var byte: UInt8 = 0
            guard Glibc.read(process.output, &byte, 1) == 1 else {
                throw HarnessError("the stranger ended: \(Files.text(process.errorFile))")
            }
        }

        func end() throws {
            process.closeInput()
            try process.wait()
        }
    }

    private let reading = ["BEGIN", "SELECT count(*) FROM messages"]

    @Test func `a start while another program wrote to the log failed`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "before")
            try server.stop()
            let stranger = try Stranger(server, ["BEGIN IMMEDIATE"])
            try server.launch()
            try waitUntil("it is said") {
                if let exit = server.process?.exitNow() { throw HarnessError("holdfast \(exit)") }
                return server.log.contains("process \(stranger.pid) (python3) writes to log.sqlite")
            }
            try stranger.end()
            try server.waitUntilReady()
            try server.publish("news", "after")
        }
    }

    @Test func `a program that wrote to the log made it unavailable`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "before")
            let stranger = try Stranger(server, ["BEGIN IMMEDIATE"])
            #expect(try server.post("/push/news", "meanwhile").status == 503)
            #expect(try server.get("/push/news?since=first").json["messages"].array.count == 1)
            #expect(try server.get("/push/-/ready").status == 200)
            try stranger.end()
            try waitUntil("publishing works again") {
                try server.post("/push/news", "after").status == 201
            }
        }
    }

    @Test(arguments: [[], ["PRAGMA wal_checkpoint(PASSIVE)"]])
    func `a program that reads for long is named, and so is its end`(before: [String]) throws {
        try HoldfastServer.with(bus: ["reserve_bytes = 64k"]) { server in
            try server.publish("news", "before")
            let stranger = try Stranger(server, before + reading)
            let text = String(repeating: "x", count: 4000)
            try waitUntil("it is named") {
                try server.publish("news", text)
                return server.log.contains("process \(stranger.pid) (python3) has been reading")
            }
            try stranger.end()
            try waitUntil("the end is said") {
                try server.publish("news", text)
                return server.log.contains("no longer keeps log.sqlite-wal from being emptied")
            }
        }
    }

    @Test func `the write-ahead log grew without a bound while another program read`() throws {
        try HoldfastServer.with(bus: ["max_bytes = 16M"]) { server in
            server.expectsErrors = true
            try server.publish("news", "before")
            let stranger = try Stranger(server, reading)
            let text = String(repeating: "x", count: 60_000)
            var refusal: HTTPAnswer?
            for number in 0..<600 where refusal == nil {
                let answer = try server.post("/push/news", "\(number) \(text)")
                if answer.status != 201 { refusal = answer }
            }
            let refused = try #require(refusal)
            #expect(refused.status == 503)
            #expect(try refused.json["code"] == "log_busy")
            #expect(server.log.contains("nothing can be published: log.sqlite-wal"))
            let size = Files.bytes(server.directory.file("bus/log.sqlite-wal")).count
            #expect(size < 20 << 20)
            // Subscribers go on.
            #expect(try server.get("/push/news?since=last:1").json["messages"].array.count == 1)
            try stranger.end()
            try waitUntil("publishing works again") {
                try server.post("/push/news", "after").status == 201
            }
        }
    }

    @Test func `an end that leaves messages beside log.sqlite says so`() throws {
        try HoldfastServer.with { server in
            try server.publish("news", "before")
            let stranger = try Stranger(server, reading)
            try server.publish("news", "after")
            #expect(try server.stop() == .exited(0))
            #expect(server.log.contains("log.sqlite alone is not complete"))
            #expect(server.log.contains("process \(stranger.pid) (python3) reads it"))
            try stranger.end()
        }
    }
}
