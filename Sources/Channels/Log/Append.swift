/// One publisher's request: all of it goes into one transaction, with offsets in the order of the drafts, or nothing
/// does.
package struct Append: Sendable {
    /// The caller's own number, returned with the outcome.
    package var ticket: UInt64
    package var drafts: [Draft]
    /// Channels whose messages are all removed first. Each that has any takes an offset of its own, so that waiting
    /// subscribers are told as well.
    package var dropping: [ChannelName]
    package var idempotency: IdempotencyKey?
    package var quota: PublisherQuota?
    /// Whether presence on new channels may use the last quarter of the places for such channels, which is reserved for
    /// those that the ini file names, because visitors create the others.
    package var takesLastPlaces = true

    /// The bytes of its bodies.
    package var bytes: Int { drafts.reduce(0) { $0 + $1.body.count } }

    package init(
        ticket: UInt64,
        drafts: [Draft],
        dropping: [ChannelName] = [],
        idempotency: IdempotencyKey? = nil,
        quota: PublisherQuota? = nil
    ) {
        self.ticket = ticket
        self.drafts = drafts
        self.dropping = dropping
        self.idempotency = idempotency
        self.quota = quota
    }
}

/// How much one publisher may append in a period, through all processes together. All of it may be used at once; it is
/// restored evenly. Each message of a batch counts; a request that removes messages counts as one message for each
/// channel.
package struct PublisherQuota: Sendable, Hashable {
    package var publisher: String
    package var limits: QuotaLimits

    package init(publisher: String, limits: QuotaLimits) {
        self.publisher = publisher
        self.limits = limits
    }
}

/// What identifies a repeated request for five minutes, together with its channels.
package struct IdempotencyKey: Sendable, Hashable {
    package var publisher: String
    package var key: String

    package init(publisher: String, key: String) {
        self.publisher = publisher
        self.key = key
    }
}
