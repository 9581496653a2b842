/// The time that retention, time to live and idempotency go by, in milliseconds since 1970.
///
/// Follows the wall clock as long as that runs evenly. A wall clock that jumps forwards (or was wrong before) trims
/// nothing: this clock runs twice as fast until it has caught up. One that jumps backwards is followed at once,
/// which only lets messages live longer. Evenness is measured on the boot-time clock, which counts suspension too.
package struct RetentionClock: Equatable, Sendable {
    /// A wall clock is slewed by up to a second without that being a jump.
    private static let toleranceMilliseconds: Int64 = 1000

    package private(set) var milliseconds: Int64
    private var bootMilliseconds: Int64

    /// - Parameter last: what this clock and the boot-time clock showed earlier since the same boot, so that a jump
    ///   between two runs of the process counts as a jump as well; nil at the first opening after a boot.
    package init(
        wallMilliseconds: Int64,
        bootMilliseconds: Int64,
        last: (milliseconds: Int64, bootMilliseconds: Int64)? = nil
    ) {
        self.milliseconds = wallMilliseconds
        self.bootMilliseconds = bootMilliseconds
        if let last, last.bootMilliseconds <= bootMilliseconds {
            self.milliseconds = last.milliseconds
            self.bootMilliseconds = last.bootMilliseconds
            _ = advance(wallMilliseconds: wallMilliseconds, bootMilliseconds: bootMilliseconds)
        }
    }

    /// Moves the clock to now. Returns whether the wall clock is ahead and is being caught up with.
    package mutating func advance(wallMilliseconds: Int64, bootMilliseconds: Int64) -> Bool {
        let elapsed = max(0, bootMilliseconds - self.bootMilliseconds)
        self.bootMilliseconds = max(bootMilliseconds, self.bootMilliseconds)
        let even = milliseconds + elapsed
        if wallMilliseconds <= even + Self.toleranceMilliseconds {
            milliseconds = wallMilliseconds
            return false
        }
        milliseconds = min(wallMilliseconds, even + elapsed)
        return milliseconds < wallMilliseconds
    }
}

/// Where the log takes the time from; tests give their own.
package struct LogClocks: Sendable {
    /// Milliseconds since 1970.
    package var wall: @Sendable () -> Int64
    /// Milliseconds since boot, also while suspended.
    package var sinceBoot: @Sendable () -> Int64
    /// Differs from boot to boot; at most 40 bytes.
    package var bootName: String

    package init(
        wall: @escaping @Sendable () -> Int64,
        sinceBoot: @escaping @Sendable () -> Int64,
        bootName: String
    ) {
        self.wall = wall
        self.sinceBoot = sinceBoot
        self.bootName = bootName
    }
}
