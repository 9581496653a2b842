/// When the loop checks what no event reports, and returns memory to the system.
struct Housekeeping {
    /// Monotonic milliseconds of the next look at peers that stopped in the middle.
    private(set) var dueAt: Int64 = 0
    private var memory = FreeMemory()

    private static let periodMilliseconds: Int64 = 250

    /// A look is taken.
    mutating func looked(now: Int64) { dueAt = now + Self.periodMilliseconds }

    // MARK: Memory

    /// Monotonic milliseconds when memory may be returned; `.max`: none has become free.
    var memoryAlarm: Int64 { memory.alarm }

    /// Memory has become free.
    mutating func freed(now: Int64) { memory.freed(now: now) }

    /// Returns free memory to the system, if it is time.
    mutating func giveBack(now: Int64) { memory.turn(now: now) }
}
