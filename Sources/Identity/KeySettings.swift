/// `[key NAME]`: a key that signs links and tokens.
package struct KeySettings: Equatable, Sendable {
    /// The only algorithm of signatures under the key, whatever a token's header has.
    package enum Algorithm: String, Equatable, Sendable, CaseIterable {
        /// HMAC with SHA-256 (RFC 7518 §3.2); also signs links.
        case hs256 = "HS256"
        /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
        case es256 = "ES256"
        /// Ed25519 (RFC 8037).
        case eddsa = "EdDSA"

        package var isSecret: Bool { self == .hs256 }
    }

    package var name: String
    package var algorithm = Algorithm.hs256
    /// The secret itself.
    package var secret: String?
    /// The path of the file with the secret.
    package var secretFile: String?
    /// The path of the PEM file with the public key.
    package var publicKeyFile: String?
    /// What `aud` of a token must name; nil: a token that has `aud` is not meant for Holdfast.
    package var audience: String?
    /// The cookie in which a browser may send a token under this key.
    package var cookie: String?
    /// The bytes of the secret, or the PEM text of the public key; empty until they are loaded.
    package var material: [UInt8] = []
    /// The line of its section in the file.
    package var line: Int?

    package init(name: String) { self.name = name }

    /// Keys are equal whatever their line.
    package static func == (one: KeySettings, other: KeySettings) -> Bool {
        one.name == other.name && one.algorithm == other.algorithm && one.secret == other.secret
            && one.secretFile == other.secretFile && one.publicKeyFile == other.publicKeyFile
            && one.audience == other.audience && one.cookie == other.cookie
            && one.material == other.material
    }

    package static let nameByteLimit = 64
    /// A token or link that names no key is tried with several.
    package static let countLimit = 16

    /// A token's `kid` may be any text; a name can be an element of a list of the ini file.
    package static func isName(_ text: String) -> Bool {
        (1...nameByteLimit).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-._~+/=:@".utf8.contains(byte)
                }
            }
    }
}

extension KeySettings {
    /// RFC 7518 §3.2: a secret as long as the hash, or longer.
    package static let secretByteLimits = 32...4096

    /// The material in the contents of a key's file.
    ///
    /// A secret is the text of the file without the line break at its end, as `$(cat FILE)` and `trim` see it.
    package static func material(
        in contents: [UInt8],
        of algorithm: Algorithm
    ) throws(KeyProblem) -> [UInt8] {
        var material = contents
        if algorithm.isSecret {
            while let last = material.last, last == 0x0A || last == 0x0D { material.removeLast() }
            try checkSecret(material)
            // A program that trims the text would sign with another secret.
            guard material.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
                throw KeyProblem(
                    wrong:
                        "has blanks, control characters or more than one line; a secret is one line without blanks, "
                        + "as 'openssl rand -hex 32' makes it"
                )
            }
        } else {
            _ = try PublicKey(pem: material, of: algorithm)
        }
        return material
    }

    package static func checkSecret(_ secret: [UInt8]) throws(KeyProblem) {
        guard secret.count >= secretByteLimits.lowerBound else {
            throw KeyProblem(
                wrong:
                    "has only \(secret.count == 1 ? "1 byte" : "\(secret.count) bytes"); a secret needs \(secretByteLimits.lowerBound), "
                    + "as 'openssl rand -hex 32' makes it"
            )
        }
        guard secret.count <= secretByteLimits.upperBound else {
            throw KeyProblem(
                wrong:
                    "has \(secret.count) bytes; a secret has at most \(secretByteLimits.upperBound)"
            )
        }
        guard !secret.starts(with: "-----BEGIN".utf8) else {
            throw KeyProblem(
                wrong:
                    "is a key in PEM form, not a shared secret; a public key needs ES256 or EdDSA"
            )
        }
    }
}
