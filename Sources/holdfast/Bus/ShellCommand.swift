internal import BusClient
internal import CLinux
internal import FoundationEssentials
internal import Glibc
internal import Reactor

/// A command that /bin/sh runs, with bytes on its standard input.
///
/// This replaces Foundation's Process, which leaves a socket of its own open in the command.
struct ShellCommand {
    enum Outcome: Equatable {
        case exited(Int32)
        case killed(Int32)
    }

    let text: String

    /// Runs it to its end. Its input is a file in memory, so a command that does not read it blocks nobody.
    ///
    /// - Parameter variables: set in its environment, or unset if nil, in addition to our own.
    func run(input: [UInt8], variables: [(name: String, value: String?)]) throws -> Outcome {
        let file = OwnedDescriptor(
            try SystemCalls.check(
                unsafe memfd_create("message", 1 /* MFD_CLOEXEC */),
                "make",
                on: "a file in memory"
            )
        )
        guard SystemCalls.writeAll(file.number, input) else {
            throw SystemError("write", on: "a file in memory", code: errno)
        }
        lseek(file.number, 0, SEEK_SET)
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        // The copy lacks the flag that would close it.
        unsafe posix_spawn_file_actions_adddup2(&actions, file.number, 0)
        // Our own environment is not changed: another thread may be reading it.
        let kept = ProcessInfo.processInfo.environment.filter { own in
            !variables.contains { $0.name == own.key }
        }
        let environment =
            kept.map { "\($0.key)=\($0.value)" }
            + variables.compactMap { variable in variable.value.map { "\(variable.name)=\($0)" } }
        var words = unsafe Self.copies(["/bin/sh", "-c", text])
        var settings = unsafe Self.copies(environment)
        defer { unsafe (words + settings).forEach { unsafe free($0) } }
        var child: pid_t = 0
        let code = unsafe posix_spawn(&child, "/bin/sh", &actions, nil, &words, &settings)
        guard code == 0 else { throw SystemError("run", on: "/bin/sh", code: code) }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal)
    }

    /// C strings with a final nil, for execve(2).
    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        unsafe texts.map { unsafe strdup($0) } + [nil]
    }
}
