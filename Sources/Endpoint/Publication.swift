package import Channels

/// What a publisher wants of the log, whichever way it came.
package struct Publication: Sendable {
    /// Message by message, each for one channel after the other.
    package var drafts: [Draft] = []
    /// Channels that lose all their messages.
    package var dropping: [ChannelName] = []
    /// Whose idempotency keys and quota these are.
    package var publisher: String
    /// With which this publisher repeats a request.
    package var idempotencyKey: String?
    package var quota: QuotaLimits?

    /// Of their bodies.
    package var bytes: Int { drafts.reduce(0) { $0 + $1.body.count } }
}
