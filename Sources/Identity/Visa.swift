package import Channels

/// What a verified token or signed link permits, and until when. It opens only channels whose [allow] section names its
/// key.
package struct Visa: Equatable, Sendable {
    /// The key under which it was signed; another one after any change of the key.
    package let key: KeyFingerprint
    package let keyName: String
    /// The name of whoever shows it.
    package let name: String?
    package let read: [ChannelPattern]
    package let publish: [ChannelPattern]
    /// Milliseconds since 1970.
    package let expires: Int64
}

/// Stands for a key with everything that is set of it, in every process.
package struct KeyFingerprint: Hashable, Sendable, BitwiseCopyable {
    package let value: UInt64

    package init(value: UInt64) { self.value = value }
}

/// How a token came.
package enum TokenSource: Equatable, Sendable {
    /// `Authorization: Bearer`, or a parameter of the query: a program or a page sends it on purpose.
    case sent
    /// The cookie of this name: a browser sends it by itself, whatever page asks.
    case cookie(String)
}
