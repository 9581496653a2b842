internal import Channels
package import Configuration

/// A client of the bus socket, as the kernel names it (SO_PEERCRED, SO_PEERGROUPS).
package struct LocalPeer: Equatable, Sendable {
    package let user: UInt32
    /// The primary group and all others.
    package let groups: [UInt32]
    /// Whether it is root or the responder's own user, either of which could also write to the log's files.
    package let isOwner: Bool

    package init(user: UInt32, groups: [UInt32], isOwner: Bool) {
        self.user = user
        self.groups = groups
        self.isOwner = isOwner
    }

    /// The owner of its idempotency keys and quota: `unix:1000`.
    var publisher: String { "unix:\(user)" }
}

/// What the clients of the bus socket may do, by the ini file's rules; users and groups are numbers here.
package struct LocalRights: Sendable {
    private let rules: [AllowRule]
    private let numbers: [LocalPrincipal: UInt32]

    /// - Parameter numbers: the numbers of the users and groups that the rules name. One that is missing matches
    ///   nobody.
    package init(rules: [AllowRule], numbers: [LocalPrincipal: UInt32]) {
        self.rules = rules
        self.numbers = numbers
    }

    func check(
        _ channels: [ChannelName],
        _ action: ChannelAction,
        _ peer: LocalPeer
    ) throws(Problem) {
        if action == .publish { try refuseOwn(channels) }
        for channel in channels where !may(action, channel, peer) {
            throw .forbidden(
                action,
                "The channel '\(channel)' is not open to user \(peer.user): \(rules.reason(action, channel)). It needs "
                    + "'\(action.key) = user:\(peer.user)', one of its groups, or everyone, in an [allow] section of the "
                    + "ini file."
            )
        }
    }

    func may(_ action: ChannelAction, _ channel: ChannelName, _ peer: LocalPeer) -> Bool {
        if peer.isOwner { return true }
        switch rules.who(may: action, channel) {
        case .everyone: return true
        case .nobody: return false
        case .local(let principals, _):
            return principals.contains { principal in
                guard let number = numbers[principal] else { return false }
                return switch principal {
                case .user: number == peer.user
                case .group: peer.groups.contains(number)
                }
            }
        }
    }
}
