internal import CCrypto
internal import Text

/// A public key that verifies signatures. Never changes, so any thread may use it.
@safe final class PublicKey: @unchecked Sendable {
    private let pointer: OpaquePointer
    private let algorithm: KeySettings.Algorithm

    /// - Parameter pem: SubjectPublicKeyInfo as text (RFC 7468 §13).
    init(pem: [UInt8], of algorithm: KeySettings.Algorithm) throws(KeyProblem) {
        if pem.includes(Array("PRIVATE KEY-----".utf8)) {
            throw KeyProblem(
                wrong: "has a private key; give Holdfast only the public one, as "
                    + "'openssl pkey -in PRIVATE -pubout' prints it"
            )
        }
        guard let pointer = unsafe Self.read(pem) else {
            throw KeyProblem(
                wrong: "is not a public key in PEM form ('-----BEGIN PUBLIC KEY-----')"
            )
        }
        unsafe (self.pointer, self.algorithm) = (pointer, algorithm)
        let kind = unsafe Self.kind(of: pointer)
        guard kind == algorithm else {
            throw KeyProblem(
                wrong: kind.map { "has a key for \($0.rawValue), not for \(algorithm.rawValue)" }
                    ?? "has a key of another kind than P-256 (for ES256) and Ed25519 (for EdDSA)"
            )
        }
    }

    deinit { unsafe EVP_PKEY_free(pointer) }

    private static func read(_ pem: [UInt8]) -> OpaquePointer? {
        unsafe pem.withUnsafeBytes { bytes in
            guard let source = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else {
                return nil
            }
            defer {
                unsafe BIO_free(source)
                ERR_clear_error()
            }
            return unsafe PEM_read_bio_PUBKEY(source, nil, nil, nil)
        }
    }

    private static func kind(of key: OpaquePointer) -> KeySettings.Algorithm? {
        if unsafe EVP_PKEY_is_a(key, "ED25519") == 1 { return .eddsa }
        guard unsafe EVP_PKEY_is_a(key, "EC") == 1 else { return nil }
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard unsafe EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else {
            return nil
        }
        let group = String(decoding: name[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
        return group == "prime256v1" ? .es256 : nil
    }

    /// Whether the signature, in the form of RFC 7518, is one of the message under this key.
    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        // RFC 7518 §3.4 and RFC 8032 §5.1.6: both are 64 bytes.
        guard signature.count == 64 else { return false }
        let bytes = algorithm == .es256 ? ECDSASignature.der(signature) : signature
        guard let context = unsafe EVP_MD_CTX_new() else { return false }
        defer {
            unsafe EVP_MD_CTX_free(context)
            // OpenSSL leaves errors in a queue of the thread.
            ERR_clear_error()
        }
        // Ed25519 has its own hash.
        let hash = algorithm == .es256 ? unsafe Crypto.sha256 : nil
        guard unsafe EVP_DigestVerifyInit(context, nil, hash, nil, pointer) == 1 else {
            return false
        }
        return unsafe EVP_DigestVerify(context, bytes, bytes.count, message, message.count) == 1
    }
}

enum ECDSASignature {
    /// The signature in OpenSSL's form, made of `r` and `s` as tokens have them: two numbers of the same length, the
    /// most significant byte first (RFC 7518 §3.4).
    ///
    /// ```
    /// 30 LENGTH  02 LENGTH r…  02 LENGTH s…      X.690; no leading zeros, except one if the first bit is set
    /// ```
    static func der(_ raw: [UInt8]) -> [UInt8] {
        let half = raw.count / 2
        let numbers = integer(raw[..<half]) + integer(raw[half...])
        return [0x30, UInt8(numbers.count)] + numbers
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var digits = Array(bytes.drop { $0 == 0 })
        if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
        return [0x02, UInt8(digits.count)] + digits
    }
}
