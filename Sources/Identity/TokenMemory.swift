/// Remembers the verdicts on tokens by the hash of their text, so that a client that shows one with each poll costs one
/// signature for as long as the token lives.
///
/// Good tokens: two generations within a bound for all clients together. A look-up moves an entry to the younger one; when
/// that is half the bound, it becomes the older one, and what was in that is forgotten: what is not in use goes first,
/// whether it has expired or not, and nothing is ever searched for. Bad signatures: a table of fixed size of their own,
/// so that however many of them come, no good one is forgotten. All other reasons to refuse a token are found before its
/// signature is looked at, and cost less than remembering them.
package struct TokenMemory: Sendable {
    private struct Entry {
        let visa: Visa
        let byteCount: Int
    }

    /// What was counted so far.
    package struct Counters: Equatable, Sendable {
        /// Verdicts from memory, good or bad.
        package fileprivate(set) var remembered: UInt64 = 0
        /// Tokens that were verified, with their signature.
        package fileprivate(set) var verified: UInt64 = 0
        package fileprivate(set) var refused: UInt64 = 0

        package init() {}
    }

    private var young: [Digest: Entry] = [:]
    private var old: [Digest: Entry] = [:]
    private var youngBytes = 0
    private var oldBytes = 0
    private var bad = [Digest?](repeating: nil, count: badLimit)
    package private(set) var counters = Counters()
    package var byteLimit: Int {
        didSet { if byteLimit < oldValue { forgetAll() } }
    }

    private static let badLimit = 1024

    /// - Parameter byteLimit: memory of the good ones, about.
    package init(byteLimit: Int) { self.byteLimit = byteLimit }

    package var count: Int { young.count + old.count }
    package var byteCount: Int { youngBytes + oldBytes }

    /// The keys are others now.
    package mutating func forgetAll() {
        (young, old, youngBytes, oldBytes) = ([:], [:], 0, 0)
        bad = [Digest?](repeating: nil, count: Self.badLimit)
    }

    /// The verdict on a token.
    ///
    /// - Parameters:
    ///   - ring: the same until `forgetAll`.
    ///   - now: milliseconds since 1970.
    package mutating func visa(
        forToken text: [UInt8],
        from source: TokenSource,
        in ring: KeyRing,
        now: Int64
    ) throws(Refusal) -> Visa {
        guard text.count <= Token.byteLimit else {
            counters.refused += 1
            throw .tokenTooLarge
        }
        let digest = Digest(of: text)
        if let visa = recall(digest) {
            counters.remembered += 1
            guard visa.expires > now else { throw .expired }
            guard ring.accepts(source, under: visa.key) else { throw .unknownKey }
            return visa
        }
        let place = Int(digest.prefix % UInt64(Self.badLimit))
        if bad[place] == digest {
            counters.remembered += 1
            throw .wrongSignature
        }
        do throws(Refusal) {
            let visa = try ring.visa(forToken: text, from: source, now: now)
            counters.verified += 1
            remember(digest, visa, tokenBytes: text.count)
            return visa
        } catch {
            counters.refused += 1
            // Another way to send it may have other keys.
            if error == .wrongSignature, source == .sent { bad[place] = digest }
            throw error
        }
    }

    private mutating func recall(_ digest: Digest) -> Visa? {
        if let entry = young[digest] { return entry.visa }
        guard let entry = old.removeValue(forKey: digest) else { return nil }
        oldBytes -= entry.byteCount
        keep(digest, entry)
        return entry.visa
    }

    private mutating func remember(_ digest: Digest, _ visa: Visa, tokenBytes: Int) {
        let patterns = visa.read.count + visa.publish.count
        // The place in the table, the patterns with their segments, and the name.
        keep(digest, Entry(visa: visa, byteCount: 256 + 128 * patterns + 2 * tokenBytes))
    }

    private mutating func keep(_ digest: Digest, _ entry: Entry) {
        if youngBytes + entry.byteCount > byteLimit / 2 {
            (old, oldBytes) = (young, youngBytes)
            (young, youngBytes) = ([:], 0)
        }
        // One that alone is more than that is verified each time.
        guard entry.byteCount <= byteLimit / 2 else { return }
        young[digest] = entry
        youngBytes += entry.byteCount
    }
}
