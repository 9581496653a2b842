import Channels

/// How much of a publisher's quota is used, as the times at which all of it will have been given back.
///
/// The generic cell rate algorithm: using a share moves that time on by the same share of the quota's stretch, and
/// it may lie at most one stretch ahead. Two numbers are all there is to remember. Pure.
struct QuotaUse: Equatable {
    /// Microseconds on the retention clock; in the past: nothing is used.
    var messagesFull: Int64 = 0
    var bytesFull: Int64 = 0

    enum Outcome: Equatable {
        case taken
        /// Not now, but this many microseconds later.
        case wait(microseconds: Int64)
        /// It is more than the whole quota.
        case never
    }

    /// Takes both shares, or nothing.
    mutating func take(_ messages: Int, bytes: Int, of quota: QuotaLimits, now: Int64) -> Outcome {
        let stretch = Int64(quota.seconds) * 1_000_000
        var next = self
        var wait: Int64 = 0
        for (used, most, full) in [
            (messages, quota.messages, \QuotaUse.messagesFull),
            (bytes, quota.bytes, \QuotaUse.bytesFull),
        ] {
            guard let most else { continue }
            guard used <= most else { return .never }
            // A clock that was set back, or a quota that was reduced, must not lock a publisher out for longer.
            let begin = min(max(now, self[keyPath: full]), now + stretch)
            // At most a stretch, but the product may be larger than 64 bits.
            next[keyPath: full] = begin + Int64(Int128(stretch) * Int128(used) / Int128(most))
            wait = max(wait, next[keyPath: full] - stretch - now)
        }
        guard wait <= 0 else { return .wait(microseconds: wait) }
        self = next
        return .taken
    }
}
