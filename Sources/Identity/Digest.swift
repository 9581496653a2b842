internal import CCrypto

/// A SHA-256 hash (FIPS 180-4), which represents a text from an untrusted source.
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

/// The module's functions of libcrypto.
enum Crypto {
    /// Found once: a look-up for each hash would cost more than the hash of a short text.
    nonisolated(unsafe) static let sha256: OpaquePointer? = unsafe EVP_MD_fetch(nil, "SHA256", nil)

    /// Compares in a time that depends only on the lengths.
    static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return unsafe CRYPTO_memcmp(one, other, one.count) == 0
    }
}

/// A secret ready for HMAC-SHA-256 (RFC 2104): its two blocks are hashed once. Never changes, so any thread may use it.
@safe final class SecretKey: @unchecked Sendable {
    private let context: OpaquePointer

    init(_ secret: [UInt8]) {
        let algorithm = unsafe EVP_MAC_fetch(nil, "HMAC", nil)
        defer { unsafe EVP_MAC_free(algorithm) }
        let context = unsafe EVP_MAC_CTX_new(algorithm)
        var name = Array("SHA256".utf8CString)
        let isReady = unsafe name.withUnsafeMutableBufferPointer { name in
            let parameters = unsafe [
                OSSL_PARAM_construct_utf8_string("digest", name.baseAddress, 0),
                OSSL_PARAM_construct_end(),
            ]
            return unsafe EVP_MAC_init(context, secret, secret.count, parameters)
        }
        guard let context = unsafe context, isReady == 1 else {
            preconditionFailure("HMAC-SHA-256 is in every libcrypto")
        }
        unsafe self.context = context
    }

    deinit { unsafe EVP_MAC_CTX_free(context) }

    /// 32 bytes.
    func hmac(_ message: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        var count = 0
        let copy = unsafe EVP_MAC_CTX_dup(context)
        defer { unsafe EVP_MAC_CTX_free(copy) }
        let isDone =
            unsafe EVP_MAC_update(copy, message, message.count) == 1
            && EVP_MAC_final(copy, &out, &count, out.count) == 1
        precondition(isDone && count == 32, "HMAC needs nothing but memory")
        return out
    }
}
