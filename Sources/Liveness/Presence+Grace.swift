package import Channels

extension Presence {
    /// A member without a held request that stays present for a while, on behalf of a subscriber.
    package struct Grace: Sendable {
        package let channel: ChannelName
        package let member: Member
        package let subscriber: Subscriber
        /// Milliseconds of the clock of this type.
        package let until: Int64
        package let cameAt: Int64

        package init(
            channel: ChannelName,
            member: Member,
            subscriber: Subscriber,
            until: Int64,
            cameAt: Int64
        ) {
            self.channel = channel
            self.member = member
            self.subscriber = subscriber
            self.until = until
            self.cameAt = cameAt
        }
    }
}
