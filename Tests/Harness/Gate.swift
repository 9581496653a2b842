internal import Glibc

/// The gate of a bus: a lock on its directory, inside which each process writes to the log.
package enum Gate {
    /// Stops a process at a moment when it is not inside the gate, where it would keep all others out.
    ///
    /// - Parameter directory: the bus directory.
    package static func stopOutside(_ directory: String, process: Int32) throws {
        let gate = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard gate >= 0 else { throw HarnessError.system("open \(directory)") }
        defer { close(gate) }
        try waitUntil("process \(process) is stopped outside the gate") {
            kill(process, SIGSTOP)
            try waitUntil("process \(process) is stopped") { isStopped(process) }
            guard flock(gate, LOCK_EX | LOCK_NB) == 0 else {
                kill(process, SIGCONT)
                return false
            }
            flock(gate, LOCK_UN)
            return true
        }
    }

    /// Whether all threads are stopped, by their states in proc(5).
    private static func isStopped(_ process: Int32) -> Bool {
        let threads = Files.names(in: "/proc/\(process)/task")
        return !threads.isEmpty
            && threads.allSatisfy {
                Files.text("/proc/\(process)/task/\($0)/stat").split(separator: ")").last?
                    .hasPrefix(" T") == true
            }
    }
}
