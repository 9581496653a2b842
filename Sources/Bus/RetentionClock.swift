/// The time that retention, time to live, quotas and idempotency go by, in milliseconds.
///
/// These promises are about elapsed time, so this clock follows the boot-time clock, which runs evenly, even while the
/// machine is suspended, and not the wall clock, which people and NTP set. The log stores what it showed at one moment,
/// and all processes of a boot count from there: it is one clock for all and never goes back. Only across a boot does
/// the wall clock say how much time has passed; if it was set back meanwhile, none.
///
/// A new log's clock begins with the wall clock's time, and as a rule they agree.
package struct RetentionClock: Sendable {
    /// Drift and slewing of the wall clock up to this are ignored.
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
    ///   - kept: the moment that the log has stored; zeros in a new log.
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
