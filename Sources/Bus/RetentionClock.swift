/// The time that retention, time to live, quotas and idempotency go by, in milliseconds.
///
/// Their promises are about time that passes, so that this clock counts that and nothing else: by the boot-time clock,
/// which runs evenly, also while the machine is suspended, and never by the wall clock, which people and NTP set. What
/// it showed at some moment is kept in the log, and all processes of a boot count from there, so that it is one clock
/// for all and never goes back. Only across a boot has the wall clock to tell how much time has gone by; one that was
/// set back meanwhile tells of none.
///
/// A new log's clock begins with the wall clock's time, and as a rule they agree.
package struct RetentionClock: Sendable {
    /// A wall clock is slewed, and drifts, by so much without anybody's note.
    package static let toleranceMilliseconds: Int64 = 1000

    /// What the three clocks showed at one moment.
    package struct Moment: Equatable, Sendable {
        package var milliseconds: Int64
        package var bootMilliseconds: Int64
        package var wallMilliseconds: Int64

        package init(milliseconds: Int64, bootMilliseconds: Int64, wallMilliseconds: Int64) {
            self.milliseconds = milliseconds
            self.bootMilliseconds = bootMilliseconds
            self.wallMilliseconds = wallMilliseconds
        }
    }

    private let start: (milliseconds: Int64, bootMilliseconds: Int64)

    /// - Parameters:
    ///   - kept: what was kept in the log; zeros in a new one.
    ///   - isOfThisBoot: whether that was since the machine was started.
    package init(
        kept: Moment,
        isOfThisBoot: Bool,
        wallMilliseconds: Int64,
        bootMilliseconds: Int64
    ) {
        if isOfThisBoot, kept.bootMilliseconds <= bootMilliseconds {
            start = (kept.milliseconds, kept.bootMilliseconds)
        } else {
            let elapsed = max(0, wallMilliseconds - kept.wallMilliseconds)
            start = (kept.milliseconds + elapsed, bootMilliseconds)
        }
    }

    package func milliseconds(bootMilliseconds: Int64) -> Int64 {
        start.milliseconds + max(0, bootMilliseconds - start.bootMilliseconds)
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
