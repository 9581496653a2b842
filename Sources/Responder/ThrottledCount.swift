internal import Text

/// Counts events that are logged at most once in a time, with their number.
struct ThrottledCount {
    /// All events so far.
    private(set) var total = 0
    /// The events since the last line.
    private(set) var pending = 0
    private var throttle: Throttle

    init(milliseconds: Int64) { throttle = Throttle(milliseconds: milliseconds) }

    mutating func add(_ count: Int = 1) {
        total += count
        pending += count
    }

    /// Monotonic milliseconds from which on a line may follow the last one.
    var resumesAt: Int64 { throttle.opensAt }

    /// Monotonic milliseconds when a line is due; `.max` if there is nothing to log.
    var alarm: Int64 { pending > 0 ? resumesAt : .max }

    /// The number of events for the line that is due, which then counts as written; nil if none is due.
    ///
    /// - Parameter isLast: no line may follow, so that one is due for anything that is left.
    mutating func take(now: Int64, isLast: Bool = false) -> Int? {
        guard pending > 0, throttle.passes(now: now, always: isLast) else { return nil }
        defer { pending = 0 }
        return pending
    }
}
