package import Channels

/// What a verified token or signed link permits, and until when. It opens only channels whose [allow] section names its
/// key.
package struct Visa: Equatable, Sendable {
    /// The key under which it was signed; its fingerprint changes with any change of the key.
    package let key: KeyFingerprint
    package let keyName: String
    /// The name of the user that shows it.
    package let name: String?
    package let read: [ChannelPattern]
    package let publish: [ChannelPattern]
    /// Milliseconds since 1970.
    package let expires: Int64

    package init(
        key: KeyFingerprint,
        keyName: String,
        name: String?,
        read: [ChannelPattern],
        publish: [ChannelPattern],
        expires: Int64
    ) {
        (self.key, self.keyName, self.name) = (key, keyName, name)
        (self.read, self.publish, self.expires) = (read, publish, expires)
    }
}

/// A token whose signature is verified. Whether it is valid at a time is checked at each use.
package struct VerifiedToken: Equatable, Sendable {
    let visa: Visa
    /// Milliseconds since 1970.
    let notBefore: Int64?

    /// A token that was just made on a machine whose clock is slightly ahead is valid.
    private static let clockToleranceMilliseconds: Int64 = 5000

    /// - Parameter now: milliseconds since 1970.
    package func visa(at now: Int64) throws(Refusal) -> Visa {
        guard visa.expires > now else { throw .expired }
        if let notBefore, notBefore > now + Self.clockToleranceMilliseconds { throw .notYetValid }
        return visa
    }
}

/// Identifies a key with all its settings, in every process.
package struct KeyFingerprint: Hashable, Sendable, BitwiseCopyable {
    package let value: UInt64

    package init(value: UInt64) { self.value = value }
}

/// How a token came.
package enum TokenSource: Equatable, Sendable {
    /// `Authorization: Bearer`, or a parameter of the query: a program or a page sends it on purpose.
    case sent
    /// The cookie of this name: a browser sends it by itself, whatever page makes the request.
    case cookie(String)
}
