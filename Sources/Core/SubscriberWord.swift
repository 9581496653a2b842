package import Channels
package import Liveness

/// A message of a process about a subscriber, whose requests other processes may hold.
package struct SubscriberWord: Equatable, Sendable, BitwiseCopyable {
    package enum Kind: UInt8, Sendable, BitwiseCopyable {
        /// It has sent a new request: its earlier ones end.
        case cameAgain = 0x63
        /// It has left.
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

/// A member that is on a channel by requests of a subscriber (0: subscribers without an id).
package typealias PresentMember = (channel: ChannelName, member: Member, subscriber: UInt64)
