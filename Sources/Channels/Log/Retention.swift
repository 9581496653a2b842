/// `[retain PATTERN]`: how much of a channel can be read again. Nil: not set by this rule.
package struct RetainRule: Equatable, Sendable {
    package var pattern: ChannelPattern
    package var count: Int?
    package var ageSeconds: Int?
    package var bytes: Int?

    package init(
        pattern: ChannelPattern,
        count: Int? = nil,
        ageSeconds: Int? = nil,
        bytes: Int? = nil
    ) {
        self.pattern = pattern
        self.count = count
        self.ageSeconds = ageSeconds
        self.bytes = bytes
    }
}

/// What a channel retains: the outcome of the rules for one name.
package struct Retention: Equatable, Sendable {
    package var count = 1000
    package var ageSeconds = 86_400
    package var bytes = 16 * 1024 * 1024

    package init() {}

    /// For `~presence/…`: the last event of each member is kept as long as the member is present.
    package static var ofOwnChannels: Retention {
        var retention = Retention()
        (retention.count, retention.bytes) = (100_000, 64 << 20)
        retention.ageSeconds = 3650 * 86_400
        return retention
    }
}
