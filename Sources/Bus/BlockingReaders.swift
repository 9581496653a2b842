/// Which processes keep the write-ahead log from being restarted, so that they can be named once. Pure.
///
/// Many processes read for a moment. Those that were reading at each blocked attempt of a second are to blame.
struct BlockingReaders {
    private static let patienceMilliseconds: Int64 = 1000

    /// The processes that were named, until nothing is blocked any more.
    private var named: Set<LockHolder> = []
    /// Those that were reading at each attempt since then, in monotonic milliseconds.
    private var suspects: Set<LockHolder> = []
    private var suspectedSince: Int64 = 0
    private var blockedSince: Int64?

    /// Whether none have been named since attempts have been blocked.
    var areSought: Bool { named.isEmpty }

    /// An attempt was blocked while these processes were reading.
    ///
    /// - Parameter since: monotonic milliseconds since when attempts have been blocked.
    /// - Returns: the processes to be named now, if any.
    mutating func wereReading(
        _ readers: Set<LockHolder>,
        blockedSince since: Int64,
        now: Int64
    ) -> Set<LockHolder> {
        let left = since == blockedSince ? suspects.intersection(readers) : []
        blockedSince = since
        // One reader may have given way to another.
        if left.isEmpty { suspectedSince = now }
        suspects = left.isEmpty ? readers : left
        if now >= suspectedSince + Self.patienceMilliseconds { named = suspects }
        return named
    }

    /// Nothing is blocked any more.
    ///
    /// - Returns: the processes that were named.
    mutating func unblocked() -> Set<LockHolder> {
        defer { named = [] }
        return named
    }
}
