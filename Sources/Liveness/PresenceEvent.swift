package import Channels

/// A join or a leave, for the log.
package struct PresenceEvent: Equatable, Sendable {
    package let channel: ChannelName
    package let member: Member
    package let isJoin: Bool
    /// Every process that notices the same change gives it the same key, so that the log takes it once: the key names
    /// the member's previous event, or else the time, to ten seconds.
    package let key: String

    init(_ channel: ChannelName, _ member: Member, isJoin: Bool, after event: Cursor?, now: Int64) {
        self.channel = channel
        self.member = member
        self.isJoin = isJoin
        let before = event.map { "\($0)" } ?? "none, \(now / 10_000)"
        key = "\(isJoin ? "join" : "leave") after \(before): \(member.topic)"
    }
}
