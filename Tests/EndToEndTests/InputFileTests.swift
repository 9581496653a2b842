import Glibc
import Harness
import Testing

/// What stands in the place of a file that is small by its purpose, and what a command says of it at once.
@Suite struct InputFileTests {
    /// Something at a path of its own that is no ini file, and what is said of it.
    enum Thing: String, CaseIterable {
        case namedPipe = "is not a file but a named pipe"
        case directory = "is not a file but a directory"
        case socket = "is not a file but a socket"
        case device = "is not a file but a device"
        case huge = "has more than 1048576 bytes"
        case missing = "cannot be read: No such file or directory"

        func make(in directory: TestDirectory) throws -> String {
            let path = directory.file("thing")
            switch self {
            case .namedPipe: #expect(mkfifo(path, 0o600) == 0)
            case .directory: _ = try directory.makeDirectory("thing")
            case .socket: #expect(mknod(path, S_IFSOCK | 0o600, 0) == 0)
            case .device: #expect(symlink("/dev/zero", path) == 0)
            case .huge:
                try directory.write("", to: "thing")
                // All of it is a hole, in which there is no end of a line.
                #expect(truncate(path, 1 << 40) == 0)
            case .missing: break
            }
            return path
        }
    }

    private func run(_ directory: TestDirectory, _ arguments: [String]) throws -> (
        exit: ChildProcess.Exit, output: [UInt8], error: String
    ) {
        try ChildProcess.run(try Place.holdfast, arguments, directory: directory)
    }

    @Test(arguments: Thing.allCases)
    func `a command waited for the end of what is no ini file`(thing: Thing) throws {
        let directory = try TestDirectory()
        let path = try thing.make(in: directory)
        let sentence = "\(path): \(thing.rawValue); give the ini file with --config FILE\n"
        for (arguments, status) in [
            (["check"], 1), (["check", "--elsewhere"], 1), (["serve"], 78), (["sign", "a"], 78),
            (["token", "x.y.z"], 78), (["pub", "a", "x"], 78), (["log", "new-epoch"], 78),
            (["engine", "status"], 78),
        ] as [([String], Int32)] {
            let said = try run(directory, arguments + ["--config", path])
            #expect(said.exit == .exited(status), "\(arguments)")
            #expect(said.error.hasPrefix(sentence), "\(arguments): \(said.error)")
        }
    }

    @Test func `an ini file may come from a pipe that the caller has opened`() throws {
        let directory = try TestDirectory()
        func shell(_ script: String) throws -> (ChildProcess.Exit, String) {
            let run = try ChildProcess.run(
                "/bin/bash",
                ["-c", script],
                directory: directory,
                environment: ["HOLDFAST": try Place.holdfast, "PATH": "/usr/bin:/bin"]
            )
            return (run.exit, run.error)
        }
        let text = "[hold]\\nmax_wait = 7s\\n"
        for script in [
            "printf '\(text)' | \"$HOLDFAST\" check --elsewhere --print -c /dev/stdin | grep 'max_wait = 7s'",
            "\"$HOLDFAST\" check --elsewhere --print -c <(sleep 0.1; printf '\(text)') | grep 'max_wait = 7s'",
            "\"$HOLDFAST\" check --elsewhere --print -c /dev/null",
        ] { #expect(try shell(script).0 == .exited(0), "\(script)") }
        // Otherwise a reload would close all that the first reading had opened.
        let (exit, error) = try shell("true | \"$HOLDFAST\" check -c /dev/stdin")
        #expect(exit == .exited(1))
        #expect(error.contains("/dev/stdin: is a pipe that has ended"))
    }

    @Test(arguments: [Thing.namedPipe, .directory, .socket, .device])
    func `sub waited for the end of what is no cursor file`(thing: Thing) throws {
        try HoldfastServer.withBus { server in
            let path = try thing.make(in: server.directory)
            let run = try server.command("sub", "a", "--count", "1", "--cursor-file", path)
            #expect(run.exit == .exited(78))
            #expect(run.error.contains("\(path) \(thing.rawValue); remove it"))
        }
    }

    @Test(arguments: [Thing.namedPipe, .directory, .socket, .device])
    func `what is no file is not taken for a key`(thing: Thing) throws {
        let directory = try TestDirectory()
        let path = try thing.make(in: directory)
        let ini = try directory.write("[key web]\nsecret_file = \(path)\n", to: "holdfast.ini")
        let said = try run(directory, ["sign", "--config", ini, "a"])
        #expect(said.exit == .exited(78))
        #expect(said.error.contains("\(path) \(thing.rawValue)"))
    }

    @Test func `a key's file that is too long is not read to its end`() throws {
        let directory = try TestDirectory()
        let path = try directory.write("", to: "web.secret")
        #expect(truncate(path, 1 << 40) == 0 && chmod(path, 0o640) == 0)
        let ini = try directory.write("[key web]\nsecret_file = \(path)\n", to: "holdfast.ini")
        let said = try run(directory, ["sign", "--config", ini, "a"])
        #expect(said.exit == .exited(78))
        #expect(said.error.contains("\(path) has more than 16384 bytes"))
    }

    @Test func `token read a file without an end to its end`() throws {
        let directory = try TestDirectory()
        let ini = try directory.write("", to: "holdfast.ini")
        let run = try ChildProcess.run(
            "/bin/sh",
            ["-c", "\"$HOLDFAST\" token -c '\(ini)' </dev/zero"],
            directory: directory,
            environment: ["HOLDFAST": try Place.holdfast]
        )
        #expect(run.exit == .exited(1))
        #expect(String(decoding: run.output, as: UTF8.self).contains("refused (token_too_large)"))
    }
}
