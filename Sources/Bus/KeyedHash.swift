/// SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012): without the secret, two texts with the same hash cannot be
/// constructed, so a hash may stand for a text from an untrusted source.
struct KeyedHash {
    private let secret: (UInt64, UInt64)

    /// - Parameter secret: 16 bytes.
    init(secret: [UInt8]) {
        precondition(secret.count == 16, "the secret of a hash has 16 bytes")
        self.secret = (Self.word(secret, at: 0), Self.word(secret, at: 8))
    }

    func callAsFunction(_ text: String) -> (UInt64, UInt64) { self(Array(text.utf8)) }

    func callAsFunction(_ bytes: [UInt8]) -> (UInt64, UInt64) {
        var state = State(secret)
        let whole = bytes.count & ~7
        for at in stride(from: 0, to: whole, by: 8) { state.take(Self.word(bytes, at: at)) }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for at in whole..<bytes.count { last |= UInt64(bytes[at]) << (8 * (at - whole)) }
        state.take(last)
        return state.end()
    }

    /// In the order of their bytes, least significant first.
    static func bytes(of hash: (UInt64, UInt64)) -> [UInt8] {
        [hash.0, hash.1].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
    }

    private static func word(_ bytes: [UInt8], at start: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << (8 * $1) }
    }

    private struct State {
        private var v0, v1, v2, v3: UInt64

        init(_ secret: (UInt64, UInt64)) {
            v0 = secret.0 ^ 0x736f_6d65_7073_6575
            v1 = secret.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
            v2 = secret.0 ^ 0x6c79_6765_6e65_7261
            v3 = secret.1 ^ 0x7465_6462_7974_6573
        }

        mutating func take(_ word: UInt64) {
            v3 ^= word
            rounds(2)
            v0 ^= word
        }

        mutating func end() -> (UInt64, UInt64) {
            v2 ^= 0xee
            rounds(4)
            let first = v0 ^ v1 ^ v2 ^ v3
            v1 ^= 0xdd
            rounds(4)
            return (first, v0 ^ v1 ^ v2 ^ v3)
        }

        private mutating func rounds(_ count: Int) {
            for _ in 0..<count {
                v0 &+= v1
                v1 = Self.rotated(v1, 13) ^ v0
                v0 = Self.rotated(v0, 32)
                v2 &+= v3
                v3 = Self.rotated(v3, 16) ^ v2
                v0 &+= v3
                v3 = Self.rotated(v3, 21) ^ v0
                v2 &+= v1
                v1 = Self.rotated(v1, 17) ^ v2
                v2 = Self.rotated(v2, 32)
            }
        }

        private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 {
            word << bits | word >> (64 - bits)
        }
    }
}
