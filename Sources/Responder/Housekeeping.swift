/// When the loop checks what no event reports, and returns memory to the system.
struct Housekeeping {
    /// Monotonic milliseconds of the next look at peers that stopped in the middle.
    private(set) var dueAt: Int64 = 0
    var memory = FreeMemory()

    private static let periodMilliseconds: Int64 = 250

    /// A look is taken.
    mutating func looked(now: Int64) { dueAt = now + Self.periodMilliseconds }
}
