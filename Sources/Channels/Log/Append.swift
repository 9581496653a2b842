/// One publisher's request: all of it goes into one transaction, with offsets in the drafts' order, or nothing does.
package struct Append: Sendable {
    /// The caller's own number, given back with the outcome.
    package var ticket: UInt64
    package var drafts: [Draft]
    /// Channels that lose all their messages first. Each that has any takes a place of its own in the order, so that
    /// whoever waits there is told as well.
    package var dropping: [ChannelName]
    package var idempotency: IdempotencyKey?
    package var quota: PublisherQuota?
    /// Whether presence on new channels may take the last quarter of the places for such channels, which is kept for those
    /// that the ini file names: visitors make the others.
    package var takesLastPlaces = true

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

/// What one publisher may append in a stretch of time, whichever process it comes to. All of it may come at once; it
/// is given back evenly. A request of several messages counts each; one that drops channels counts as one message.
package struct PublisherQuota: Sendable, Hashable {
    package var publisher: String
    package var limits: QuotaLimits

    package init(publisher: String, limits: QuotaLimits) {
        self.publisher = publisher
        self.limits = limits
    }
}

/// What makes a repeated request recognisable for five minutes, together with the channels it goes to.
package struct IdempotencyKey: Sendable, Hashable {
    package var publisher: String
    package var key: String

    package init(publisher: String, key: String) {
        self.publisher = publisher
        self.key = key
    }
}
