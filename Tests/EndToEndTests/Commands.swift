import Harness

/// Programs that a test runs beside its server.
extension HoldfastServer {
    /// A server whose bus socket is there; the process that serves it also reads the pipes.
    static func withBus(
        _ settings: String = open,
        _ body: (HoldfastServer) throws -> Void
    ) throws {
        try with(settings) { server in
            _ = try server.busClient()
            try body(server)
        }
    }

    /// `holdfast` with these arguments, told where the server's ini file is.
    func start(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: ChildProcess.Stream = .standard,
        output: ChildProcess.Stream = .standard
    ) throws -> ChildProcess {
        try ChildProcess(
            try Place.holdfast,
            arguments,
            name: "\(arguments[0])-\(UInt32.random(in: 0...UInt32.max))",
            directory: directory,
            environment: ["HOLDFAST_INI": iniFile, "PATH": "/usr/bin:/bin"]
                .merging(environment) { $1 },
            input: input,
            output: output
        )
    }

    /// The same to its end, with this text as its input.
    func command(
        _ arguments: String...,
        environment: [String: String] = [:],
        input: String = ""
    ) throws -> (exit: ChildProcess.Exit, output: String, error: String) {
        let child = try start(arguments, environment: environment, input: .pipe)
        try child.write(input)
        child.closeInput()
        let exit = try child.wait()
        return (exit, child.outputText, child.errorText)
    }

    /// A script for `sh`, in which `$HOLDFAST` is the program.
    func shell(_ script: String) throws -> (
        exit: ChildProcess.Exit, output: String, error: String
    ) {
        let run = try ChildProcess.run(
            "/bin/sh",
            ["-c", script],
            directory: directory,
            environment: [
                "HOLDFAST_INI": iniFile, "PATH": "/usr/bin:/bin", "HOLDFAST": try Place.holdfast,
            ]
        )
        return (run.exit, String(decoding: run.output, as: UTF8.self), run.error)
    }

    /// The data of all messages of a channel.
    func texts(_ channel: String) throws -> [String] {
        try get("/push/\(channel)?since=first").json["messages"].array
            .map { $0["data"].string ?? "\($0["data"])" }
    }
}
