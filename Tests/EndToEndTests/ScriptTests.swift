internal import Foundation
import Glibc
import Harness
import Testing

@Suite struct ScriptTests {
    /// Some built everything first.
    @Test func `every script says what it does, at once`() throws {
        let directory = try TestDirectory()
        let scripts = "\(Place.root)/scripts"
        let names = try FileManager.default.contentsOfDirectory(atPath: scripts).sorted().filter {
            var isDirectory: ObjCBool = false
            let path = "\(scripts)/\($0)"
            return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
                && !isDirectory.boolValue && FileManager.default.isExecutableFile(atPath: path)
        }
        #expect(names.count >= 8)
        for name in names {
            // Without a PATH on which there is anything to build, install or measure with.
            let outcome = try ChildProcess.run(
                "/usr/bin/env",
                [
                    "-i", "PATH=/usr/bin:/bin", "HOME=\(directory.path)", "\(scripts)/\(name)",
                    "--help",
                ],
                directory: directory
            )
            let text = String(decoding: outcome.output, as: UTF8.self)
            #expect(outcome.exit == .exited(0), "\(name): \(outcome.error)")
            #expect(text.contains("scripts/\(name)"), "\(name): \(text)")
        }
    }

    /// "conf/chat.ini has problems" was said instead.
    @Test(arguments: ["run", "package", "torture", "matrix", "soak", "manual", "bench"])
    func `a program that is none is named`(script: String) throws {
        let directory = try TestDirectory()
        for path in ["/nosuch", "/etc/passwd", "/tmp"] {
            let outcome = try ChildProcess.run(
                "\(Place.root)/scripts/\(script)",
                ["--holdfast", path],
                directory: directory
            )
            #expect(outcome.exit == .exited(1))
            #expect(
                outcome.error
                    == "\(script): \(path) is no program: no such file, or not executable\n"
            )
        }
    }

    @Test func `derive left recipes open to every address`() throws {
        let directory = try TestDirectory()
        for name in Files.names(in: "\(Place.root)/conf/recipes") where name.hasPrefix("nginx") {
            let outcome = try ChildProcess.run(
                "\(Place.root)/scripts/derive",
                ["recipes/\(name)", "--directory", directory.path, "--port", "12345"],
                directory: directory
            )
            let text = String(decoding: outcome.output, as: UTF8.self)
            #expect(text.contains("listen 127.0.0.1:12345 "), "\(name)")
            #expect(!text.contains("0.0.0.0"), "\(name)")
        }
    }

    @Test func `derive wrote configurations that name a path with blanks`() throws {
        let directory = try TestDirectory()
        func derive(_ options: String...) throws -> (exit: ChildProcess.Exit, error: String) {
            let outcome = try ChildProcess.run(
                "\(Place.root)/scripts/derive",
                options + ["--directory", directory.path],
                directory: directory
            )
            return (outcome.exit, outcome.error)
        }
        for name in ["a b", "it's", "\"", "$HOME", "a#b", "a;b", "{a}", "a\\b", "100%", "*"] {
            let refused = try derive("nginx.conf", "--socket", "/tmp/\(name)")
            #expect(
                refused.exit == .exited(1) && refused.error.contains("cannot name '/tmp/\(name)'")
            )
            #expect(try derive("chat.ini", "--bus", "/tmp/\(name)").exit == .exited(0))
        }
        #expect(try derive("nginx.conf", "--socket", "/tmp/a-b_c.D,e+f@g:h=é~").exit == .exited(0))
    }

    /// A row of the matrix spoke to another's server.
    @Test func `two servers of a script were given one port`() throws {
        let directory = try TestDirectory()
        let script = """
            import socket
            from place import reserve_ports
            ports = reserve_ports(200)
            assert len(set(ports)) == 200
            for _ in range(3000):
                with socket.create_server(("127.0.0.1", 0)) as other:
                    assert other.getsockname()[1] not in ports
            # As web servers bind.
            with socket.create_server(("127.0.0.1", ports[0])):
                pass
            """
        let outcome = try ChildProcess.run(
            "/usr/bin/python3",
            ["-c", script],
            directory: directory,
            environment: ["PYTHONPATH": "\(Place.root)/scripts/pylib"]
        )
        #expect(outcome.exit == .exited(0), "\(outcome.error)")
    }

    /// The quick start of README, with a program that is built already.
    @Test(
        .enabled(if: Tool.usable(.nginx), "nginx is not installed"),
        arguments: ["scratch", "my $files"]
    )
    func `scripts run starts a site, prints its address, and leaves nothing behind`(
        scratchName: String
    ) throws {
        let directory = try TestDirectory()
        let scratch = try directory.makeDirectory(scratchName)
        let child = try ChildProcess(
            "\(Place.root)/scripts/run",
            ["--port", "\(try Ports.free())", "--holdfast", try Place.holdfast],
            name: "run",
            directory: directory,
            environment: ["TMPDIR": scratch, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
        )
        let address = try waitFor("the address of the chat") {
            if let exit = child.exitNow() { throw HarnessError("\(exit): \(child.errorText)") }
            return child.outputText.split(separator: " ").first { $0.hasSuffix("/push/-/chat") }
        }
        let port = try #require(address.split(separator: ":")[1...].last?.prefix { $0 != "/" })
        let answer = try HTTPClient.exchange("GET", "/push/-/chat", port: #require(UInt16(port)))
        #expect(answer.status == 200)
        child.signal(SIGTERM)
        #expect(try child.wait() == .exited(0), "\(child.errorText)")
        #expect(Files.names(in: scratch) == [])
    }
}
