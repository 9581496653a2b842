import Identity

extension ValueForm where Value == String {
    /// A shared secret. It is never written.
    static let secret = ValueForm(
        allowed: "32 to 4096 bytes of text without blanks",
        read: { text throws(ValueError) in
            guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
                throw ValueError("has a blank")
            }
            do throws(KeyProblem) {
                try KeySettings.checkSecret(Array(text.utf8))
            } catch {
                throw ValueError(error.wrong)
            }
            return text
        },
        write: { _ in "***" }
    )

    /// What a token's `aud` names.
    static let audience = ValueForm(
        allowed: "a text of at most 255 bytes without blanks, such as https://www.example.org",
        read: { text throws(ValueError) in
            guard text.utf8.count <= 255 else { throw ValueError("is too long") }
            guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
                throw ValueError("has a blank")
            }
            return text
        },
        write: { $0 }
    )

    /// The name of a cookie (RFC 6265 §4.1.1).
    static let cookie = ValueForm(
        allowed: "the name of a cookie",
        read: { text throws(ValueError) in
            guard text.utf8.count <= 64, text.utf8.allSatisfy(isTokenByte) else {
                throw ValueError("is not the name of a cookie")
            }
            return text
        },
        write: { $0 }
    )
}

/// RFC 9110 §5.6.2
private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
