import Channels
import Text

/// Notices that another process follows the site under the id of this machine, as on a copy of the machine's disk.
///
/// Of one machine, only one process follows at a time, and a later one has another name. So once this one has reported,
/// it should be the one that reported before. Now and then it is not, where a failover took a report away.
struct TwinWatch {
    private static let memoryMilliseconds: Int64 = 60_000

    /// The name of this process.
    let own = String.randomName()
    private var hasReported = false
    private var strangerAt: Int64?
    private var notices = Throttle(milliseconds: 3_600_000)

    /// This process has reported, after the one of that name; returns whether a twin is to be reported, at most once an hour.
    mutating func reported(after former: String, now: Int64) -> Bool {
        defer { hasReported = true }
        guard hasReported, former != own else { return false }
        let isAgain = strangerAt.map { now - $0 < Self.memoryMilliseconds } ?? false
        strangerAt = now
        return isAgain && notices.passes(now: now)
    }
}
