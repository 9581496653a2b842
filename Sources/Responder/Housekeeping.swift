/// When the loop looks after what no event tells of, and memory that became free.
struct Housekeeping {
    /// Monotonic milliseconds of the next look at peers that stopped in the middle.
    private(set) var dueAt: Int64 = 0
    var memory = FreeMemory()

    private static let periodMilliseconds: Int64 = 250

    /// Whether it is time for a look, which counts as taken then.
    mutating func isDue(now: Int64) -> Bool {
        guard now >= dueAt else { return false }
        dueAt = now + Self.periodMilliseconds
        return true
    }
}
