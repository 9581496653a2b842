internal import BusClient
internal import CLinux
internal import Glibc
internal import System

/// A command that /bin/sh runs, with bytes on its standard input.
///
/// This replaces Foundation's Process, which leaves a socket of its own open in the command.
struct ShellCommand {
    let text: String

    /// Runs it to its end. Its input is a file in memory, so a command that does not read it blocks nothing.
    ///
    /// - Parameter variables: set in its environment, or unset if nil, in addition to our own.
    func run(
        input: [UInt8],
        variables: [(name: String, value: String?)]
    ) throws(SystemError) -> ChildProcess.End {
        let file = try OwnedDescriptor.inMemory("message", input)
        // Our own environment is not changed: another thread may be reading it.
        let kept = EnvironmentVariable.all.filter { own in
            !variables.contains { own.hasPrefix("\($0.name)=") }
        }
        let environment =
            kept
            + variables.compactMap { variable in variable.value.map { "\(variable.name)=\($0)" } }
        let child = try ChildProcess(
            "/bin/sh",
            ["-c", text],
            environment: environment,
            descriptors: [(file.number, 0)]
        )
        return child.wait()
    }
}
