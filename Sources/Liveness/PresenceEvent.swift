package import Channels

/// A join or a leave, for the log.
package struct PresenceEvent: Equatable, Sendable {
    package let channel: ChannelName
    package let member: Member
    package let isJoin: Bool
    /// If several machines share the log: those that have the member now; and the time at which it joined, in
    /// milliseconds since 1970, if it had joined before.
    package let machines: [MachineID]
    package let sinceMilliseconds: Int64?
    /// Every process that notices the same change gives it the same key, so that the log takes it once: the key names
    /// the member's previous event, or else the machine and the time, to ten seconds, by its clock. Of different events
    /// after the same one the log takes the first, so that each event comes from a process that knows the one before.
    package let key: String

    /// - Parameter own: the machine that tells it, if several share the log.
    init(
        _ change: PresenceChange,
        of key: MemberKey,
        after entry: PresenceEntry,
        at own: MachineID?,
        now: Int64
    ) {
        (channel, member) = (key.channel, key.member)
        switch change {
        case .join(let machines): (isJoin, self.machines) = (true, machines)
        case .leave: (isJoin, machines) = (false, [])
        }
        sinceMilliseconds = isJoin && entry.isPresent ? entry.timeMilliseconds : nil
        let machine = own.map { ", \($0)" } ?? ""
        let before = entry.event.map { "\($0)" } ?? "none\(machine), \(now / 10_000)"
        self.key = "\(entry.isPresent ? "leave" : "join") after \(before): \(member.topic)"
    }
}
