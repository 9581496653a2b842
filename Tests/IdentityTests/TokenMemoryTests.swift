import Testing

@testable import Identity

@Suite struct TokenMemoryTests {
    private let ring = KeyRing([web])

    private func visa(
        _ text: String,
        _ memory: inout TokenMemory,
        from source: TokenSource = .sent,
        at time: Int64 = now
    ) throws(Refusal) -> Visa {
        try memory.visa(forToken: Array(text.utf8), from: source, in: ring, now: time)
    }

    private func numbered(_ number: Int) -> String {
        token(#"{"exp":1767225660,"sub":"\#(number)"}"#)
    }

    @Test func `a token is verified once`() throws {
        var memory = TokenMemory(byteLimit: 100_000)
        let first = try visa(numbered(1), &memory)
        for _ in 0..<10 { #expect(try visa(numbered(1), &memory) == first) }
        #expect(memory.counters.verified == 1 && memory.counters.remembered == 10)
        #expect(memory.count == 1)
    }

    @Test func `a remembered token expires`() throws {
        var memory = TokenMemory(byteLimit: 100_000)
        _ = try visa(numbered(1), &memory)
        _ = try visa(numbered(1), &memory, at: now + 59_999)
        #expect(throws: Refusal.expired) { try visa(numbered(1), &memory, at: now + 60_000) }
    }

    @Test func `however many tokens come, the memory keeps its bound and those in use`() throws {
        var memory = TokenMemory(byteLimit: 64_000)
        for number in 0..<2000 {
            _ = try visa(numbered(number), &memory)
            #expect(memory.byteCount <= 64_000)
            if number % 10 == 0 { _ = try visa(numbered(0), &memory) }
        }
        #expect(memory.count > 100 && memory.count < 300)
        // The one that came again and again was verified once.
        #expect(memory.counters.verified == 2000)
    }

    @Test func `bad tokens are remembered apart, so that they take no good one's place`() throws {
        var memory = TokenMemory(byteLimit: 100_000)
        for number in 0..<10 { _ = try visa(numbered(number), &memory) }
        let before = memory.byteCount
        for number in 0..<5000 {
            let bad = token(#"{"exp":1767225660,"sub":"\#(number)"}"#, secret: secret + [1])
            #expect(throws: Refusal.wrongSignature) { try visa(bad, &memory) }
        }
        #expect(memory.byteCount == before && memory.count == 10)
        let verified = memory.counters.verified
        for number in 0..<10 { _ = try visa(numbered(number), &memory) }
        #expect(memory.counters.verified == verified)
    }

    @Test(arguments: [TokenSource.sent, .cookie("session")])
    func `the same bad token again and again costs one signature, however it comes`(
        source: TokenSource
    ) throws {
        let ring = KeyRing([key("web", .hs256, secret) { $0.cookie = "session" }])
        var memory = TokenMemory(byteLimit: 100_000)
        for (payload, signer, refusal) in [
            (#"{"exp":1767225660}"#, secret + [1], Refusal.wrongSignature),
            (#"{"exp":1767225660,"aud":"x"}"#, secret, .wrongAudience),
            (#"{"exp":1767225660,"sub":7}"#, secret, .unusableClaim("'sub' is not a string")),
            (#"{"exp":1767225600}"#, secret, .expired),
        ] {
            let text = Array(token(payload, secret: signer).utf8)
            let (verified, refused) = (memory.counters.verified, memory.counters.refused)
            for _ in 0..<5 {
                #expect(throws: refusal) {
                    try memory.visa(forToken: text, from: source, in: ring, now: now)
                }
            }
            #expect(memory.counters.verified + memory.counters.refused == verified + refused + 1)
            #expect(memory.counters.refusals[refusal.kind] == 5)
        }
        #expect(memory.counters.remembered == 16 && memory.counters.refusals.total == 20)
    }

    @Test func `a clock that was ahead has not ended a token for ever`() throws {
        var memory = TokenMemory(byteLimit: 100_000)
        #expect(throws: Refusal.expired) { try visa(numbered(1), &memory, at: now + 90_000) }
        _ = try visa(numbered(1), &memory)
    }

    @Test func `what was verified in one way is not taken for verified in another`() throws {
        let ring = KeyRing([
            key("a", .hs256, secret), key("b", .hs256, secret) { $0.cookie = "session" },
        ])
        var memory = TokenMemory(byteLimit: 100_000)
        let text = Array(numbered(1).utf8)
        func keyName(_ text: [UInt8], _ source: TokenSource) throws -> String {
            try memory.visa(forToken: text, from: source, in: ring, now: now).keyName
        }
        #expect(try keyName(text, .sent) == "a" && keyName(text, .cookie("session")) == "b")
        #expect(try keyName(text, .sent) == "a" && keyName(text, .cookie("session")) == "b")
        #expect(throws: Refusal.self) { try keyName(Array("session".utf8) + [0] + text, .sent) }
    }

    @Test func `a token that is not valid yet becomes valid`() throws {
        var memory = TokenMemory(byteLimit: 100_000)
        let early = token(#"{"exp":1767225660,"nbf":1767225610}"#)
        #expect(throws: Refusal.notYetValid) { try visa(early, &memory) }
        _ = try visa(early, &memory, at: now + 10_000)
    }

    @Test func `a token counts in a cookie only where its key says so`() throws {
        let ring = KeyRing([
            key("web", .hs256, secret) { $0.cookie = "session" },
            key("api", .hs256, secret.reversed()),
        ])
        var memory = TokenMemory(byteLimit: 100_000)
        func visa(_ text: String, _ source: TokenSource) throws(Refusal) -> Visa {
            try memory.visa(forToken: Array(text.utf8), from: source, in: ring, now: now)
        }
        let api = token(#"{"exp":1767225660}"#, secret: secret.reversed())
        _ = try visa(api, .sent)
        #expect(throws: Refusal.wrongSignature) { try visa(api, .cookie("session")) }
        #expect(throws: Refusal.unknownKey) { try visa(api, .cookie("other")) }
        _ = try visa(numbered(1), .cookie("session"))
        _ = try visa(numbered(1), .sent)
        // One that is refused in a cookie is not refused for ever.
        let other = token(#"{"exp":1767225661}"#, secret: secret.reversed())
        #expect(throws: Refusal.wrongSignature) { try visa(other, .cookie("session")) }
        _ = try visa(other, .sent)
    }

    @Test func `a token larger than half the memory is verified each time`() throws {
        var memory = TokenMemory(byteLimit: 1000)
        _ = try visa(numbered(1), &memory)
        let patterns = (0..<20).map { #""a/\#($0)""# }.joined(separator: ",")
        let large = token(#"{"exp":1767225660,"holdfast":{"read":[\#(patterns)]}}"#)
        for _ in 0..<3 { #expect(try visa(large, &memory).read.count == 20) }
        #expect(memory.byteCount <= 1000)
    }

    @Test func `more than some thousand tokens were verified anew at each poll`() throws {
        // Of each half of the default, as much as a held request of the default can have.
        let count = 2000
        var memory = TokenMemory(byteLimit: 2 * 800 * count)
        let rest = String(repeating: "x", count: 300)
        let patterns = #"["user/12345/**","news/*","chat/room/1"]"#
        for bad in [false, true] {
            let tokens = (0..<count).map { number in
                Array(
                    token(
                        #"{"exp":1767225660,"sub":"\#(number)","x":"\#(rest)","holdfast":{"read":\#(patterns)}}"#,
                        secret: bad ? secret + [1] : secret
                    ).utf8
                )
            }
            for _ in 0..<3 {
                for text in tokens {
                    _ = try? memory.visa(forToken: text, from: .sent, in: ring, now: now)
                }
            }
        }
        #expect(memory.counters.verified == count && memory.counters.refused == count)
        #expect(memory.counters.remembered == 4 * count)
        #expect(memory.byteCount <= memory.byteLimit)
    }
}
