import Harness
import Testing

/// The worked examples of holdfast-bus(7), as people would run them.
@Suite(.enabled(if: Tool.usable(.socat, .php, .python), "socat, php or python3 is not installed"))
struct BusExampleTests {
    @Test(arguments: ["sh", "php", "py"])
    func `the man page shows the examples as they are`(ending: String) {
        let text = Files.text("\(Place.root)/conf/bus/example.\(ending)")
        #expect(!text.isEmpty)
        let shown = Documentation.examples(in: "conf/man/holdfast-bus.7").map(\.text)
        #expect(shown.contains(text))
    }

    private func run(
        _ program: String,
        _ ending: String,
        _ body: (HoldfastServer, ChildProcess) throws -> Void
    ) throws {
        try HoldfastServer.with { server in
            _ = try server.busClient()
            let child = try ChildProcess(
                program,
                ["\(Place.root)/conf/bus/example.\(ending)", server.busSocket],
                name: "example-\(ending)",
                directory: server.directory,
                output: .pipe,
                ownGroup: true
            )
            try body(server, child)
            #expect(try child.wait() == .exited(0))
        }
    }

    @Test(arguments: [
        "bus/example.sh", "bus/example.php", "bus/example.py", "examples/progress.sh",
        "examples/progress.php", "examples/progress.py", "examples/table.php", "examples/table.py",
    ])
    func `an example that failed reported success`(file: String) throws {
        let closed = "[allow **]\npublish = nobody\n"
        try HoldfastServer.with(closed, bus: ["socket_mode = 0600"]) { server throws in
            let program =
                file.hasSuffix("php")
                ? try Tool.php.path : file.hasSuffix("py") ? try Tool.python.path : "/bin/sh"
            let arguments =
                file.contains("table") ? ["EUR", "1"] : file.contains("bus/") ? [] : ["7"]
            let outcome = try ChildProcess.run(
                program,
                ["\(Place.root)/conf/\(file)"] + arguments + [server.directory.file("none.sock")],
                directory: server.directory,
                environment: ["PATH": "/usr/bin:/bin"]
            )
            #expect(outcome.exit == .exited(1), "\(outcome.output)\(outcome.error)")
        }
    }

    @Test func `the shell example works`() throws {
        try run("/bin/sh", "sh") { server, child throws in
            #expect(try child.readLine()?.contains(#""kind":"ok""#) == true)
            #expect(try child.readLine()?.contains(#""kind":"hello""#) == true)
            #expect(try child.readLine()?.contains("hello from the shell") == true)
            try server.publish("news", "next")
            #expect(try child.readLine()?.contains("next") == true)
            // socat notices that its output is not read when it writes.
            try server.publish("news", "and another")
        }
    }

    @Test func `the PHP example works`() throws {
        try run(try Tool.php.path, "php") { server, child throws in
            #expect(try child.readLine()?.hasPrefix("published as ") == true)
            #expect(try child.readLine() == #"news {"from":"PHP","n":1}"#)
            try server.publish("news", "next")
            #expect(try child.readLine() == #"news "next""#)
        }
    }

    @Test func `the Python example works`() throws {
        try run(try Tool.python.path, "py") { server, child throws in
            #expect(try child.readLine()?.hasPrefix("published as ") == true)
            #expect(try child.readLine() == #"news "hello from\nPython""#)
            try server.publish("news", "next")
            #expect(try child.readLine() == #"news "next""#)
            let message = try server.get("/push/news?since=first").json["messages"][0]
            #expect(message["type"] == "greeting")
        }
    }
}
