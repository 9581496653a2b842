import Glibc
import Harness
import Testing

/// Publishing by writing to a named pipe, from real shells and programs.
@Suite struct PipeTests {
    private static let pipe = "bus.pipe"

    private func with(
        _ section: String = "",
        _ settings: String = HoldfastServer.open,
        _ body: (HoldfastServer, _ pipe: String) throws -> Void
    ) throws {
        let directory = try TestDirectory()
        let path = directory.file(Self.pipe)
        try HoldfastServer.with(settings + "[pipe \(path)]\n" + section) { server in
            // The process that reads has the lock before the socket is there.
            _ = try server.busClient()
            try body(server, path)
        }
    }

    private func shell(_ command: String, _ server: HoldfastServer) throws {
        let run = try ChildProcess.run("/bin/sh", ["-c", command], directory: server.directory)
        guard run.exit == .exited(0) else { throw HarnessError(run.error) }
    }

    private func texts(_ channel: String, _ server: HoldfastServer, count: Int) throws -> [String] {
        var found: [String] = []
        try waitUntil("\(count) messages, \(found.count) are there") {
            var cursor = "first"
            found = []
            while true {
                let answer = try server.get("/push/\(channel)?since=\(cursor)").json
                found += answer["messages"].array.map { $0["data"].string ?? "\($0["data"])" }
                cursor = answer["cursor"].string ?? ""
                if answer["more"] != true { return found.count >= count }
            }
        }
        return found
    }

    @Test func `echo publishes, and a held poll gets it`() throws {
        try with { server, pipe in
            let held = try server.hold("/push/chat?wait=25")
            try shell("printf 'chat\\thello\\n' > \(pipe)", server)
            #expect(try held.answer().json["messages"][0]["data"] == "hello")
            try shell(#"echo '{"channel":"chat","data":{"n":1}}' > \#(pipe)"#, server)
            let messages = try server.get("/push/chat?since=first&wait=25&limit=2").json["messages"]
            try waitUntil("the second") { try server.metrics()["holdfast_pipe_lines_total"] == 2 }
            #expect(messages[0]["data"] == "hello")
        }
    }

    @Test func `a pipe bound to a channel takes whole lines`() throws {
        try with("channel = logs\n") { server, pipe in
            try shell("seq -f 'line\t%g' 1 2000 > \(pipe)", server)
            try waitUntil("all lines") {
                try server.metrics()["holdfast_pipe_lines_total"] == 2000
            }
            #expect(try texts("logs", server, count: 1).last == "line\t2000")
        }
    }

    @Test func `lines of many writers that come and go are neither lost nor mixed`() throws {
        let retain = "[retain **]\ncount = 100000\n"
        try with("", HoldfastServer.open + retain) { server, pipe in
            let writers = try (0..<8).map { writer in
                let text = String(repeating: "x", count: 100 * writer)
                let loop =
                    "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo 'c\(writer)\t'$i:\(text) > \(pipe); done"
                return try ChildProcess(
                    "/bin/bash",
                    ["-c", loop.replacing("\\t", with: "\t")],
                    name: "writer\(writer)",
                    directory: server.directory
                )
            }
            for writer in writers { #expect(try writer.wait() == .exited(0)) }
            for writer in 0..<8 {
                let text = String(repeating: "x", count: 100 * writer)
                let expected = (1...200).map { "\($0):\(text)" }
                #expect(try texts("c\(writer)", server, count: 200) == expected)
            }
            #expect(try server.metrics()["holdfast_pipe_refusals_total"] == 0)
        }
    }

    @Test func `a bad line is counted and logged with its beginning, and the next is read`() throws
    {
        try with("channels = a\n") { server, pipe in
            try shell("printf 'no tab here\\nb\\tnot allowed\\n{\\na\\tfine\\n' > \(pipe)", server)
            #expect(try texts("a", server, count: 1) == ["fine"])
            #expect(try server.metrics()["holdfast_pipe_refusals_total"] == 3)
            #expect(server.log.contains("no tab here"))
            #expect(server.log.contains(pipe))
        }
    }

    @Test func `an overlong line is passed over to its end, however long`() throws {
        let limits = "[limits]\nmessage_bytes = 4k\n"
        try with("channel = a\n", HoldfastServer.open + limits) { server, pipe in
            // Longer than the pipe holds, and one that is only longer than a line may be.
            try shell(
                "(head -c 3000000 /dev/zero | tr '\\0' y; echo; echo one;"
                    + " head -c 6000 /dev/zero | tr '\\0' z; echo; echo two) > \(pipe)",
                server
            )
            #expect(try texts("a", server, count: 2) == ["one", "two"])
            #expect(try server.metrics()["holdfast_pipe_refusals_total"] == 2)
            #expect(server.log.contains("yyyyyyyy"))
        }
    }

    @Test func `the rest of an overlong line is passed over after a kill too`() throws {
        try with("channel = a\n", HoldfastServer.open + "[limits]\nmessage_bytes = 4k\n") {
            server,
            pipe in
            let file = open(pipe, O_RDWR)
            defer { close(file) }
            let long = String(repeating: "y", count: 20_000)
            _ = write(file, long, long.utf8.count)
            try waitUntil("refused") {
                try server.metrics()["holdfast_pipe_refusals_total"] == 1
            }
            try server.kill()
            try server.start()
            let rest = "the rest of it\nfine\n"
            _ = write(file, rest, rest.utf8.count)
            #expect(try texts("a", server, count: 1) == ["fine"])
        }
    }

    @Test func `a line without its end is waited for, without the loop running meanwhile`() throws {
        try with { server, pipe in
            let file = open(pipe, O_WRONLY)
            defer { close(file) }
            func put(_ text: String) { _ = write(file, text, text.utf8.count) }
            put("a\thel")
            try shell("printf 'lo\\n' > \(pipe)", server)
            #expect(try texts("a", server, count: 1) == ["hello"])
            put("a\t" + String(repeating: "x", count: 5000))
            let process = try #require(server.process)
            let before = process.processorSeconds
            poll(nil, 0, 1000)
            #expect(process.processorSeconds - before < 0.5)
            put("\n")
            #expect(try texts("a", server, count: 2)[1].utf8.count == 5000)
        }
    }

    @Test func `what waits in the pipe while no process serves is published afterwards`() throws {
        try with { server, pipe in
            try server.stop()
            // No process has it open now, only a program like this one.
            let file = open(pipe, O_RDWR | O_NONBLOCK)
            defer { close(file) }
            _ = write(file, "a\twaited\n", 9)
            try server.start()
            #expect(try texts("a", server, count: 1) == ["waited"])
        }
    }

    @Test func `another process continues when the reader is killed, and loses nothing`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file(Self.pipe)
        let settings =
            HoldfastServer.open + "[retain **]\ncount = 1000000\n[pipe \(pipe)]\nchannel = a\n"
        try HoldfastGroup.with(2, settings) { group in
            _ = try group.busClient()
            let writer = try ChildProcess(
                "/bin/bash",
                ["-c", "for ((i = 1; i <= 20000; i++)); do echo $i; done > \(pipe)"],
                name: "writer",
                directory: group.directory
            )
            for round in 1...3 {
                try waitUntil("some more lines") {
                    let newest = try group[0].get("/push/a?since=last:1").json["messages"][0]
                    return Int(newest["data"].string ?? "").map { $0 >= round * 4000 } ?? false
                }
                let server = try group.serving()
                try server.kill()
                try server.start()
            }
            #expect(try writer.wait() == .exited(0))
            let found = try texts("a", group[0], count: 20000).compactMap { Int($0) }
            // A portion that was committed and not taken out yet may have come twice, as a whole.
            var next = 1
            var repeats = 0
            for number in found {
                if number == next { next += 1 } else { repeats += 1 }
                #expect(number <= next)
            }
            #expect(next == 20001)
            #expect(repeats <= 3 * 64)
        }
    }

    /// Written without a reader of the test's own, so that the pipe lives by the responders alone.
    private func fill(_ pipe: String, _ text: String) throws {
        let file = open(pipe, O_WRONLY | O_NONBLOCK)
        guard file >= 0 else { throw HarnessError("nobody reads \(pipe)") }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) }
        }
    }

    @Test func `what was in the pipe at SIGTERM was discarded`() throws {
        let settings = HoldfastServer.open + "[retain **]\ncount = 100000\n"
        try with("channel = a\n", settings) { server, pipe in
            try fill(pipe, (1...20_000).map { "\($0)\n" }.joined())
            #expect(try server.stop() == .exited(0))
            try server.start()
            #expect(try texts("a", server, count: 20_000) == (1...20_000).map { "\($0)" })
        }
    }

    @Test func `lines were lost when all processes of a bus were stopped together`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file(Self.pipe)
        let settings =
            HoldfastServer.open + "[retain **]\ncount = 1000000\n[pipe \(pipe)]\nchannel = a\n"
        try HoldfastGroup.with(3, settings) { group in
            _ = try group.busClient()
            for round in 1...5 {
                try fill(pipe, (1...2000).map { "\(round): \($0)\n" }.joined())
                let processes = group.servers.compactMap(\.process)
                for process in processes { process.signal(SIGTERM) }
                for process in processes { #expect(try process.wait() == .exited(0)) }
                for server in group.servers { try server.launch() }
                for server in group.servers { try server.waitUntilReady() }
            }
            let expected = (1...5).flatMap { round in (1...2000).map { "\(round): \($0)" } }
            #expect(try texts("a", group[0], count: expected.count) == expected)
        }
    }

    @Test func `what can't be published before the end was lost without a word`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file(Self.pipe)
        let server = try HoldfastServer(
            HoldfastServer.open + "[pipe \(pipe)]\nchannel = a\n",
            fastcgi: ["stop_timeout = 1s"]
        )
        try server.start()
        _ = try server.busClient()
        // No process can write to the log any more.
        let gate = open(server.directory.file("bus"), O_RDONLY | O_DIRECTORY)
        defer { close(gate) }
        #expect(flock(gate, LOCK_EX) == 0)
        try fill(pipe, (1...30).map { "\($0)\n" }.joined() + "unfinished")
        #expect(try server.stop() == .exited(0))
        #expect(server.log.contains("lines in a pipe are lost"))
        #expect(server.log.contains("lines=30 pipe=\(pipe)"))
    }

    @Test func `lines in a pipe that was replaced were lost without a word`() throws {
        try with("channel = a\n") { server, pipe in
            // No process can write to the log.
            let gate = open(server.directory.file("bus"), O_RDONLY | O_DIRECTORY)
            defer { close(gate) }
            #expect(flock(gate, LOCK_EX) == 0)
            try fill(pipe, (1...300).map { "\($0)\n" }.joined())
            #expect(rename(pipe, pipe + ".old") == 0)
            #expect(mkfifo(pipe, 0o600) == 0)
            try waitUntil("it is seen") {
                server.log.contains("the lines in it are published first")
            }
            #expect(flock(gate, LOCK_UN) == 0)
            #expect(try texts("a", server, count: 300) == (1...300).map { "\($0)" })
            try waitUntil("the new one is used") { server.log.contains("using the new one") }
            try fill(pipe, "more\n")
            #expect(try texts("a", server, count: 301).last == "more")
            #expect(!server.log.contains("is lost"))
            #expect(!server.log.contains("are lost"))
        }
    }

    @Test func `the beginning of a line that never ended was dropped without a word`() throws {
        try with("channel = a\n") { server, pipe in
            try fill(pipe, "one\ntwo")
            #expect(try server.stop() == .exited(0))
            #expect(server.log.contains("the beginning of a line in a pipe is lost"))
            #expect(server.log.contains("bytes=3 lines=0"))
            try server.start()
            #expect(try texts("a", server, count: 1) == ["one"])
        }
    }

    @Test func `a line with a key comes once, however often it is written`() throws {
        try with { server, pipe in
            let line = #"{"channel":"a","data":1,"key":"k"}"#
            let other = #"{"channel":"a","data":2,"key":"k"}"#
            try shell("printf '\(line)\\n\(line)\\n\(other)\\na\\tend\\n' > \(pipe)", server)
            #expect(try texts("a", server, count: 2) == ["number(1.0)", "end"])
            #expect(try server.metrics()["holdfast_pipe_refusals_total"] == 1)
            #expect(server.log.contains("used for another message"))
        }
    }

    @Test func `one pipe's refused lines kept those of another out of the log`() throws {
        let directory = try TestDirectory()
        let pipes = ["one", "two"].map { directory.file("\($0).pipe") }
        let sections = pipes.map { "[pipe \($0)]\n" }.joined()
        try HoldfastServer.with(HoldfastServer.open + sections) { server in
            _ = try server.busClient()
            try shell("printf 'bad 1\nbad 2\nbad 3\n' > \(pipes[0])", server)
            try shell("printf 'bad 4\n' > \(pipes[1])", server)
            // Nothing follows.
            try waitUntil("all are told") {
                server.log.contains("line=bad 4 pipe=\(pipes[1])")
                    && server.log.contains("line=bad 3 pipe=\(pipes[0]) refused=2")
            }
            try shell("printf 'bad 5\nbad 6\n' > \(pipes[0])", server)
            try waitUntil("refused") { try server.metrics()["holdfast_pipe_refusals_total"] == 6 }
            _ = try server.stop()
            #expect(server.log.contains("line=bad 6"))
            try server.start()
        }
    }

    @Test func `the problems of two pipes were logged every second`() throws {
        let directory = try TestDirectory()
        let pipes = ["one", "two"].map { directory.file("\($0).pipe") }
        let sections = pipes.map { "[pipe \($0)]\n" }.joined()
        try HoldfastServer.with(HoldfastServer.open + sections) { server in
            server.expectsErrors = true
            _ = try server.busClient()
            func errors(_ pipe: String) -> Int {
                server.errorLines.filter { $0.contains(pipe) }.count
            }
            for pipe in pipes { try shell("rm \(pipe) && touch \(pipe)", server) }
            try waitUntil("both are told") { pipes.allSatisfy { errors($0) > 0 } }
            try shell("rm \(pipes[1])", server)
            // By a later look, which also met the first.
            try waitUntil("the second is back") {
                server.log.contains("\(pipes[1]) was replaced; using the new one")
            }
            #expect(errors(pipes[0]) == 1)
            try shell("rm \(pipes[0])", server)
        }
    }

    @Test func `a line that names one channel too many kept the lines beside it waiting`() throws {
        let directory = try TestDirectory()
        let pipe = directory.file("bus.pipe")
        let settings = HoldfastServer.open + "[limits]\nchannels = 2\n[pipe \(pipe)]\n"
        try HoldfastServer.withBus(settings) { server in
            try server.publish("a", "0")
            try server.publish("b", "0")
            let file = open(pipe, O_RDWR)
            defer { close(file) }
            let lines = "a\t1\nc\t2\nb\t3\nd\t4\na\t5\n"
            _ = write(file, lines, lines.utf8.count)
            try waitUntil("all lines") {
                let metrics = try server.metrics()
                return metrics["holdfast_pipe_lines_total"] == 3
                    && metrics["holdfast_pipe_refusals_total"] == 2
            }
            let messages = try server.get("/push/a,b?since=first").json["messages"].array
            #expect(messages.compactMap { $0["data"].string } == ["0", "0", "1", "3", "5"])
            #expect(server.log.contains("reached its limit of channels"))
        }
    }
}
