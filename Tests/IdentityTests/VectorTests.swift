import Testing

@testable import Identity

/// The examples of the standards.
@Suite struct VectorTests {
    /// RFC 7515 A.1, which is the token of RFC 7519 §3.1; expired in 2011.
    private static let joe =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ" + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    private static let joesSecret = bytes(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
            + "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    )

    @Test func `RFC 7515 A.1 and RFC 7519 3.1: a token under HS256`() throws {
        let ring = KeyRing([key("joe", .hs256, Self.joesSecret)])
        let visa = try ring.visa(Self.joe, at: 1_300_819_379_000)
        #expect(visa.expires == 1_300_819_380_000 && visa.keyName == "joe")
        #expect(visa.read == [] && visa.publish == [] && visa.name == nil)
        #expect(ring.code(Self.joe, at: 1_300_819_380_000) == "expired")
    }

    @Test func `RFC 7515 A.3: a token under ES256`() throws {
        let text =
            "eyJhbGciOiJFUzI1NiJ9"
            + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
            + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
            + "pmWQxfKTUJqPP3-Kg6NU1Q"
        let pem = p256(
            bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
        )
        let ring = KeyRing([key("joe", .es256, pem)])
        #expect(try ring.visa(text, at: 0).expires == 1_300_819_380_000)
        #expect(ring.code(text + "A", at: 0) == "token_signature")
        let other = text.dropLast(4) + "AAAQ"
        #expect(ring.code(String(other), at: 0) == "token_signature")
    }

    @Test func `RFC 7515 A.5: a token without a signature is refused`() {
        let text =
            "eyJhbGciOiJub25lIn0"
            + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
            + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ" + "."
        #expect(KeyRing([web]).code(text, at: 0) == "token_algorithm")
    }

    @Test func `RFC 7515 A.2: a token under RS256 is refused, whatever its signature`() {
        let header = base64URL(#"{"alg":"RS256"}"#)
        let text = header + "." + base64URL(#"{"exp":1300819380}"#) + "." + base64URL(secret)
        #expect(KeyRing([web]).code(text, at: 0) == "token_algorithm")
    }

    @Test func `RFC 8037 A.4: a signature under Ed25519`() throws {
        let text =
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
            + ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt"
            + "9g7sVvpAr_MuM0KAg"
        let token = try Token(Array(text.utf8))
        let pem = ed25519(bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
        let key = try PublicKey(pem: pem, of: .eddsa)
        #expect(key.verifies(token.signature, of: token.signed))
        #expect(!key.verifies(token.signature, of: token.signed + [0]))
        #expect(!key.verifies(Array(token.signature.dropLast()), of: token.signed))
        // It is signed well, and is no token: its payload has no claims.
        let ring = KeyRing([Self.loaded("ed", .eddsa, pem)])
        #expect(ring.code(text) == "token_malformed")
    }

    private static func loaded(
        _ name: String,
        _ algorithm: KeySettings.Algorithm,
        _ pem: [UInt8]
    ) -> KeySettings { key(name, algorithm, pem) }

    @Test func `RFC 4231: HMAC with SHA-256`() {
        let key = SecretKey(Array("Jefe".utf8))
        let message = Array("what do ya want for nothing?".utf8)
        // The second time is like the first.
        #expect(key.hmac(message) == key.hmac(message))
        let hash = key.hmac(message)
        #expect(
            SignedLink.text(ofSignature: hash)
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        )
    }
}
