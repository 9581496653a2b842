internal import CLinux
internal import Glibc

/// A program that runs as a child of this process.
package struct ChildProcess {
    package enum End: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    package let number: Int32

    /// Starts a program; a name without a slash is looked up in PATH.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - environment: `NAME=value` each; nil: that of this process.
    ///   - descriptors: ours, with their numbers in the child; all others that are close-on-exec are closed there.
    package init(
        _ program: String,
        _ arguments: [String],
        environment: [String]? = nil,
        descriptors: [(ours: Int32, theirs: Int32)]
    ) throws(SystemError) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (ours, theirs) in descriptors {
            // The copy lacks the flag that would close it.
            unsafe posix_spawn_file_actions_adddup2(&actions, ours, theirs)
        }
        // Signals that this process takes in its own way reach the child in the ordinary one.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words = unsafe Self.copies([program] + arguments)
        var variables = unsafe environment.map { unsafe Self.copies($0) } ?? []
        defer { unsafe (words + variables).forEach { unsafe free($0) } }
        var child: pid_t = 0
        let code =
            unsafe variables.isEmpty
            ? posix_spawnp(&child, program, &actions, &attributes, &words, environ)
            : posix_spawnp(&child, program, &actions, &attributes, &words, &variables)
        guard code == 0 else { throw SystemError("run", on: program, code: code) }
        number = child
    }

    /// Ends it at once, unless it has ended.
    package func kill() { Glibc.kill(number, SIGKILL) }

    /// Waits for its end. Call it only once: afterwards the number may belong to another process.
    package func wait() -> End {
        var status: Int32 = 0
        while unsafe waitpid(number, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
    }

    /// The same without waiting: nil while it runs.
    package func endIfEnded() -> End? {
        var status: Int32 = 0
        guard unsafe waitpid(number, &status, WNOHANG) == number else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
    }

    /// C strings with a final nil, for execve(2).
    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        unsafe texts.map { unsafe strdup($0) } + [nil]
    }
}
