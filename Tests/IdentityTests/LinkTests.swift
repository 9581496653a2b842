import Channels
import Testing

@testable import Identity

@Suite struct LinkTests {
    private let ring = KeyRing([web])

    private func link(
        _ channels: [String],
        expires: String = "1767225601",
        rights: String? = nil,
        user: String? = nil
    ) -> SignedLink {
        SignedLink(
            channels: channels.map { try! ChannelName($0) },
            expires: expires,
            rights: rights,
            user: user
        )
    }

    private func code(_ link: SignedLink, signature: String, key: String? = nil) -> String? {
        do throws(Refusal) {
            _ = try ring.visa(for: link, keyName: key, signature: signature, now: now)
            return nil
        } catch {
            return error.code.description
        }
    }

    private func signature(_ link: SignedLink) -> String {
        ring.signature(of: link, keyName: "web")!
    }

    @Test func `what is signed is the query as it stands there before any escaping`() {
        let text = link(["a", "b/c"], rights: "read,publish", user: "Ada & co")
            .text(audience: nil)
        #expect(
            String(decoding: text, as: UTF8.self)
                == "channel=a,b/c&expires=1767225601&rights=read,publish&user=Ada & co"
        )
        #expect(
            String(decoding: link(["a"]).text(audience: "https://x"), as: UTF8.self)
                == "audience=https://x&channel=a&expires=1767225601"
        )
    }

    @Test func `a link permits what it was signed for`() throws {
        let both = link(["a", "b"], rights: "read,publish", user: "ada")
        let visa = try ring.visa(
            for: both,
            keyName: nil,
            signature: signature(both),
            now: now
        )
        #expect(visa.read.map(\.text) == ["a", "b"] && visa.publish.map(\.text) == ["a", "b"])
        #expect(visa.name == "ada" && visa.expires == now + 1000)
        let one = link(["a"])
        let plain = try ring.visa(for: one, keyName: "web", signature: signature(one), now: now)
        #expect(plain.read.map(\.text) == ["a"] && plain.publish == [] && plain.name == nil)
    }

    @Test func `nothing of a link can be changed`() {
        let good = link(["a", "b"], user: "ada")
        let signature = signature(good)
        #expect(code(good, signature: signature) == nil)
        #expect(code(good, signature: signature.uppercased()) == nil)
        for other in [
            link(["a"], user: "ada"), link(["b", "a"], user: "ada"), link(["a", "b"]),
            link(["a", "b", "c"], user: "ada"), link(["a", "b"], user: "eve"),
            link(["a", "b"], expires: "1767225602", user: "ada"),
            link(["a", "b"], rights: "publish", user: "ada"),
            link(["a", "b"], rights: "read", user: "ada"),
            link(["a", "b"], expires: "01767225601", user: "ada"),
        ] {
            #expect(code(other, signature: signature) == "link_signature")
        }
    }

    @Test func `form and time of a link come before its signature`() {
        let good = link(["a"])
        for wrong in ["", "abc", String(repeating: "g", count: 64), signature(good) + "0"] {
            #expect(code(good, signature: wrong) == "link_malformed")
        }
        for expires in ["", "x", "-1", "1e9", " 1767225601", "9999999999999"] {
            let wrong = link(["a"], expires: expires)
            #expect(code(wrong, signature: signature(wrong)) == "link_malformed")
        }
        let right = link(["a"], rights: "write")
        #expect(code(right, signature: signature(right)) == "link_malformed")
        let old = link(["a"], expires: "1767225600")
        #expect(code(old, signature: signature(old)) == "expired")
        #expect(code(good, signature: signature(good), key: "other") == "link_unknown_key")
    }

    @Test func `a link counts only where the key has the audience of its signer`() throws {
        func ring(_ audience: String?) -> KeyRing {
            KeyRing([key("web", .hs256, secret) { $0.audience = audience }])
        }
        let audiences = ["https://www.example.org", "https://staging.example.org", nil]
        for signer in audiences {
            let signature = ring(signer).signature(of: link(["a"]), keyName: "web")!
            for reader in audiences {
                let visa = try? ring(reader).visa(
                    for: link(["a"]),
                    keyName: nil,
                    signature: signature,
                    now: now
                )
                #expect((visa != nil) == (signer == reader))
            }
        }
    }

    @Test func `a public key signs no links`() {
        let pair = KeyPair(.eddsa)
        let ring = KeyRing([key("ed", .eddsa, pair.publicPEM)])
        #expect(ring.signature(of: link(["a"]), keyName: "ed") == nil)
        #expect(throws: Refusal.unknownLinkKey) {
            try ring.visa(
                for: link(["a"]),
                keyName: nil,
                signature: String(repeating: "0", count: 64),
                now: now
            )
        }
    }

    @Test func `a link's query is escaped`() {
        let query = link(["a/b", "c"], user: "Ada & co").query(keyName: "web", signature: "00")
        #expect(
            query
                == "channel=a/b&channel=c&expires=1767225601&user=Ada%20%26%20co&key=web&signature=00"
        )
    }
}
