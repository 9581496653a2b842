internal import Foundation
internal import Synchronization

/// One process that a test started; it does not outlive this object.
///
/// Standard error, and standard output unless it is a pipe, go to files in the test's directory.
package final class ChildProcess {
    package enum Exit: Equatable, CustomStringConvertible {
        case exited(Int32)
        case killed(Int32)

        package var description: String {
            switch self {
            case .exited(let status): "exited with \(status)"
            case .killed(let signal): "killed by signal \(signal)"
            }
        }
    }

    /// What the child has as standard input or output.
    package enum Stream {
        /// /dev/null for input, a file for output.
        case standard
        /// The other end is `input` or `output`.
        case pipe
        /// A descriptor of ours, which stays open here.
        case descriptor(Int32)
    }

    package let pid: Int32
    package let name: String
    package let outputFile: String
    package let errorFile: String
    /// Ours to write to, with `.pipe`; -1 otherwise.
    package private(set) var input: Int32 = -1
    /// Ours to read from, with `.pipe`; -1 otherwise.
    package private(set) var output: Int32 = -1
    private var exit: Exit?
    private let hasOwnGroup: Bool

    /// Descriptors are made and handed on under one lock, so that no child of another test inherits them.
    private static let spawning = Mutex(())

    /// - Parameters:
    ///   - name: of the files for its output in `directory`; those of an earlier process of this name are continued.
    ///   - environment: all of it; nil for this process's own.
    ///   - descriptors: further ones, by their number in the child.
    ///   - ownGroup: for programs with children of their own: all of them are ended with it.
    package init(
        _ executable: String,
        _ arguments: [String] = [],
        name: String,
        directory: TestDirectory,
        environment: [String: String]? = nil,
        input: Stream = .standard,
        output: Stream = .standard,
        descriptors: [Int32: Int32] = [:],
        ownGroup: Bool = false
    ) throws {
        self.name = name
        hasOwnGroup = ownGroup
        outputFile = directory.file("\(name).out")
        errorFile = directory.file("\(name).err")
        let environment = environment ?? ProcessInfo.processInfo.environment

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The test process may ignore or block signals; children begin as from a shell.
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        var flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        if ownGroup { flags |= POSIX_SPAWN_SETPGROUP }
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var passed: [Int32] = []
        defer { for descriptor in passed { close(descriptor) } }
        var (ours, theirs) = ((input: Int32(-1), output: Int32(-1)), pid_t(0))
        let (outputFile, errorFile) = (outputFile, errorFile)
        let outcome = Self.spawning.withLock { _ -> Int32 in
            /// A copy far above the numbers that the child is given.
            func pass(_ descriptor: Int32, as number: Int32, closing: Bool) {
                let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 64)
                if closing { close(descriptor) }
                passed.append(copy)
                posix_spawn_file_actions_adddup2(&actions, copy, number)
            }
            func pipe() -> (read: Int32, write: Int32) {
                var ends: [Int32] = [-1, -1]
                Glibc.pipe(&ends)
                for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
                return (ends[0], ends[1])
            }
            switch input {
            case .standard:
                pass(open("/dev/null", O_RDONLY | O_CLOEXEC), as: 0, closing: true)
            case .pipe:
                let ends = pipe()
                ours.input = ends.write
                pass(ends.read, as: 0, closing: true)
            case .descriptor(let descriptor): pass(descriptor, as: 0, closing: false)
            }
            let append = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC
            switch output {
            case .standard: pass(open(outputFile, append, 0o644), as: 1, closing: true)
            case .pipe:
                let ends = pipe()
                ours.output = ends.read
                pass(ends.write, as: 1, closing: true)
            case .descriptor(let descriptor): pass(descriptor, as: 1, closing: false)
            }
            pass(open(errorFile, append, 0o644), as: 2, closing: true)
            for (number, descriptor) in descriptors { pass(descriptor, as: number, closing: false) }

            var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
            var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") }
            argv.append(nil)
            envp.append(nil)
            defer { for text in argv + envp { free(text) } }
            return posix_spawn(&theirs, executable, &actions, &attributes, argv, envp)
        }
        pid = theirs
        (self.input, self.output) = ours
        guard outcome == 0 else {
            exit = .exited(127)
            throw HarnessError("cannot start \(executable): \(String(cString: strerror(outcome)))")
        }
    }

    deinit {
        closeInput()
        if output >= 0 { close(output) }
        // First as it should end, so that it ends its own children; a test that failed comes by here.
        signal(SIGTERM)
        if (try? wait(seconds: 5)) != nil { return }
        signal(SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    package var running: Bool { exitNow() == nil }

    /// How it ended, if it has.
    package func exitNow() -> Exit? {
        if let exit { return exit }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        let signal = status & 0x7F
        exit = signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal)
        return exit
    }

    @discardableResult
    package func wait(seconds: Double = Deadline.patienceSeconds) throws -> Exit {
        try waitFor("\(name) (pid \(pid)) ends", seconds: seconds) { exitNow() }
    }

    package func signal(_ number: Int32) {
        guard running else { return }
        kill(hasOwnGroup ? -pid : pid, number)
    }

    package func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    package func closeOutput() {
        if output >= 0 { close(output) }
        output = -1
    }

    package func write(_ text: String) throws {
        try StreamSocket.write(Array(text.utf8), to: input)
    }

    /// The next line of an output that is a pipe, without its end; nil at the end.
    package func readLine(seconds: Double = Deadline.patienceSeconds) throws -> String? {
        let bytes = try readUntil(UInt8(ascii: "\n"), seconds: seconds)
        return bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// What stands before the next `end` byte of an output that is a pipe; nil at the end of it.
    package func readUntil(
        _ end: UInt8,
        seconds: Double = Deadline.patienceSeconds
    ) throws -> [UInt8]? {
        let deadline = Deadline(seconds: seconds)
        while true {
            if let at = unread.firstIndex(of: end) {
                defer { unread.removeSubrange(...at) }
                return Array(unread[..<at])
            }
            guard let more = try StreamSocket.read(output, deadline: deadline), !more.isEmpty else {
                return nil
            }
            unread.append(contentsOf: more)
        }
    }

    private var unread: [UInt8] = []

    package var errorText: String { Files.text(errorFile) }
    package var outputText: String { Files.text(outputFile) }
    package var outputBytes: [UInt8] { Files.bytes(outputFile) }

    /// How many descriptors it has open.
    package var openDescriptors: Int { Files.names(in: "/proc/\(pid)/fd").count }

    /// CPU time it has used, user and system.
    package var processorSeconds: Double {
        let fields =
            Files.text("/proc/\(pid)/stat").split(separator: ")").last?
            .split(separator: " ") ?? []
        guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12])
        else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// What each of them is: a path, or the kind of a socket.
    package var descriptorTargets: [String] {
        Files.names(in: "/proc/\(pid)/fd").compactMap { name in
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(name)")
        }.sorted()
    }

    /// Runs a program to its end.
    @discardableResult
    package static func run(
        _ executable: String,
        _ arguments: [String],
        directory: TestDirectory,
        environment: [String: String]? = nil
    ) throws -> (exit: Exit, output: [UInt8], error: String) {
        let name = "run-\(runs.withLock { $0 += 1; return $0 })"
        let child = try ChildProcess(
            executable,
            arguments,
            name: name,
            directory: directory,
            environment: environment
        )
        let exit = try child.wait()
        return (exit, child.outputBytes, child.errorText)
    }

    private static let runs = Mutex(0)
}
