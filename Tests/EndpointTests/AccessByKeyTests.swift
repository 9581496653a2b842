import Channels
import Configuration
import Liveness
import Testing

@testable import Endpoint
@testable import Identity

/// Signed links and tokens, as far as they are about channels.
@Suite struct AccessByKeyTests {
    private static let secret = Array("0123456789abcdef0123456789abcdef".utf8)
    /// 1 January 2026, on both clocks.
    private static let clock = Clock(
        wallMilliseconds: 1_767_225_600_000,
        monotonicMilliseconds: 5000
    )
    private static let later = 1_767_225_660

    private let settings: Settings = {
        var settings = Settings()
        var (web, other) = (KeySettings(name: "web"), KeySettings(name: "other"))
        (web.material, other.material) = (secret, secret.reversed())
        settings.keys = [web, other]
        settings.allow = [
            AllowRule(
                pattern: ChannelPattern("user/**")!,
                read: .local([], keys: ["web"]),
                publish: .local([.user("php")], keys: ["web"])
            ),
            AllowRule(pattern: ChannelPattern("open")!, read: .everyone, publish: .everyone),
            AllowRule(pattern: ChannelPattern("user/0")!, read: .nobody),
        ]
        settings.presence = [PresenceRule(pattern: ChannelPattern("**")!)]
        return settings
    }()

    private var http: HTTPInterface { HTTPInterface(settings: settings) }

    /// The query of a link.
    private func link(
        _ channels: [String],
        rights: String? = nil,
        user: String? = nil,
        key: String = "web"
    ) -> String {
        let link = SignedLink(
            channels: channels.map(channel),
            expires: "\(Self.later)",
            rights: rights,
            user: user
        )
        let signature = http.ring.signature(of: link, keyName: key)!
        return link.query(keyName: nil, signature: signature)
    }

    private func visa(
        read: [String] = [],
        publish: [String] = [],
        name: String? = nil,
        key: String = "web"
    ) -> Visa {
        Visa(
            key: settings.keys.first { $0.name == key }!.fingerprint,
            keyName: key,
            name: name,
            read: read.map { ChannelPattern($0)! },
            publish: publish.map { ChannelPattern($0)! },
            expires: Int64(Self.later) * 1000
        )
    }

    private func get(_ uri: String, _ token: TokenVerdict = .none) -> CGIRequest {
        var request = CGIRequest.get(uri)
        (request.clock, request.token) = (Self.clock, token)
        return request
    }

    private func post(
        _ uri: String,
        _ token: TokenVerdict = .none,
        _ headers: KeyValuePairs<String, String> = [:]
    ) -> CGIRequest {
        var request = CGIRequest.post(uri, headers, body: "x")
        (request.clock, request.token) = (Self.clock, token)
        return request
    }

    @Test func `a signed link lets its channels be read, until it expires`() throws {
        let poll = try #require(http.poll(get("/push/?\(link(["user/1", "user/2"]))&wait=20")))
        #expect(poll.subscription.channels.map(\.text) == ["user/1", "user/2"])
        #expect(poll.origin.right?.endsAt == 65_000)
        #expect(poll.waitMilliseconds > 15_000)
        // In the path, too, and beside others.
        let query = link(["user/1"]).replacing("channel=user/1&", with: "")
        #expect(http.poll(get("/push/user/1?since=now&\(query)")) != nil)
        #expect(http.refusal(get("/push/user/1,user/2?\(query)")) == "link_signature")
        #expect(http.refusal(get("/push/user/2?\(query)")) == "link_signature")
        #expect(http.stream(get("/push/?\(link(["user/1"]))&stream=sse"))?.origin.right != nil)
        var request = get("/push/?\(link(["user/1"]))")
        request.clock = Clock(wallMilliseconds: Int64(Self.later) * 1000)
        #expect(http.refusal(request) == "expired")
    }

    @Test func `a link opens only what the ini file opens to its key`() throws {
        #expect(http.refusal(get("/push/?\(link(["other"]))")) == "read_forbidden")
        #expect(http.refusal(get("/push/?\(link(["user/0"]))")) == "read_forbidden")
        #expect(http.refusal(get("/push/?\(link(["user/1"], key: "other"))")) == "read_forbidden")
        // Channels of presence are read like their channel.
        #expect(http.poll(get("/push/?\(link(["~presence/user/1"]))")) != nil)
        #expect(http.poll(get("/push/?\(link(["open", "user/1"]))")) != nil)
    }

    @Test func `a link permits to publish only if it says so`() throws {
        let read = link(["user/1"])
        #expect(http.refusal(post("/push/?\(read)")) == "publish_forbidden")
        let both = link(["user/1"], rights: "read,publish", user: "ada")
        let publication = try #require(http.publication(post("/push/?\(both)")))
        #expect(publication.publisher == "user:ada")
        #expect(http.poll(get("/push/?\(both)")) != nil)
        let publish = link(["user/1"], rights: "publish")
        #expect(http.publication(post("/push/?\(publish)")) != nil)
        #expect(http.refusal(get("/push/?\(publish)")) == "read_forbidden")
        #expect(
            http.refusal(post("/push/?\(link(["~presence/user/1"], rights: "publish"))"))
                == "reserved_channel"
        )
    }

    @Test func `the user of a link is verified, the name beside it is not`() throws {
        let signed = try #require(
            http.poll(get("/push/?\(link(["user/1"], user: "ada"))&name=eve"))
        )
        #expect(signed.origin.member?.name == "ada" && signed.origin.member?.isVerified == true)
        let free = try #require(http.poll(get("/push/?\(link(["user/1"]))&name=eve")))
        #expect(free.origin.member?.name == "eve" && free.origin.member?.isVerified == false)
        #expect(http.refusal(get("/push/?\(link(["user/1"]))&user=eve")) == "link_signature")
    }

    @Test func `without a token a channel of a key asks for one`() throws {
        let reply = try #require(http.answer(get("/push/user/1")))
        #expect(reply.status == 401 && reply.code == "credentials_required")
        #expect(reply["WWW-Authenticate"] == #"Bearer realm="holdfast""#)
        #expect(http.answer(get("/push/other"))?.status == 403)
        #expect(http.answer(get("/push/user/0"))?.status == 403)
    }

    @Test func `a token gives the rights that it and the ini file agree on`() throws {
        let good = TokenVerdict.good(visa(read: ["user/1/**", "other"], name: "ada"), .sent)
        let poll = try #require(http.poll(get("/push/user/1/a?wait=5", good)))
        #expect(poll.origin.right?.endsAt == 65_000 && poll.origin.member?.name == "ada")
        let reply = try #require(http.answer(get("/push/user/2", good)))
        #expect(reply.status == 403 && reply.code == "read_forbidden")
        #expect(reply["WWW-Authenticate"]?.contains("insufficient_scope") == true)
        #expect(http.answer(get("/push/other", good))?.status == 403)
        #expect(http.refusal(post("/push/user/1", good)) == "publish_forbidden")
        // What is open to everyone needs no right of it.
        let open = try #require(http.poll(get("/push/open?wait=5", good)))
        #expect(open.origin.right == nil && open.origin.member?.isVerified == true)
        let other = TokenVerdict.good(visa(read: ["**"], key: "other"), .sent)
        #expect(http.refusal(get("/push/user/1", other)) == "read_forbidden")
    }

    @Test func `a token meant for the web server shut its client out`() throws {
        for refusal in [Refusal.malformedToken("x"), .unknownKey, .wrongSignature, .wrongAudience] {
            let foreign = TokenVerdict.bad(refusal, .sent)
            #expect(http.poll(get("/push/open", foreign)) != nil)
            #expect(http.publication(post("/push/open", foreign)) != nil)
            var granted = CGIRequest.get("/push/user/1,other", ["HOLDFAST_READ": "user/* other"])
            (granted.clock, granted.token) = (Self.clock, foreign)
            #expect(http.poll(granted) != nil)
            // Where nothing lets the request in, and a good one could, it is told what is wrong with this one.
            let reply = try #require(http.answer(get("/push/user/1", foreign)))
            #expect(reply.status == 401 && reply.code == refusal.code.description)
            #expect(reply["WWW-Authenticate"]?.contains("invalid_token") == true)
            #expect(http.refusal(get("/push/other", foreign)) == "read_forbidden")
            #expect(http.refusal(post("/push/user/1", foreign)) == refusal.code.description)
            // A link counts alone.
            #expect(http.poll(get("/push/?\(link(["user/1"]))", foreign)) != nil)
        }
    }

    @Test func `a page whose token is over is told so everywhere, unless it is a cookie`() throws {
        let sent = TokenVerdict.bad(.expired, .sent)
        let cookie = TokenVerdict.bad(.expired, .cookie("session"))
        #expect(http.refusal(get("/push/open", sent)) == "expired")
        #expect(http.refusal(post("/push/open", sent)) == "expired")
        #expect(http.poll(get("/push/open", cookie)) != nil)
        #expect(http.publication(post("/push/open", cookie)) != nil)
        #expect(http.refusal(get("/push/user/1", cookie)) == "expired")
    }

    /// Under the key web; the second is over.
    private static let goodToken =
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NjcyMjU2NjAsImhvbGRmYXN0Ijp7InJlYWQiOlsidXNlci8xIl19fQ"
        + ".9PLWEp_CSjrmY6iunL2AoJ-X1VA6UOIJyvGXTyRgk_A"
    private static let pastToken =
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NjcyMjU2MDB9.pCVBSGj_qlVHqNZdLC5KfDXSCm7UFzGQ3brgtvQ9QJE"

    @Test func `a bad token hid a good one beside it`() throws {
        var settings = settings
        settings.keys[1].cookie = "old"
        settings.keys[0].cookie = "new"
        settings.keys.reverse()
        var check = TokenCheck(settings)
        func source(_ uri: String, _ headers: KeyValuePairs<String, String>) -> TokenSource? {
            var request = CGIRequest.get(uri, headers)
            request.clock = Self.clock
            check.judge(&request)
            if case .good(_, let source) = request.token { return source }
            return nil
        }
        let (good, past) = (Self.goodToken, Self.pastToken)
        let new = TokenSource.cookie("new")
        #expect(source("/push/a", ["HTTP_COOKIE": "new=\(good)"]) == new)
        #expect(source("/push/a", ["HTTP_COOKIE": "old=zzz; new=\(good)"]) == new)
        #expect(source("/push/a", ["HTTP_COOKIE": "old=\(past); new=\(good)"]) == new)
        #expect(source("/push/a", ["HTTP_COOKIE": "new=\(past); new=x; new=\(good)"]) == new)
        let foreign = ("HTTP_AUTHORIZATION", "Bearer opaque")
        #expect(
            source(
                "/push/a",
                KeyValuePairs(dictionaryLiteral: foreign, ("HTTP_COOKIE", "new=\(good)"))
            ) == new
        )
        #expect(
            source("/push/a?access_token=\(good)", KeyValuePairs(dictionaryLiteral: foreign))
                == .sent
        )
        // A skipped token does not count as refused.
        #expect(check.memory.counters.refusals.total == 0)
        #expect(check.memory.counters.verified == 2 && check.memory.counters.remembered == 4)
        // A page that sends one whose time is over is to get a new one.
        #expect(source("/push/a?access_token=\(past)", ["HTTP_COOKIE": "new=\(good)"]) == nil)
        // Each may cost a signature, so not all count.
        let many = String(repeating: "new=x; ", count: TokenCheck.cookieLimit)
        #expect(source("/push/a", ["HTTP_COOKIE": "\(many)new=\(good)"]) == nil)
        #expect(check.memory.counters.refusals.total == 2)
    }

    @Test func `a page of another origin does not act by the visitor's cookie`() throws {
        var settings = settings
        settings.cors.origins = .any
        let http = HTTPInterface(settings: settings)
        let elsewhere: KeyValuePairs = [
            "HTTP_ORIGIN": "https://evil.example", "HTTP_HOST": "www.example.org",
        ]
        let visa = visa(publish: ["user/**"], name: "ada")
        let cookie = TokenVerdict.good(visa, .cookie("session"))
        #expect(http.publication(post("/push/user/1", cookie)) != nil)
        #expect(http.refusal(post("/push/user/1", cookie, elsewhere)) == "credentials_required")
        #expect(
            http.publication(post("/push/open", cookie, elsewhere))?.publisher == "page:"
        )
        let sent = TokenVerdict.good(visa, .sent)
        #expect(http.publication(post("/push/user/1", sent, elsewhere))?.publisher == "user:ada")
    }

    @Test func `a token stays out of the link to the next answer, a signature stays in`() throws {
        let poll = try #require(
            http.poll(get("/push/open?access_token=SECRET&authorization=SECRET&limit=3"))
        )
        #expect(String(decoding: poll.subscription.link!, as: UTF8.self) == "limit=3&")
        let signed = try #require(http.poll(get("/push/?\(link(["user/1"]))&since=now")))
        let link = String(decoding: signed.subscription.link!, as: UTF8.self)
        #expect(link.contains("signature=") && !link.contains("since="))
    }

    @Test func `a verdict from before a reload does not count after it`() throws {
        let (read, name) = (visa(read: ["user/1"], name: "ada"), "session")
        let sent = get("/push/user/1", .good(read, .sent))
        let cookie = get("/push/user/1", .good(read, .cookie(name)))
        #expect(http.poll(sent) != nil && http.poll(cookie) != nil)
        var changed = settings
        changed.keys[0].material.append(1)
        let later = HTTPInterface(settings: changed)
        #expect(later.refusal(sent) == "token_unknown_key")
        #expect(later.refusal(cookie) == "token_unknown_key")
        #expect(later.poll(get("/push/open", .good(read, .sent))) != nil)
        // Its time may be over before its turn comes.
        var late = sent
        late.clock = Self.clock.at(monotonic: 65_000)
        #expect(http.refusal(late) == "expired")
    }

    @Test func `what became of links is counted, also over a reload`() throws {
        let http = http
        let good = link(["user/1"])
        _ = http.poll(get("/push/?\(good)"))
        _ = http.refusal(get("/push/user/2?\(good)"))
        _ = http.refusal(get("/push/user/2?signature=x&expires=1"))
        #expect(http.links.now.verified == 1)
        #expect(http.links.now.refusals[.wrongLinkSignature] == 1)
        #expect(http.links.now.refusals[.malformedLink] == 1)
        #expect(http.links.now.refusals.total == 2)
        #expect(HTTPInterface(settings: settings, links: http.links).links.now.verified == 1)
        // Judged before its body and after it, it is one.
        var upload = post("/push/?\(link(["user/1"], rights: "publish"))")
        upload.awaitsBody = true
        _ = http.verdict(onHead: upload)
        upload.awaitsBody = false
        #expect(http.publication(upload) != nil && http.links.now.verified == 2)
    }

    @Test func `a right stands while its key and the section that names it do`() {
        let right = Right(key: settings.keys[0].fingerprint.value, endsAt: 1)
        let one = [channel("user/1")]
        #expect(http.upholds(right, on: one) && http.upholds(right, on: [channel("open")]))
        var changed = settings
        changed.keys[0].material.append(1)
        #expect(!HTTPInterface(settings: changed).upholds(right, on: one))
        changed = settings
        changed.keys.removeFirst()
        #expect(!HTTPInterface(settings: changed).upholds(right, on: one))
        changed = settings
        changed.allow = changed.allow.map {
            AllowRule(pattern: $0.pattern, read: .local([], keys: ["other"]))
        }
        #expect(!HTTPInterface(settings: changed).upholds(right, on: one))
    }

    @Test func `tokens are found where they may come, and the shell judges them`() throws {
        var settings = settings
        settings.keys[0].cookie = "session"
        var check = TokenCheck(settings)
        func judged(
            _ uri: String,
            _ headers: KeyValuePairs<String, String> = [:]
        ) -> TokenVerdict {
            var request = CGIRequest.get(uri, headers)
            request.clock = Self.clock
            check.judge(&request)
            return request.token
        }
        let bad = TokenVerdict.bad(
            .malformedToken("does not have three parts with dots between them"),
            .sent
        )
        #expect(judged("/push/a") == .none)
        #expect(judged("/push/a", ["HTTP_AUTHORIZATION": "Bearer x"]) == bad)
        #expect(judged("/push/a", ["HTTP_AUTHORIZATION": "bearer  x"]) == bad)
        #expect(judged("/push/a", ["HTTP_AUTHORIZATION": "Basic x"]) == .none)
        #expect(judged("/push/a", ["HTTP_AUTHORIZATION": "Bearer "]) == .none)
        #expect(judged("/push/a?access_token=x") == bad)
        #expect(judged("/push/a?authorization=x&since=now") == bad)
        #expect(judged("/push/a?since=now", ["QUERY_STRING": "access_token=x"]) == bad)
        #expect(judged("/push/a?access%5Ftoken=x") == bad)
        #expect(judged("/push/a?xaccess_token=x&access_token=") == .none)
        let inCookie = judged("/push/a", ["HTTP_COOKIE": "a=b; session=x"])
        guard case .bad(_, .cookie("session")) = inCookie else { return #expect(Bool(false)) }
        #expect(check.memory.counters.refusals.total == 7)
        // The same text again, and the same in a cookie.
        #expect(check.memory.counters.refused == 2 && check.memory.counters.remembered == 5)
        check.reload(Settings())
        #expect(judged("/push/a?access_token=x") == .none)
    }
}
