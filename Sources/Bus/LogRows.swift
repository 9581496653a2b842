import Channels

/// The row of `state`.
struct StateRow: Equatable {
    var head: Int64
    var trimStamp: Int64
    var forgottenThrough: Int64
    /// Number of the current epoch; rises with each.
    var epoch: Int64
    var channels: Int64
    var messages: Int64
    /// Rows of `keys`.
    var keys: Int64
    var clock: Int64
    var clockBoot: Int64
    var clockWall: Int64
    var boot: String
}

extension StateRow {
    var moment: RetentionClock.Moment {
        RetentionClock.Moment(
            milliseconds: clock,
            bootMilliseconds: clockBoot,
            wallMilliseconds: clockWall
        )
    }

    /// How far the wall clock is from where the retention clock expects it; 0 if within the tolerance.
    func slip(at time: LogTime) -> Int64 {
        let slip = (time.wall - clockWall) - (time.retention - clock)
        return abs(slip) > RetentionClock.toleranceMilliseconds ? slip : 0
    }

    /// After a restart the retention clock continues from here.
    mutating func note(_ time: LogTime) {
        (clock, clockBoot, clockWall) = (time.retention, time.sinceBoot, time.wall)
    }
}

/// A row of `channels`.
struct ChannelRow {
    var id: Int64
    var name: ChannelName
    var lastOffset: Int64
    var count: Int64
    var bytes: Int64
    var due: Int64?
    var trimmedThrough: Int64
    var trimReason: GapReason
    /// Whether the mark or `due` changed, which touches two indexes more.
    var markChanged = false

    /// Raises the mark; the newest reason stands for all of it.
    mutating func mark(through offset: Int64, _ reason: GapReason) {
        guard offset > trimmedThrough else { return }
        (trimmedThrough, trimReason, markChanged) = (offset, reason, true)
    }

    var trimMark: TrimMark {
        TrimMark(channel: name, through: Offset(trimmedThrough), reason: trimReason)
    }
}

extension GapReason {
    /// As `trim_reason` holds it; only these two mark a channel.
    var stored: Int64 { self == .deleted ? 2 : 1 }
    init(stored: Int64) { self = stored == 2 ? .deleted : .trimmed }
}

/// Whether an offset, an amount or a time can have been written by Holdfast. All of them are far below, so that sums
/// and products with them fit into 64 bits; what a stranger wrote may not be.
func isPlausible(_ number: Int64) -> Bool { number >= 0 && number <= 1 << 50 }
