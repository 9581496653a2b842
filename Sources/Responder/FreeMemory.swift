internal import CLinux

/// Gives memory back to the system some time after it has become free. The allocator keeps it otherwise, as if the crowd
/// that has gone would come again at once.
struct FreeMemory {
    /// Monotonic milliseconds of the next look; `.max`: nothing has become free.
    private(set) var alarm = Int64.max
    /// Bytes that were free at the last look.
    private var freeBefore = 0

    private static let delayMilliseconds: Int64 = 2000
    private static let worthGivingBack = 16 * 1024 * 1024

    /// Something has become free.
    mutating func freed(now: Int64) { alarm = min(alarm, now + Self.delayMilliseconds) }

    mutating func turn(now: Int64) {
        guard now >= alarm else { return }
        alarm = .max
        let free = clinux_free_bytes()
        // What is used again was wanted; what was free when it was given back is not counted again.
        freeBefore = min(freeBefore, free)
        guard free - freeBefore >= Self.worthGivingBack else { return }
        clinux_give_back()
        freeBefore = free
    }
}
