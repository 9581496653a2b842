package import Channels

/// What a publisher asks of the log, whichever way it came.
package struct Publication: Sendable {
    /// The drafts of each message for all channels, message by message.
    package var drafts: [Draft] = []
    /// Channels whose messages are all removed.
    package var dropping: [ChannelName] = []
    /// The owner of the idempotency key and the quota.
    package var publisher: String
    /// The key by which this publisher can repeat the request.
    package var idempotencyKey: String?
    package var quota: QuotaLimits?

    /// The bytes of the drafts' bodies.
    package var bytes: Int { drafts.reduce(0) { $0 + $1.body.count } }
}
