internal import Bus
internal import Channels
internal import Core
internal import System

/// The time, read once a turn, and how far the log had been committed when that was last read.
struct TurnClock {
    /// Monotonic milliseconds.
    private(set) var now = MonotonicClock.milliseconds()
    /// The clock of retention.
    private var retentionNow: Int64 = 0
    private var committedHead: Offset?

    /// Before any event of a turn: deadlines are computed from here, and the wait may have been long.
    mutating func begin(_ log: Log) {
        now = MonotonicClock.milliseconds()
        retentionNow = log.retentionMilliseconds()
    }

    /// The moment of a request. A request must find what was committed before it came, so the head is read for it.
    mutating func moment(readingHeadOf log: Log) -> Moment {
        committedHead = log.committedHead
        return moment
    }

    /// For an event without a request: the requests that are there came when the head was last read, or before.
    var moment: Moment {
        Moment(
            milliseconds: now,
            nanoseconds: MonotonicClock.nanoseconds(),
            retentionMilliseconds: retentionNow,
            committedHead: committedHead
        )
    }
}
