package import Channels
package import Liveness

/// What a process says of a subscriber, whose requests may be held by others.
package struct SubscriberWord: Equatable, Sendable, BitwiseCopyable {
    package enum Kind: UInt8, Sendable, BitwiseCopyable {
        /// It has asked again: what it asked before ends.
        case cameAgain = 0x63
        /// It said that it leaves.
        case left = 0x6C
    }

    package let kind: Kind
    /// Monotonic nanoseconds, the same for all processes.
    package let time: Int64
    package let subscriber: UInt64

    package init(kind: Kind, time: Int64, subscriber: UInt64) {
        self.kind = kind
        self.time = time
        self.subscriber = subscriber
    }
}

/// That a member is on a channel by requests of a subscriber (0: of those without an id).
package typealias PresentMember = (channel: ChannelName, member: Member, subscriber: UInt64)
