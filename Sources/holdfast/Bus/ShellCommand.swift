internal import BusClient
internal import CLinux
internal import Glibc
internal import Reactor

/// A command that /bin/sh runs, with bytes on its standard input.
///
/// Own code instead of Foundation's Process, which leaves a socket of its own open in the command.
struct ShellCommand {
    enum Outcome: Equatable {
        case exited(Int32)
        case killed(Int32)
    }

    let text: String

    /// Runs it to its end. Its input is a file in memory: one that does not read it keeps nobody waiting.
    ///
    /// - Parameter variables: set in its environment, or unset where nil, besides our own.
    func run(input: [UInt8], variables: [(name: String, value: String?)]) throws -> Outcome {
        let file = OwnedDescriptor(
            try SystemCalls.check(
                unsafe memfd_create("message", 1 /* MFD_CLOEXEC */),
                "make",
                on: "a file in memory"
            )
        )
        guard unsafe write(file.number, input, input.count) == input.count else {
            throw SystemError("write", on: "a file in memory", code: errno)
        }
        lseek(file.number, 0, SEEK_SET)
        for (name, value) in variables {
            // Ours is a command line's process, with one thread.
            if let value { unsafe setenv(name, value, 1) } else { unsafe unsetenv(name) }
        }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        // Without the flag that would close it.
        unsafe posix_spawn_file_actions_adddup2(&actions, file.number, 0)
        let words: [String] = ["/bin/sh", "-c", text]
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        let code = unsafe posix_spawn(&child, "/bin/sh", &actions, nil, &arguments, environ)
        guard code == 0 else { throw SystemError("run", on: "/bin/sh", code: code) }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal)
    }
}
