/// Why a responder runs, and until when.
struct Lifetime {
    /// The only client, which waits until the log is open.
    private struct OneClient {
        var descriptor: Int32?
    }

    /// A shutdown in progress.
    struct Shutdown {
        /// Monotonic milliseconds by which it ends, and when it leaves the content of the pipes to other processes.
        let deadline: Int64
        var leavesPipesAt: Int64?
        /// Of the next look at the pipes.
        var looksAt = Int64.max
    }

    private var client: OneClient?
    var shutdown: Shutdown?

    init(_ role: Responder.Role) {
        if case .oneClient(let descriptor) = role { client = OneClient(descriptor: descriptor) }
    }

    var isService: Bool { client == nil }

    var isStopping: Bool { shutdown != nil }

    /// Monotonic milliseconds when the process may have stopped without an event.
    var alarm: Int64 { shutdown.map { min($0.deadline, $0.looksAt) } ?? .max }

    /// The connected socket of the only client, the first time.
    mutating func takeClient() -> Int32? { client?.descriptor.take() }

    /// - Parameter hasConnections: whether any connection is open.
    func isOver(hasConnections: Bool, now: Int64) -> Bool {
        if let shutdown { return !hasConnections || now >= shutdown.deadline }
        return client.map { $0.descriptor == nil && !hasConnections } ?? false
    }
}
