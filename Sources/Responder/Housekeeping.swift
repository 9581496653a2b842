/// When the loop checks what no event reports, and returns memory to the system.
struct Housekeeping {
    /// Monotonic milliseconds of the next look at peers that stopped in the middle.
    private(set) var dueAt: Int64 = 0
    var memory = FreeMemory()

    private static let periodMilliseconds: Int64 = 250

    /// Whether it is time for a look; if so, the look counts as taken.
    mutating func isDue(now: Int64) -> Bool {
        guard now >= dueAt else { return false }
        dueAt = now + Self.periodMilliseconds
        return true
    }
}
