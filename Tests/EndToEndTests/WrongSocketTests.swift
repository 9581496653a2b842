import Glibc
import Harness
import Testing

/// Clients at a socket that is not the one they need.
@Suite struct WrongSocketTests {
    @Test(arguments: [
        ["status"], ["channels"], ["top", "--count", "1"], ["pub", "a", "x"], ["pub", "a"],
        ["sub", "a"],
    ])
    func `a command at the web servers' socket waited for an answer in vain`(
        command: [String]
    ) throws {
        try HoldfastServer.with { server in
            let input = server.directory.file("input")
            // More than the socket takes before it is read.
            try server.directory.write(String(repeating: "x", count: 1_000_000), to: "input")
            let words = command.joined(separator: " ")
            let run = try server.shell(
                "\"$HOLDFAST\" \(words) --socket '\(server.address)' <'\(input)'"
            )
            #expect(run.exit == .exited(69), "\(run.error)")
            #expect(run.error.contains("is for web servers, and speaks FastCGI"), "\(run.error)")
            #expect(run.error.contains("(not_the_bus_socket)"))
            server.expectsErrors = true
            try waitUntil("it is logged") { server.log.contains("see socket in [bus]") }
            #expect(try server.texts("a") == [])
        }
    }

    @Test(arguments: ["file", "directory", "pipe"])
    func `what is no socket was waited for`(kind: String) throws {
        let directory = try TestDirectory()
        let path = directory.file(kind)
        switch kind {
        case "file": try directory.write("", to: kind)
        case "directory": _ = try directory.makeDirectory(kind)
        default: #expect(mkfifo(path, 0o600) == 0)
        }
        for command in [["pub", "a", "x"], ["sub", "a"], ["status"]] {
            let run = try ChildProcess.run(
                try Place.holdfast,
                command + ["--socket", path],
                directory: directory
            )
            #expect(run.exit == .exited(69))
            #expect(
                run.error
                    == "holdfast: \(path) is not a socket; give the bus socket with --socket\n"
            )
        }
    }

    @Test(
        .enabled(if: Tool.usable(.socat), "socat is not installed"),
        arguments: [["pub", "a", "x", "--timeout", "1"], ["sub", "a"], ["status"]]
    )
    func `a socket that says nothing was taken for a bus that is about to come back`(
        command: [String]
    ) throws {
        let directory = try TestDirectory()
        let path = directory.file("other.sock")
        let other = try ChildProcess(
            try Tool.socat.path,
            ["UNIX-LISTEN:\(path),fork", "SYSTEM:true"],
            name: "other",
            directory: directory
        )
        defer { other.signal(SIGTERM) }
        try waitUntil("it listens") { Files.exists(path) }
        let run = try ChildProcess.run(
            try Place.holdfast,
            command + ["--socket", path],
            directory: directory
        )
        #expect(run.exit == .exited(75), "\(run.error)")
        #expect(run.error.contains("\(path) closed each connection without an answer"))
    }

    @Test func `a web server at the bus socket waited for an answer in vain`() throws {
        try HoldfastServer.with { server in
            let client = try server.busClient()
            #expect(try client.ask("ping")["kind"] == "pong")
            try client.send(FastCGIRecord.begin(id: 1, keep: true).bytes)
            let error = try client.next("error")
            #expect(error["code"] == "not_the_fastcgi_socket")
            #expect(error["line"].number == 2)
            #expect(try client.next() == nil)
        }
    }
}
