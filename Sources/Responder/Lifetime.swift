/// Why a responder runs, and until when.
struct Lifetime {
    /// The only client, which waits until the log is open.
    private struct OneClient {
        var descriptor: Int32?
    }

    /// A shutdown in progress.
    private struct Shutdown {
        /// Monotonic milliseconds by which it ends, and when it leaves the content of the pipes to other processes.
        let deadline: Int64
        var leavesPipesAt: Int64?
        /// Of the next look at the pipes.
        var looksAt = Int64.max
    }

    private var client: OneClient?
    private var shutdown: Shutdown?

    /// For so long lines in the pipes are left to a process that may publish them.
    private static let pipeMilliseconds: Int64 = 500
    private static let lookMilliseconds: Int64 = 10

    init(_ role: Responder.Role) {
        if case .oneClient(let descriptor) = role { client = OneClient(descriptor: descriptor) }
    }

    var isService: Bool { client == nil }

    var isStopping: Bool { shutdown != nil }

    /// Monotonic milliseconds by which the process ends; nil unless it stops.
    var deadline: Int64? { shutdown?.deadline }

    /// Monotonic milliseconds when the process may have stopped without an event.
    var alarm: Int64 { shutdown.map { min($0.deadline, $0.looksAt) } ?? .max }

    /// The connected socket of the only client, the first time.
    mutating func takeClient() -> Int32? { client?.descriptor.take() }

    /// - Parameter hasConnections: whether any connection is open.
    func isOver(hasConnections: Bool, now: Int64) -> Bool {
        if let shutdown { return !hasConnections || now >= shutdown.deadline }
        return client.map { $0.descriptor == nil && !hasConnections } ?? false
    }

    // MARK: Stopping

    /// - Parameter deadline: monotonic milliseconds.
    mutating func stop(by deadline: Int64) { shutdown = Shutdown(deadline: deadline) }

    /// Lines are left in the pipes, which another process may publish.
    ///
    /// - Returns: whether to wait for that any longer.
    mutating func waitForPipes(now: Int64) -> Bool {
        let end = shutdown?.leavesPipesAt ?? now + Self.pipeMilliseconds
        shutdown?.leavesPipesAt = end
        shutdown?.looksAt = min(end, now + Self.lookMilliseconds)
        return now < end
    }

    /// This process publishes what is left in the pipes.
    mutating func publishesPipes() { shutdown?.looksAt = .max }
}
