import Channels
import Configuration
import Liveness
import Testing

@testable import Endpoint
@testable import Identity

/// What a poll asks for is made out once for all that have their variables in common; who comes, and with what right, is
/// judged for each.
@Suite final class PollMemoryTests {
    /// 1 January 2026, on both clocks.
    private static let clock = Clock(
        wallMilliseconds: 1_767_225_600_000,
        monotonicMilliseconds: 5000
    )

    private var settings: Settings = {
        var settings = Settings()
        settings.keys = ["web", "app"].map {
            var key = KeySettings(name: $0)
            key.material = Array("0123456789abcdef0123456789abcdef\($0)".utf8)
            return key
        }
        settings.allow = [
            AllowRule(pattern: ChannelPattern("room")!, read: .local([], keys: ["web", "app"])),
            AllowRule(pattern: ChannelPattern("open")!, read: .everyone),
        ]
        settings.presence = [PresenceRule(pattern: ChannelPattern("**")!)]
        return settings
    }()
    private lazy var http = HTTPInterface(settings: settings)
    private var memory = PollMemory()

    /// Requests with these variables, which are read once.
    private func common(
        _ uri: String,
        _ variables: KeyValuePairs<String, String> = [:],
        method: String = "GET"
    ) -> CGIRequest {
        var request = CGIRequest(
            [("REQUEST_METHOD", method), ("REQUEST_URI", uri)] + variables.map { ($0, $1) }
        )
        request.parseFields()
        return request
    }

    /// One of them.
    private func one(
        of common: CGIRequest,
        _ token: TokenVerdict = .none,
        own: String = "",
        with particulars: KeyValuePairs<String, String> = [:],
        body: String = ""
    ) -> CGIRequest {
        var request = common
        request.forgetParticulars()
        for (name, value) in particulars { request.put(name, Array(value.utf8)) }
        Array("REQUEST_URI".utf8).withUnsafeBytes { name in
            Array(own.utf8).withUnsafeBytes { request.setParticular(name, $0) }
        }
        (request.clock, request.token, request.body) = (Self.clock, token, Array(body.utf8))
        return request
    }

    /// What it asks for, which is what it asks for without others.
    private func intent(_ request: CGIRequest, random: UInt32 = 0) -> Intent {
        let intent = http.intent(of: request, random: random, &memory)
        var (text, alone) = ("", "")
        dump(intent, to: &text)
        dump(http.intent(of: request, random: random), to: &alone)
        #expect(text == alone)
        return intent
    }

    private func judged(_ request: CGIRequest, random: UInt32 = 0) -> Poll? {
        if case .subscribe(let poll) = intent(request, random: random) { poll } else { nil }
    }

    private func refusal(_ request: CGIRequest) -> String? {
        if case .answer(let answer) = intent(request) { Reply(answer)?.code } else { nil }
    }

    /// A token that is good for so many seconds.
    private func token(
        _ seconds: Int64,
        key: Int = 0,
        name: String? = nil,
        read: String = "room"
    ) -> TokenVerdict {
        .good(
            Visa(
                key: settings.keys[key].fingerprint,
                keyName: settings.keys[key].name,
                name: name,
                read: [ChannelPattern(read)!],
                publish: [],
                expires: Self.clock.wallMilliseconds + seconds * 1000
            ),
            .sent
        )
    }

    @Test func `a poll was held by the right of the one before`() throws {
        let room = common("/push/room?wait=20")
        for (seconds, key) in [(600, 0), (7, 1), (60, 0)] as [(Int64, Int)] {
            let poll = try #require(judged(one(of: room, token(seconds, key: key))))
            let right = try #require(poll.origin.right)
            #expect(right.endsAt == 5000 + seconds * 1000)
            #expect(right.key == settings.keys[key].fingerprint.value)
        }
        #expect(refusal(one(of: room)) == "credentials_required")
        #expect(refusal(one(of: room, token(600, read: "other"))) == "read_forbidden")
        #expect(refusal(one(of: room, token(0))) == "expired")
        #expect(refusal(one(of: room, .bad(.wrongSignature, .sent))) == "token_signature")
        // What is open to everyone rests on no right.
        let open = common("/push/open?wait=20")
        for token in [token(600), .none, token(7)] {
            #expect(try #require(judged(one(of: open, token))).origin.right == nil)
        }
    }

    @Test func `a poll by a signed link was held by the right of the one before`() throws {
        let link = SignedLink(
            channels: [channel("room")],
            expires: "\(Self.clock.wallMilliseconds / 1000 + 60)"
        )
        let signature = http.ring.signature(of: link, keyName: "web")!
        let room = common("/push/?\(link.query(keyName: nil, signature: signature))&wait=20")
        for milliseconds in [0, 30_000] as [Int64] {
            var request = one(of: room)
            request.clock = Self.clock.at(monotonic: 5000 + milliseconds)
            #expect(try #require(judged(request)).origin.right?.endsAt == 65_000)
        }
        var late = one(of: room)
        late.clock = Self.clock.at(monotonic: 65_000)
        #expect(refusal(late) == "expired")
    }

    @Test func `a reload counts for the next one that asks for the same`() throws {
        let room = common("/push/room?wait=20")
        #expect(judged(one(of: room, token(600))) != nil)
        let before = token(600)
        settings.keys[0].material.append(1)
        http = HTTPInterface(settings: settings)
        #expect(refusal(one(of: room, before)) == "token_unknown_key")
        #expect(judged(one(of: room, token(600))) != nil)
        settings.allow.removeFirst()
        http = HTTPInterface(settings: settings)
        #expect(refusal(one(of: room, token(600))) == "read_forbidden")
    }

    @Test func `a poll comes from whom it says itself`() throws {
        let room = common("/push/room?wait=20")
        let ada = try #require(
            judged(
                one(
                    of: room,
                    token(600, name: "ada"),
                    own: "subscriber=0123456789abcdef&name=eve",
                    with: ["REMOTE_ADDR": "10.0.0.1"]
                )
            )
        ).origin
        #expect(ada.member?.name == "ada" && ada.member?.isVerified == true)
        let eve = try #require(
            judged(
                one(
                    of: room,
                    token(600),
                    own: "subscriber=fedcba9876543210&name=eve",
                    with: ["REMOTE_ADDR": "10.0.0.2"]
                )
            )
        ).origin
        #expect(eve.member?.name == "eve" && eve.member?.isVerified == false)
        #expect(eve.subscriber != ada.subscriber && eve.address != ada.address)
        let nobody = try #require(judged(one(of: room, token(600)))).origin
        #expect(nobody.member == nil && nobody.subscriber == nil && nobody.address == nil)
        #expect(refusal(one(of: room, token(600), own: "name=%ff")) == "malformed_path")
        #expect(refusal(one(of: room, token(600), own: "subscriber=short")) != nil)
    }

    @Test func `what all of them ask for is the same for each`() throws {
        let known = common("/push/open", ["HTTP_IF_NONE_MATCH": #""k7f2-5""#])
        for _ in 0..<2 {
            let poll = try #require(judged(one(of: known)))
            #expect(poll.ifNoneMatch == #""k7f2-5""# && poll.isRevalidating)
        }
        // Others: they did not ask whether something changed.
        let unknown = common("/push/open")
        for _ in 0..<2 { #expect(try #require(judged(one(of: unknown))).ifNoneMatch == nil) }
        settings.hold.cacheHistorySeconds = 60
        http = HTTPInterface(settings: settings)
        let page = common("/push/open?since=k7f2-5")
        for _ in 0..<2 {
            let poll = try #require(judged(one(of: page)))
            #expect(poll.cacheSeconds == 60 && !poll.isRevalidating)
        }
    }

    @Test func `each hold is as long as its own chance and its right say`() throws {
        settings.hold.jitterPercent = 10
        settings.hold.grantedSeconds = 8
        http = HTTPInterface(settings: settings)
        let open = common("/push/open?wait=20")
        for (random, wait) in [(0, 20_000), (.max, 18_001), (1 << 31, 19_000)] as [(UInt32, Int)] {
            #expect(try #require(judged(one(of: open), random: random)).waitMilliseconds == wait)
        }
        let granted = common("/push/room?wait=20", ["HOLDFAST_READ": "room"])
        for _ in 0..<2 { #expect(try #require(judged(one(of: granted))).waitMilliseconds == 8000) }
    }

    @Test func `a poll asked for what the body of the one before had asked for`() throws {
        let search = common(
            "/push/",
            ["CONTENT_TYPE": "application/x-www-form-urlencoded"],
            method: "QUERY"
        )
        for offset in [5, 9] as [Int64] {
            let body = "channel=open&since=k7f2-\(offset)&wait=20"
            let poll = try #require(judged(one(of: search, body: body)))
            guard case .cursor(cursor(offset)) = poll.start else {
                Issue.record("it has the cursor of another one")
                return
            }
        }
    }

    @Test func `a classic page went on at the cursor of the one before`() throws {
        var endpoint = FixedEndpoint(path: "/sub", action: .subscribe)
        endpoint.channels = [channel("open")]
        endpoint.cursor = .cookie
        endpoint.waitSeconds = 20
        settings.endpoints = [endpoint]
        http = HTTPInterface(settings: settings)
        let page = common("/sub")
        let first = try #require(judged(one(of: page)))
        let name = try #require(first.subscription.cookie?.name)
        for offset in [5, 9] as [Int64] {
            let cookie = "\(name)=\(cursor(offset))"
            let poll = try #require(judged(one(of: page, with: ["HTTP_COOKIE": cookie])))
            guard case .cursor(cursor(offset)) = poll.start else {
                Issue.record("it has the cursor of another one")
                return
            }
        }
    }

    @Test func `of several channels the first that is refused is told`() {
        let both = common("/push/room,open?wait=20")
        #expect(judged(one(of: both, token(600))) != nil)
        #expect(refusal(one(of: both)) == "credentials_required")
    }
}
