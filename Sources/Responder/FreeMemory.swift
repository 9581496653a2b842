internal import CLinux

/// Returns memory to the system some time after it became free; the allocator itself keeps it for ever.
struct FreeMemory {
    /// Monotonic milliseconds of the next look; `.max`: nothing has become free.
    private(set) var alarm = Int64.max
    /// Bytes that were free at the last look.
    private var freeBefore = 0

    private static let delayMilliseconds: Int64 = 2000
    private static let worthGivingBack = 16 * 1024 * 1024

    /// Records that memory became free.
    mutating func freed(now: Int64) { alarm = min(alarm, now + Self.delayMilliseconds) }

    mutating func turn(now: Int64) {
        guard now >= alarm else { return }
        alarm = .max
        let free = clinux_free_bytes()
        // Memory that is used again was needed; memory that the system already has back is not counted again.
        freeBefore = min(freeBefore, free)
        guard free - freeBefore >= Self.worthGivingBack else { return }
        clinux_give_back()
        freeBefore = free
    }
}
