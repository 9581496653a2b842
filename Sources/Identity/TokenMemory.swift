/// Remembers the verdicts on tokens by the hash of their text and of the way they came, so that a client that shows one with
/// each poll costs one signature for as long as the token lives, whether it is good or bad.
///
/// Signed ones: two generations within a bound for all clients together. A look-up moves an entry to the younger one; when
/// that is half the bound, it becomes the older one, and what was in that is forgotten: what is not in use goes first,
/// whether it has expired or not, and nothing is ever searched for. All others: a table of fixed size of their own, so that
/// however many of them come, no good one is forgotten. No verdict that is remembered depends on the time: whether a token is
/// valid now is asked at each use.
package struct TokenMemory: Sendable {
    private struct Entry {
        let token: VerifiedToken
        let byteCount: Int
    }

    /// What was counted so far.
    package struct Counters: Equatable, Sendable {
        /// Verdicts from memory, good or bad: they cost no signature.
        package fileprivate(set) var remembered: UInt64 = 0
        /// Tokens whose signature was looked at, and good.
        package fileprivate(set) var verified: UInt64 = 0
        /// Tokens that were refused, and not from memory.
        package fileprivate(set) var refused: UInt64 = 0
        /// All refusals.
        package fileprivate(set) var refusals = RefusalCounts()

        package init() {}
    }

    private var young: [Digest: Entry] = [:]
    private var old: [Digest: Entry] = [:]
    private var youngBytes = 0
    private var oldBytes = 0
    private var bad = [(digest: Digest, refusal: Refusal)?](repeating: nil, count: badLimit)
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
        bad = .init(repeating: nil, count: Self.badLimit)
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
        do throws(Refusal) {
            return try verified(text, source, ring).visa(at: now)
        } catch {
            counters.refusals[error.kind] += 1
            throw error
        }
    }

    private mutating func verified(
        _ text: [UInt8],
        _ source: TokenSource,
        _ ring: KeyRing
    ) throws(Refusal) -> VerifiedToken {
        guard text.count <= Token.byteLimit else {
            counters.refused += 1
            throw .tokenTooLarge
        }
        let digest = Digest(of: source.tag + text)
        if let token = recall(digest) {
            counters.remembered += 1
            return token
        }
        let place = Int(digest.prefix % UInt64(Self.badLimit))
        if let known = bad[place], known.digest == digest {
            counters.remembered += 1
            throw known.refusal
        }
        do throws(Refusal) {
            let token = try ring.verified(token: text, from: source)
            counters.verified += 1
            remember(digest, token, tokenBytes: text.count)
            return token
        } catch {
            counters.refused += 1
            bad[place] = (digest, error)
            throw error
        }
    }

    private mutating func recall(_ digest: Digest) -> VerifiedToken? {
        if let entry = young[digest] { return entry.token }
        guard let entry = old.removeValue(forKey: digest) else { return nil }
        oldBytes -= entry.byteCount
        keep(digest, entry)
        return entry.token
    }

    private mutating func remember(_ digest: Digest, _ token: VerifiedToken, tokenBytes: Int) {
        let patterns = token.visa.read.count + token.visa.publish.count
        // The place in the table, the patterns with their segments, and the name.
        keep(digest, Entry(token: token, byteCount: 256 + 128 * patterns + 2 * tokenBytes))
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

extension TokenSource {
    /// Distinct for each way, whatever token follows: one way may have other keys than another.
    fileprivate var tag: [UInt8] {
        switch self {
        case .sent: [0]
        case .cookie(let name): [1] + name.utf8 + [0]
        }
    }
}
