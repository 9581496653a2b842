internal import CCrypto

/// A SHA-256 hash (FIPS 180-4): stands for a text from an untrusted source.
struct Digest: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(of bytes: [UInt8]) {
        var out = [UInt8](repeating: 0, count: 32)
        let done = unsafe EVP_Digest(bytes, bytes.count, &out, nil, Crypto.sha256, nil)
        precondition(done == 1, "SHA-256 needs nothing but memory")
        words = (
            Self.word(out, 0), Self.word(out, 8), Self.word(out, 16), Self.word(out, 24)
        )
    }

    /// Its first eight bytes.
    var prefix: UInt64 { words.0 }

    private static func word(_ bytes: [UInt8], _ start: Int) -> UInt64 {
        bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }

    static func == (one: Digest, other: Digest) -> Bool { one.words == other.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
    }
}

/// What libcrypto does for the module.
enum Crypto {
    /// Found once: a look-up for each hash would cost more than the hash of a short text.
    nonisolated(unsafe) static let sha256: OpaquePointer? = unsafe EVP_MD_fetch(nil, "SHA256", nil)

    /// HMAC-SHA-256 (RFC 2104), 32 bytes.
    static func hmac(_ message: [UInt8], secret: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let done = unsafe HMAC(
            Crypto.sha256,
            secret,
            Int32(secret.count),
            message,
            message.count,
            &out,
            &count
        )
        precondition(unsafe done != nil && count == 32, "HMAC needs nothing but memory")
        return out
    }

    /// Compares in a time that depends on the lengths alone.
    static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return unsafe CRYPTO_memcmp(one, other, one.count) == 0
    }
}
