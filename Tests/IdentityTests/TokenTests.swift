import Channels
import Testing

@testable import Identity

@Suite struct TokenTests {
    private let ring = KeyRing([web])
    private let payload = #"{"exp":1767225601}"#

    @Test func `a token names its user and what its key may open`() throws {
        let text = token(
            #"{"exp":1767225660.5,"nbf":1767225600,"sub":"ada","holdfast":{"read":["user/ada/**","news"],"publish":"chat/* room"}}"#
        )
        let visa = try ring.visa(text)
        #expect(visa.name == "ada" && visa.keyName == "web" && visa.expires == now + 60_500)
        #expect(visa.read.map(\.text) == ["user/ada/**", "news"])
        #expect(visa.publish.map(\.text) == ["chat/*", "room"])
        let named = token(#"{"exp":1767225601,"sub":"4711","holdfast":{"name":"Ada"}}"#)
        #expect(try ring.visa(named).name == "Ada")
    }

    @Test(arguments: [KeySettings.Algorithm.es256, .eddsa])
    func `public keys verify what their private ones sign`(algorithm: KeySettings.Algorithm)
        throws
    {
        let (pair, other) = (KeyPair(algorithm), KeyPair(algorithm))
        let ring = KeyRing([key("one", algorithm, pair.publicPEM)])
        for number in 0..<32 {
            // Numbers in the signature with zeros in front are among so many.
            let text = pair.token(#"{"exp":1767225601,"sub":"\#(number)"}"#)
            #expect(try ring.visa(text).name == "\(number)")
        }
        #expect(ring.code(other.token(payload)) == "token_signature")
    }

    @Test func `the algorithm is the key's, never the token's`() {
        let pair = KeyPair(.es256)
        let ring = KeyRing([key("public", .es256, pair.publicPEM)])
        // Signed with the text of the public key, which everybody may have.
        let confused = token(payload, secret: pair.publicPEM)
        #expect(ring.code(confused) == "token_algorithm")
        #expect(
            KeyRing([key("public", .es256, pair.publicPEM), web]).code(confused)
                == "token_signature"
        )
        for header in [
            #"{"alg":"none"}"#, #"{"alg":"None"}"#, #"{"alg":"hs256"}"#, #"{"alg":"HS512"}"#,
            #"{"alg":"ES256K"}"#, #"{"alg":""}"#,
        ] {
            #expect(KeyRing([web]).code(token(payload, header: header)) == "token_algorithm")
        }
        #expect(KeyRing([web]).code(pair.token(payload)) == "token_algorithm")
        let unsigned = base64URL(#"{"alg":"HS256"}"#) + "." + base64URL(payload) + "."
        #expect(KeyRing([web]).code(unsigned) == "token_signature")
    }

    @Test func `a signature under ES256 is two numbers, not DER`() {
        let pair = KeyPair(.es256)
        let ring = KeyRing([key("one", .es256, pair.publicPEM)])
        let signed = base64URL(#"{"alg":"ES256"}"#) + "." + base64URL(payload)
        let raw = pair.sign(Array(signed.utf8))
        #expect(ring.code(signed + "." + base64URL(raw)) == nil)
        #expect(
            ring.code(signed + "." + base64URL(ECDSASignature.der(raw))) == "token_signature"
        )
        let zeros = [UInt8](repeating: 0, count: 64)
        #expect(ring.code(signed + "." + base64URL(zeros)) == "token_signature")
        #expect(ring.code(signed + "." + base64URL(raw + [0])) == "token_signature")
    }

    @Test(arguments: [
        "", ".", "..", "a.b", "a.b.c.d", "e30.e30.", "e30.e30.e30", "!.e30.e30",
    ])
    func `what is not a token is malformed`(text: String) {
        #expect(ring.code(text) == "token_malformed")
    }

    @Test func `base64url has one form`() {
        let good = token(payload)
        #expect(ring.code(good) == nil)
        #expect(ring.code(good + "=") == "token_malformed")
        #expect(ring.code(good.replacing("-", with: "+") + "+") == "token_malformed")
        #expect(ring.code(" " + good) == "token_malformed")
        #expect(ring.code(good + "\n") == "token_malformed")
        // 32 bytes end in two characters of which the last has two bits beyond: all but one of four are not zero.
        let last = good.last!
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        let place = alphabet.firstIndex(of: last)!
        let next = alphabet[alphabet.index(after: place)]
        #expect(ring.code(String(good.dropLast()) + String(next)) == "token_malformed")
        #expect(Base64URL.decoded(Array("Zg".utf8)[...]) == Array("f".utf8))
        #expect(Base64URL.decoded(Array("Zh".utf8)[...]) == nil)
        #expect(Base64URL.decoded(Array("Z".utf8)[...]) == nil)
    }

    @Test func `a token cut off anywhere is refused`() {
        let good = token(payload)
        for length in 0..<good.utf8.count {
            #expect(ring.code(String(good.prefix(length))) != nil)
        }
    }

    @Test func `a token beyond 4 KiB is refused unread`() {
        let long = token(#"{"exp":1767225601,"x":"\#(String(repeating: "x", count: 4000))"}"#)
        #expect(long.utf8.count > Token.byteLimit && ring.code(long) == "token_too_large")
        let fits = token(#"{"exp":1767225601,"x":"\#(String(repeating: "x", count: 2900))"}"#)
        #expect(fits.utf8.count <= Token.byteLimit && ring.code(fits) == nil)
    }

    @Test func `nothing of a token but its header is read before its signature`() {
        for (payload, code) in [
            (#"{"exp":1767225600}"#, "expired"), (#"{"exp":1}"#, "expired"),
            (#"{"exp":1767225999,"nbf":1767225606}"#, "token_not_yet_valid"),
            (#"{"exp":1767225999,"aud":"other"}"#, "token_audience"),
            (#"{}"#, "token_claims"), (#"{"exp":"1767225999"}"#, "token_claims"),
            (#"{"exp":-1}"#, "token_claims"), (#"{"exp":1e300}"#, "token_claims"),
            (#"{"exp":null}"#, "token_claims"), (#"{"exp":1767225999,"nbf":true}"#, "token_claims"),
            ("not json", "token_malformed"), (#"{"exp":1,"exp":2}"#, "token_malformed"),
        ] {
            let wrong = token(payload, secret: secret.reversed())
            #expect(ring.code(wrong) == "token_signature", "\(payload)")
            #expect(ring.code(token(payload)) == code, "\(payload)")
        }
        // The clock of its maker may be slightly ahead.
        #expect(ring.code(token(#"{"exp":1767225999,"nbf":1767225605}"#)) == nil)
        let header = base64URL(#"{"alg":"HS256"}"#)
        #expect(ring.code(header + ".!." + base64URL("x")) == "token_signature")
    }

    @Test func `two keys with one secret tell their tokens by the audience`() throws {
        let ring = KeyRing(
            ["one", "two"].map { name in key(name, .hs256, secret) { $0.audience = name } }
        )
        #expect(try ring.visa(token(#"{"exp":1767225601,"aud":"two"}"#)).keyName == "two")
        #expect(ring.code(token(#"{"exp":1767225601,"aud":"three"}"#)) == "token_audience")
    }

    @Test func `a service that is not the audience refuses, and so does one without an audience`() {
        let ring = KeyRing([key("web", .hs256, secret) { $0.audience = "https://www.example.org" }])
        #expect(ring.code(token(#"{"exp":1767225601}"#)) == "token_audience")
        #expect(ring.code(token(#"{"exp":1767225601,"aud":"https://www.example.org"}"#)) == nil)
        #expect(
            ring.code(token(#"{"exp":1767225601,"aud":["x","https://www.example.org"]}"#)) == nil
        )
        #expect(ring.code(token(#"{"exp":1767225601,"aud":[]}"#)) == "token_audience")
        #expect(ring.code(token(#"{"exp":1767225601,"aud":7}"#)) == "token_claims")
    }

    @Test func `a name that stands twice is refused, at every depth`() {
        for payload in [
            #"{"exp":1767225601,"exp":1767225602}"#, #"{"exp":1767225601,"e\u0078p":1}"#,
            #"{"exp":1767225601,"holdfast":{"read":["a"],"read":["**"]}}"#,
            #"{"exp":1767225601,"x":[{"y":{"z":1,"z":2}}]}"#,
        ] {
            #expect(ring.code(token(payload)) == "token_malformed", "\(payload)")
        }
        let header = #"{"alg":"HS256","alg":"none"}"#
        #expect(ring.code(token(payload, header: header)) == "token_malformed")
    }

    @Test func `a header that asks for an extension is refused`() {
        for header in [
            #"{"alg":"HS256","crit":["b64"],"b64":false}"#, #"{"alg":"HS256","crit":["exp"]}"#,
            #"{"alg":"HS256","crit":[]}"#,
        ] {
            #expect(ring.code(token(payload, header: header)) == "token_critical")
        }
    }

    @Test func `a header cannot bring its own key`() {
        let header = #"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"},"jku":"https://x","x5c":[""]}"#
        #expect(ring.code(token(payload, header: header)) == nil)
        #expect(ring.code(token(payload, header: header, secret: [0, 0, 0])) == "token_signature")
    }

    @Test func `kid selects only among the keys that there are`() {
        let old = key("old", .hs256, secret.reversed())
        let ring = KeyRing([web, old])
        func header(_ kid: String) -> String { #"{"alg":"HS256","kid":\#(kid)}"# }
        #expect(ring.code(token(payload, header: header(#""web""#))) == nil)
        #expect(ring.code(token(payload, header: header(#""old""#))) == "token_signature")
        #expect(ring.code(token(payload, header: header(#""new""#))) == "token_unknown_key")
        #expect(ring.code(token(payload, header: header("7"))) == "token_malformed")
        // Without it, all that have its algorithm are tried: while keys change, both are good.
        #expect(try! ring.visa(token(payload, secret: secret.reversed())).keyName == "old")
        #expect(ring.code(token(payload, secret: secret + [1])) == "token_signature")
        #expect(KeyRing([]).code(token(payload)) == "token_unknown_key")
    }

    @Test func `claims of another shape are refused, not guessed`() {
        for payload in [
            #"{"exp":1767225601,"sub":7}"#, #"{"exp":1767225601,"holdfast":[]}"#,
            #"{"exp":1767225601,"holdfast":{"read":7}}"#,
            #"{"exp":1767225601,"holdfast":{"read":[7]}}"#,
            #"{"exp":1767225601,"holdfast":{"read":["a b"]}}"#,
            #"{"exp":1767225601,"holdfast":{"publish":["a//b"]}}"#,
            #"{"exp":1767225601,"mercure":{"subscribe":"*"}}"#,
        ] {
            #expect(ring.code(token(payload)) == "token_claims", "\(payload)")
        }
        #expect(ring.code(token("[]")) == "token_malformed")
        #expect(ring.code(token("not json")) == "token_malformed")
    }

    @Test func `deep nesting is refused before it costs anything`() {
        let deep = String(repeating: "[", count: 400) + String(repeating: "]", count: 400)
        #expect(ring.code(token(#"{"exp":1767225601,"x":\#(deep)}"#)) == "token_malformed")
    }

    @Test func `selectors of Mercure that are patterns of channels grant these`() throws {
        let text = token(
            #"{"exp":1767225601,"mercure":{"subscribe":["news","books/{id}","https://example.com/{x}","a-{b}","{+all}","x/*"],"publish":["*"]}}"#
        )
        let visa = try ring.visa(text)
        #expect(visa.read.map(\.text) == ["news", "books/*"] && visa.publish.map(\.text) == ["**"])
        let contents = try KeyRing.contents(ofToken: Array(text.utf8))
        #expect(
            contents.claims.foreignSelectors == [
                "https://example.com/{x}", "a-{b}", "{+all}", "x/*",
            ]
        )
    }

    @Test func `keys that cannot be used say why`() {
        func wrong(_ contents: [UInt8], _ algorithm: KeySettings.Algorithm) -> String? {
            do throws(KeyProblem) {
                _ = try KeySettings.material(in: contents, of: algorithm)
                return nil
            } catch {
                return error.wrong
            }
        }
        let pair = KeyPair(.es256)
        #expect(wrong(Array("short".utf8), .hs256)?.contains("only 5 bytes") == true)
        #expect(wrong(secret + [0x0A], .hs256) == nil)
        #expect(
            try! KeySettings.material(in: secret + [0x0D, 0x0A], of: .hs256) == secret
        )
        // `trim` of PHP would see another secret.
        for end in [" ", "\t\n", "\n\nx", "\0"] {
            let wrong = wrong(secret + Array(end.utf8), .hs256)
            #expect(wrong?.contains("one line without blanks") == true, "\(end.debugDescription)")
        }
        #expect(wrong(pair.publicPEM, .hs256)?.contains("PEM form") == true)
        #expect(wrong(pair.publicPEM, .es256) == nil)
        #expect(wrong(pair.publicPEM, .eddsa)?.contains("for ES256, not for EdDSA") == true)
        #expect(wrong(secret, .es256)?.contains("not a public key") == true)
        let privateKey = Array("-----BEGIN PRIVATE KEY-----\nMC4=\n".utf8)
        #expect(wrong(privateKey, .eddsa)?.contains("private key") == true)
    }
}
