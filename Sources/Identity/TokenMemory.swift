internal import Channels

/// Remembers the verdicts on tokens by the hash of their text and of the way they came, so that a client that sends one
/// with each poll costs one check of a signature for as long as the token lives, whether it is valid or not.
///
/// Valid and invalid tokens have a bound each, so that no valid one is forgotten however many invalid ones come. No
/// remembered verdict depends on the time: whether a token is valid now is checked at each use.
package struct TokenMemory: Sendable {
    /// What was counted so far.
    package struct Counters: Equatable, Sendable {
        /// Verdicts from memory, good or bad: they cost no check of a signature.
        package fileprivate(set) var remembered: UInt64 = 0
        /// Tokens whose signature was checked, and valid.
        package fileprivate(set) var verified: UInt64 = 0
        /// Tokens that were refused, other than from memory.
        package fileprivate(set) var refused: UInt64 = 0
        /// All refusals.
        package fileprivate(set) var refusals = RefusalCounts()

        package init() {}
    }

    private var good: RecentlyUsed<VerifiedToken>
    private var bad: RecentlyUsed<Refusal>
    package private(set) var counters = Counters()
    package var byteLimit: Int {
        didSet {
            good.byteLimit = byteLimit
            bad.byteLimit = Self.badByteLimit(byteLimit)
        }
    }

    /// - Parameter byteLimit: about the memory of the valid ones; half of it is certain for those in use.
    package init(byteLimit: Int) {
        self.byteLimit = byteLimit
        good = RecentlyUsed(byteLimit: byteLimit)
        bad = RecentlyUsed(byteLimit: Self.badByteLimit(byteLimit))
    }

    /// As many as of the valid ones, which take about three times as much each.
    private static func badByteLimit(_ byteLimit: Int) -> Int { byteLimit / 4 }

    package var count: Int { good.count }
    package var byteCount: Int { good.byteCount }

    /// The keys have changed.
    package mutating func forgetAll() {
        good.forgetAll()
        bad.forgetAll()
    }

    /// The verdict on a token, which is counted.
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
        let judgement = judgement(onToken: text, from: source, in: ring, now: now)
        count(judgement)
        return try judgement.verdict.get()
    }

    /// A verdict, and what it cost.
    package struct Judgement: Sendable {
        package let verdict: Result<Visa, Refusal>
        fileprivate let cost: Cost
    }

    fileprivate enum Cost: Sendable { case nothing, goodSignature, badSignature }

    /// The verdict on a token, which is counted only if it decides on a request.
    package mutating func judgement(
        onToken text: [UInt8],
        from source: TokenSource,
        in ring: KeyRing,
        now: Int64
    ) -> Judgement {
        let (token, cost) = verified(text, source, ring)
        let verdict = token.flatMap { token in
            Result { () throws(Refusal) in try token.visa(at: now) }
        }
        return Judgement(verdict: verdict, cost: cost)
    }

    package mutating func count(_ judgement: Judgement) {
        switch judgement.cost {
        case .nothing: counters.remembered += 1
        case .goodSignature: counters.verified += 1
        case .badSignature: counters.refused += 1
        }
        if case .failure(let refusal) = judgement.verdict { counters.refusals[refusal.kind] += 1 }
    }

    private mutating func verified(
        _ text: [UInt8],
        _ source: TokenSource,
        _ ring: KeyRing
    ) -> (Result<VerifiedToken, Refusal>, Cost) {
        guard text.count <= Token.byteLimit else {
            return (.failure(.tokenTooLarge), .badSignature)
        }
        let digest = Digest(of: source.tag + text)
        if let token = good.recall(digest) { return (.success(token), .nothing) }
        if let refusal = bad.recall(digest) { return (.failure(refusal), .nothing) }
        do throws(Refusal) {
            let token = try ring.verified(token: text, from: source)
            good.keep(digest, token, byteCount: token.visa.byteCount)
            return (.success(token), .goodSignature)
        } catch {
            bad.keep(digest, error, byteCount: 0)
            return (.failure(error), .badSignature)
        }
    }
}

/// Values by the hash of their subjects, within a bound: two generations. A look-up moves an entry to the younger one;
/// when that is half the bound, it becomes the older one, and the former older one is forgotten: entries not in use go
/// first, and nothing is ever searched. As many as fit into half the bound are found again, in whatever order they are
/// used.
private struct RecentlyUsed<Value: Sendable>: Sendable {
    private struct Entry {
        let value: Value
        let byteCount: Int
    }

    private var young: [Digest: Entry] = [:]
    private var old: [Digest: Entry] = [:]
    private var youngBytes = 0
    private var oldBytes = 0
    var byteLimit: Int {
        didSet { if byteLimit < oldValue { forgetAll() } }
    }

    init(byteLimit: Int) { self.byteLimit = byteLimit }

    var count: Int { young.count + old.count }
    var byteCount: Int { youngBytes + oldBytes }

    mutating func forgetAll() { (young, old, youngBytes, oldBytes) = ([:], [:], 0, 0) }

    mutating func recall(_ digest: Digest) -> Value? {
        if let entry = young[digest] { return entry.value }
        guard let entry = old.removeValue(forKey: digest) else { return nil }
        oldBytes -= entry.byteCount
        keep(digest, entry)
        return entry.value
    }

    /// - Parameter byteCount: the value's memory elsewhere.
    mutating func keep(_ digest: Digest, _ value: Value, byteCount: Int) {
        // A table is between three eighths and three quarters full.
        let place = (MemoryLayout<Digest>.stride + MemoryLayout<Entry>.stride) * 2
        keep(digest, Entry(value: value, byteCount: place + byteCount))
    }

    private mutating func keep(_ digest: Digest, _ entry: Entry) {
        if youngBytes + entry.byteCount > byteLimit / 2 {
            (old, oldBytes) = (young, youngBytes)
            (young, youngBytes) = ([:], 0)
        }
        // An entry that exceeds that alone is judged each time.
        guard entry.byteCount <= byteLimit / 2 else { return }
        young[digest] = entry
        youngBytes += entry.byteCount
    }
}

extension Visa {
    /// Its memory elsewhere: the patterns with their segments, and the name.
    fileprivate var byteCount: Int {
        (read + publish).reduce(name?.utf8.count ?? 0) { $0 + 128 + $1.text.utf8.count }
    }
}

extension TokenSource {
    /// Distinct for each way, whatever token follows: the ways may have different keys.
    fileprivate var tag: [UInt8] {
        switch self {
        case .sent: [0]
        case .cookie(let name): [1] + name.utf8 + [0]
        }
    }
}
