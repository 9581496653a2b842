import Glibc
import Harness
import Testing

/// The first moments of a process, and starts that cannot succeed; each named after what went wrong.
@Suite struct StartTests {
    // MARK: Before the log is open

    /// Has the gate of a server's log, so that the log cannot be opened.
    private final class Gate {
        private let descriptor: Int32

        init(_ server: HoldfastServer) {
            descriptor = Glibc.open(server.directory.file("bus"), O_RDONLY | O_CLOEXEC)
            #expect(flock(descriptor, LOCK_EX) == 0)
        }

        func open() { flock(descriptor, LOCK_UN) }

        deinit { close(descriptor) }
    }

    private func isAtTheGate(_ process: ChildProcess) -> Bool {
        Files.text("/proc/locks").split(separator: "\n").contains {
            $0.contains("-> FLOCK") && $0.contains(" \(process.pid) ")
        }
    }

    @Test func `requests that came while the log was being opened were answered 503`() throws {
        let server = try HoldfastServer()
        let gate = Gate(server)
        try server.launch()
        let peer = try waitFor("it listens") { try? server.peer() }
        try peer.send(FastCGIRequest("GET", "/push/news"))
        try waitUntil("it opens the log") { isAtTheGate(server.process!) }
        gate.open()
        #expect(try peer.answer().status == 200)
        try server.finish()
    }

    @Test func `requests that waited on an inherited socket before the start were answered 503`()
        throws
    {
        let server = try HoldfastServer(listen: .inherited)
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(listener) }
        guard case .unix(let path) = server.address else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0 && listen(listener, 16) == 0)
        let waiting = try (0..<5).map { _ in
            let peer = try server.peer()
            try peer.send(FastCGIRequest("GET", "/push/news"))
            return peer
        }
        let process = try ChildProcess(
            try Place.holdfast,
            ["serve", "--config", server.iniFile],
            name: "inheriting",
            directory: server.directory,
            input: .descriptor(listener)
        )
        for peer in waiting { #expect(try peer.answer().status == 200) }
        process.signal(SIGTERM)
        #expect(try process.wait() == .exited(0))
    }

    @Test func `waiting requests are told of a log that cannot be opened for long`() throws {
        let server = try HoldfastServer()
        let gate = Gate(server)
        try server.launch()
        let peer = try waitFor("it listens") { try? server.peer() }
        try peer.send(FastCGIRequest("GET", "/push/news"))
        #expect(try peer.answer().status == 503)
        #expect(try server.get("/push/-/live").status == 200)
        gate.open()
        try server.waitUntilReady()
        try server.finish()
    }

    // MARK: Signals and arguments

    /// At the moment when the loader hands control over, as it says itself.
    @Test(arguments: [SIGHUP, SIGTERM, SIGINT])
    func `a signal in the first milliseconds killed`(signal: Int32) throws {
        let directory = try TestDirectory()
        let server = try HoldfastServer(
            prelude: "export LD_DEBUG=files LD_DEBUG_OUTPUT=\(directory.file("loader"))"
        )
        try server.launch()
        let process = try #require(server.process)
        let file = directory.file("loader.\(process.pid)")
        while !Files.text(file).contains("transferring control") {
            try #require(process.running)
        }
        process.signal(signal)
        if signal == SIGHUP {
            try server.waitUntilReady()
            try waitUntil("it is obeyed") { server.log.contains("ini file read again") }
            try server.finish()
        } else {
            #expect(try server.process?.wait() == .exited(0))
            #expect(server.errorLines.isEmpty)
        }
    }

    @Test func `a program without any arguments served`() throws {
        let directory = try TestDirectory()
        let error = open(directory.file("err"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(error) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, error, 2)
        var process = pid_t(0)
        var arguments: [UnsafeMutablePointer<CChar>?] = [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        let path = try Place.holdfast
        #expect(posix_spawn(&process, path, &actions, nil, &arguments, &environment) == 0)
        var status: Int32 = 0
        #expect(waitpid(process, &status, 0) == process)
        #expect(status == 64 << 8)
        #expect(Files.text(directory.file("err")).contains("without any arguments"))
    }

    @Test(.enabled(if: Place.isRoot, "only root can take /proc away"))
    func `arguments were lost without proc, and help was serve`() throws {
        let directory = try TestDirectory()
        let script = #"mount -t tmpfs none /proc && exec "$0" "$@""#
        for (arguments, word) in [
            (["--help"], "USAGE"), (["check", "-c", "/no/such"], "/no/such"),
        ] {
            let run = try ChildProcess.run(
                "/usr/bin/unshare",
                ["-m", "/bin/sh", "-c", script, try Place.holdfast] + arguments,
                directory: directory
            )
            #expect((String(decoding: run.output, as: UTF8.self) + run.error).contains(word))
        }
    }

    @Test(arguments: [
        ("serv", "did you mean 'serve'?"), ("statsu", "did you mean 'status'?"),
        ("xyzzy", "holdfast --help lists them"), ("\u{1b}[2J", "there is no command '\\u{1B}[2J'"),
    ])
    func `a mistyped command was called an unexpected argument`(text: String, sentence: String)
        throws
    {
        let directory = try TestDirectory()
        let run = try ChildProcess.run(try Place.holdfast, [text], directory: directory)
        #expect(run.exit == .exited(64))
        #expect(run.error.contains(sentence))
    }

    // MARK: Standard error

    @Test func `a full pipe on standard error froze the process`() throws {
        let directory = try TestDirectory()
        let path = directory.file("stderr")
        #expect(mkfifo(path, 0o600) == 0)
        let pipe = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        defer { close(pipe) }
        let filling = [UInt8](repeating: 10, count: 4096)
        while write(pipe, filling, filling.count) > 0 {}
        let server = try HoldfastServer(prelude: "exec 2>'\(path)'")
        try server.start()
        try server.publish("news", "x")
        // Each problem is a line, more than are kept.
        let broken = (0..<6000).map { "wrong line number \($0), and as long as it may be\n" }
            .joined()
        try server.directory.write(broken, to: "holdfast.ini")
        server.reload()
        try waitUntil("lines are lost") {
            try server.metrics()["holdfast_log_lines_lost_total"] > 0
        }
        #expect(try server.post("/push/news", "y").status == 201)
        var text = ""
        try waitUntil("it is told") {
            while let some = try StreamSocket.readNow(pipe), !some.isEmpty {
                text += String(decoding: some, as: UTF8.self)
            }
            return text.contains("lines of the log could not be written here")
        }
        #expect(text.contains(" notice starting "))
        server.process?.signal(SIGTERM)
        #expect(try server.process?.wait() == .exited(0))
    }

    @Test(arguments: ["2>&-", "2>/dev/full"])
    func `a standard error that takes nothing is no reason to stop`(how: String) throws {
        let server = try HoldfastServer(prelude: "exec \(how)")
        try server.start()
        try waitUntil("it is counted") {
            try server.metrics()["holdfast_log_lines_lost_total"] > 0
        }
        try server.publish("news", "x")
        #expect(try server.stop() == .exited(0))
    }
}
