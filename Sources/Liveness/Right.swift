/// The right of a held request that rests on a token or a signed link, and when it ends.
package struct Right: Hashable, Sendable, BitwiseCopyable {
    /// The fingerprint of the key under which that was signed.
    package let key: UInt64
    /// Monotonic milliseconds.
    package let endsAt: Int64

    package init(key: UInt64, endsAt: Int64) { (self.key, self.endsAt) = (key, endsAt) }
}

extension Right? {
    /// Whether there is one, and its time is over.
    package func hasEnded(_ now: Int64) -> Bool { self.map { $0.endsAt <= now } ?? false }
}
