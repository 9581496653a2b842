/// How many events are given to the log: a burst, and then as many in the time for which they are kept.
struct EventRate: Sendable {
    /// In microseconds: the time used up by the events so far, and the time at which the next one may be reported.
    private var spentUntil: Int64 = .min
    private var reportableAt: Int64 = .min
    /// The time between two events at the full rate, in microseconds.
    private let interval: Int64
    private let burst: Int64

    init(_ bounds: PresenceBounds) {
        interval = PresenceBounds.eventsMilliseconds * 1000 / Int64(bounds.events)
        burst = Int64(bounds.burst)
    }

    /// In milliseconds; right after `take` has refused.
    var nextMilliseconds: Int64 { reportableAt }

    /// Whether one more event may be reported now; if so, counts it.
    mutating func take(nowMilliseconds: Int64) -> Bool {
        let microseconds = nowMilliseconds * 1000
        let next = max(spentUntil, microseconds - burst * interval) + interval
        guard next <= microseconds else {
            reportableAt = next / 1000 + 1
            return false
        }
        spentUntil = next
        return true
    }

    /// Takes back one that was counted.
    mutating func giveBack() { spentUntil -= interval }
}
