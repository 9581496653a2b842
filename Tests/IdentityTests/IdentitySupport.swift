import CCrypto
import Channels

@testable import Identity

/// RFC 4648 §5, without padding.
func base64URL(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var text: [UInt8] = []
    var (bits, count) = (0, 0)
    for byte in bytes {
        bits = bits << 8 | Int(byte)
        count += 8
        while count >= 6 {
            count -= 6
            text.append(alphabet[bits >> count & 63])
        }
    }
    if count > 0 { text.append(alphabet[bits << (6 - count) & 63]) }
    return String(decoding: text, as: UTF8.self)
}

func base64URL(_ text: String) -> String { base64URL(Array(text.utf8)) }

func bytes(_ base64URL: String) -> [UInt8] { Base64URL.decoded(Array(base64URL.utf8)[...])! }

/// SubjectPublicKeyInfo as PEM.
func pem(_ prefix: [UInt8], _ key: [UInt8]) -> [UInt8] {
    var text = base64URL(prefix + key)
    while text.utf8.count % 4 != 0 { text += "=" }
    let standard = text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
    return Array("-----BEGIN PUBLIC KEY-----\n\(String(standard))\n-----END PUBLIC KEY-----\n".utf8)
}

/// RFC 8410 §4.
func ed25519(_ key: [UInt8]) -> [UInt8] {
    pem([0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00], key)
}

/// RFC 5480 §2, of an uncompressed point.
func p256(_ x: [UInt8], _ y: [UInt8]) -> [UInt8] {
    let prefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08,
        0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ]
    return pem(prefix, x + y)
}

func key(
    _ name: String,
    _ algorithm: KeySettings.Algorithm = .hs256,
    _ material: [UInt8],
    _ change: (inout KeySettings) -> Void = { _ in }
) -> KeySettings {
    var key = KeySettings(name: name)
    key.algorithm = algorithm
    key.material = material
    change(&key)
    return key
}

let secret = Array("0123456789abcdef0123456789abcdef".utf8)
let web = key("web", .hs256, secret)
/// Seconds since 1970, as in the tests' tokens.
let today: Int64 = 1_767_225_600
let now = today * 1000

/// A token under HS256.
func token(
    _ payload: String,
    header: String = #"{"alg":"HS256","typ":"JWT"}"#,
    secret: [UInt8] = secret
) -> String {
    let signed = base64URL(header) + "." + base64URL(payload)
    return signed + "." + base64URL(SecretKey(secret).hmac(Array(signed.utf8)))
}

/// A pair of keys made for the test.
final class KeyPair {
    private let pointer: OpaquePointer
    let algorithm: KeySettings.Algorithm

    init(_ algorithm: KeySettings.Algorithm) {
        self.algorithm = algorithm
        let context = EVP_PKEY_CTX_new_from_name(
            nil,
            algorithm == .es256 ? "EC" : "ED25519",
            nil
        )
        precondition(EVP_PKEY_keygen_init(context) == 1)
        if algorithm == .es256 {
            precondition(EVP_PKEY_CTX_set_group_name(context, "P-256") == 1)
        }
        var made: OpaquePointer?
        precondition(EVP_PKEY_generate(context, &made) == 1)
        EVP_PKEY_CTX_free(context)
        pointer = made!
    }

    deinit { EVP_PKEY_free(pointer) }

    var publicPEM: [UInt8] {
        let target = BIO_new(BIO_s_mem())
        defer { BIO_free(target) }
        precondition(PEM_write_bio_PUBKEY(target, pointer) == 1)
        var text = [UInt8](repeating: 0, count: 4096)
        let count = BIO_read(target, &text, Int32(text.count))
        return Array(text[..<Int(count)])
    }

    func sign(_ message: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        let hash = algorithm == .es256 ? EVP_sha256() : nil
        precondition(EVP_DigestSignInit(context, nil, hash, nil, pointer) == 1)
        var signature = [UInt8](repeating: 0, count: 256)
        var count = signature.count
        precondition(
            EVP_DigestSign(context, &signature, &count, message, message.count) == 1
        )
        let made = Array(signature[..<count])
        return algorithm == .es256 ? Self.raw(made) : made
    }

    /// Of `30 L 02 L r 02 L s`.
    private static func raw(_ der: [UInt8]) -> [UInt8] {
        let length = Int(der[3])
        let (r, s) = (der[4..<4 + length], der[(6 + length)...])
        func number(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
            let digits = Array(bytes.drop { $0 == 0 })
            return [UInt8](repeating: 0, count: 32 - digits.count) + digits
        }
        return number(r) + number(s)
    }

    func token(_ payload: String, header: String? = nil) -> String {
        let header = header ?? #"{"alg":"\#(algorithm.rawValue)"}"#
        let signed = base64URL(header) + "." + base64URL(payload)
        return signed + "." + base64URL(sign(Array(signed.utf8)))
    }
}

extension KeyRing {
    func visa(_ token: String, at time: Int64 = now) throws(Refusal) -> Visa {
        try verified(token: Array(token.utf8), from: .sent).visa(at: time)
    }

    /// The code with which a token is refused; nil if it is good.
    func code(_ token: String, at time: Int64 = now) -> String? {
        do throws(Refusal) {
            _ = try visa(token, at: time)
            return nil
        } catch {
            return error.code.description
        }
    }
}
