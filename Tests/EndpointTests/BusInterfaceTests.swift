import Channels
import Configuration
import Testing

@testable import Endpoint

/// What the commands of the bus socket mean.
@Suite struct BusInterfaceTests {
    private let owner = LocalPeer(user: 0, groups: [0], isOwner: true)
    private let web = LocalPeer(user: 33, groups: [33, 44], isOwner: false)

    private func interface(_ change: (inout Settings) -> Void = { _ in }) -> BusInterface {
        var settings = Settings()
        settings.limits.messageBytes = 100
        settings.limits.batchBytes = 200
        settings.limits.batchMessages = 4
        change(&settings)
        return BusInterface(
            settings: settings,
            numbers: [.user("www-data"): 33, .group("editors"): 44, .user("1000"): 1000]
        )
    }

    private func ask(
        _ text: String,
        _ body: String? = nil,
        as peer: LocalPeer? = nil,
        of interface: BusInterface? = nil
    ) -> BusRequest {
        (interface ?? self.interface()).request(
            .command(line: 7, Array(text.utf8), body: body.map { Array($0.utf8) }),
            from: peer ?? owner
        )
    }

    private func publication(_ request: BusRequest) -> Publication? {
        if case .publish(let publish) = request { publish.publication } else { nil }
    }

    /// The code of the error that the command is refused with.
    private func refusal(_ request: BusRequest) -> String? {
        guard case .refused(let line) = request else { return nil }
        let text = String(decoding: line, as: UTF8.self)
        #expect(text.hasPrefix("{\"kind\":\"error\",\"line\":7,\"code\":\""), "\(text)")
        #expect(text.hasSuffix("\"}\n"))
        return text.split(separator: "\"")[safe: 9].map(String.init)
    }

    @Test func `every client was told the status, which HTTP keeps for operators`() {
        guard case .status = ask("status") else {
            Issue.record("the owner is refused")
            return
        }
        #expect(refusal(ask("status", as: web)) == "operator_only")
    }

    @Test(arguments: [
        ("publish news hello world", "news", "hello world"), ("publish a  x ", "a", " x "),
        ("publish a/b ", "a/b", ""), ("publish a", "a", ""), ("publish a grüß", "a", "grüß"),
    ])
    func `publish takes the rest of the line`(line: String, channel: String, text: String) throws {
        let publication = try #require(self.publication(ask(line)))
        #expect(publication.drafts.map(\.channel.text) == [channel])
        #expect(String(decoding: publication.drafts[0].body, as: UTF8.self) == text)
        #expect(publication.drafts[0].kind == .text)
        #expect(publication.publisher == "unix:0")
    }

    @Test func `json takes a value`() throws {
        let publication = try #require(self.publication(ask(#"json a { "b": [1, 2] }"#)))
        #expect(String(decoding: publication.drafts[0].body, as: UTF8.self) == #"{"b":[1,2]}"#)
        #expect(publication.drafts[0].kind == .json)
        #expect(refusal(ask("json a {")) == "invalid_json")
        #expect(refusal(ask("json a")) == "invalid_json")
    }

    @Test func `put takes any bytes, with options`() throws {
        let line = "put a 3 content-type=application/json type=a%20b ttl=60 topic=t key=k-1"
        let publication = try #require(self.publication(ask(line, "[1]")))
        let draft = publication.drafts[0]
        #expect(draft.kind == .json)
        #expect(draft.type == "a b")
        #expect(draft.timeToLiveSeconds == 60)
        #expect(draft.topic == "t")
        #expect(publication.idempotencyKey == "k-1")
        #expect(self.publication(ask("put a 2", "x\n"))?.drafts[0].body == [0x78, 0x0A])
    }

    @Test func `split=lines makes a message of each line`() throws {
        let publication = try #require(self.publication(ask("put a 6 split=lines", "1\n\n2 3\n")))
        #expect(
            publication.drafts.map { String(decoding: $0.body, as: UTF8.self) } == ["1", "", "2 3"]
        )
        #expect(refusal(ask("put a 0 split=lines", "")) == "empty_batch")
        #expect(refusal(ask("put a 9 split=lines", "1\n2\n3\n4\n5")) == "batch_too_large")
    }

    @Test func `put of NDJSON is a batch`() throws {
        let line = "put a 4 content-type=application/x-ndjson"
        #expect(publication(ask(line, "1\n2\n"))?.drafts.count == 2)
    }

    @Test(arguments: [
        ("publish", "invalid_channel"), ("publish -/x y", "invalid_channel"),
        ("publish ~presence y", "invalid_channel"), ("PUBLISH a b", "unknown_command"),
        ("nonsense", "unknown_command"), ("status now", "too_many_words"),
        ("delete", "no_channel"), ("subscribe", "no_channel"),
        ("subscribe a since yesterday", "invalid_since"), ("subscribe since now", "none"),
        ("subscribe since since now", "none"), ("subscribe a//b", "invalid_channel"),
        // They subscribed to "since" and what stood behind it, from now on.
        ("subscribe a since", "invalid_since"), ("subscribe a since ", "invalid_since"),
        ("subscribe a since first b", "invalid_since"), ("subscribe a since since now", "none"),
        ("put a 1 ttl=0", "invalid_ttl"), ("put a 1 ttl", "invalid_option"),
        ("put a 1 colour=red", "invalid_option"), ("put a 1 ttl=1 ttl=2", "invalid_option"),
        ("put a 1 topic=", "invalid_topic"), ("put a 1 key=%00", "invalid_idempotency_key"),
        ("put a 1 type=hello", "reserved_type"), ("put a 1 split=words", "invalid_option"),
        ("put a 1 split=lines content-type=text/plain", "invalid_option"),
        ("put a 1 content-type=nonsense", "unsupported_media_type"),
        ("publish a \(String(repeating: "x", count: 101))", "message_too_large"),
        ("channels a b", "invalid_channel"),
    ])
    func `a refusal has a code`(line: String, code: String) {
        #expect((refusal(ask(line, line.hasPrefix("put") ? "x" : nil)) ?? "none") == code)
    }

    @Test func `text must be UTF-8`() {
        let piece = BusReader.Piece.command(
            line: 7,
            Array("publish a ".utf8) + [0xE9],
            body: nil
        )
        #expect(refusal(interface().request(piece, from: owner)) == "not_utf8")
    }

    @Test func `subscribe begins where it is told`() {
        func start(_ line: String) -> (channels: [String], start: PollStart)? {
            guard case .subscribe(let stream, let start, _) = ask(line) else { return nil }
            return (stream.channels.map(\.text), start)
        }
        #expect(start("subscribe b a b")?.channels == ["a", "b"])
        #expect(start("subscribe a")?.start == .now)
        #expect(start("subscribe a since now")?.start == .now)
        #expect(start("subscribe a since first")?.start == .history(.first))
        #expect(start("subscribe a since k7f2-a")?.start == .cursor(cursor(10)))
        #expect(start("subscribe a since last:3")?.start == .history(.last(3)))
        // Channels may be called so too.
        #expect(start("subscribe since now")?.channels == ["now", "since"])
        #expect(start("subscribe since since now")?.channels == ["since"])
    }

    @Test func `rights are decided by the kernel's credentials and the rules`() {
        func rule(_ pattern: String, _ read: AllowRule.Who?, _ publish: AllowRule.Who?) -> AllowRule
        {
            AllowRule(pattern: ChannelPattern(pattern)!, read: read, publish: publish)
        }
        let rules = interface {
            $0.allow = [
                rule("php/*", .local([.group("editors")]), .local([.user("www-data")])),
                rule("open", .everyone, .nobody),
                rule("others/**", .local([.user("1000"), .user("nobody-here")]), nil),
            ]
        }
        func may(_ line: String, _ peer: LocalPeer) -> Bool {
            switch ask(line, as: peer, of: rules) {
            case .publish, .subscribe: true
            default: false
            }
        }
        #expect(may("publish php/a x", web))
        #expect(may("subscribe php/a", web))
        #expect(may("subscribe open", web))
        #expect(!may("publish open x", web))
        #expect(!may("publish php/a/b x", web))
        #expect(!may("subscribe others/a", web))
        #expect(!may("subscribe php/a others/a", web))
        #expect(!may("delete open", web))
        let other = LocalPeer(user: 1000, groups: [1000], isOwner: false)
        #expect(may("subscribe others/a", other))
        #expect(!may("publish php/a x", other))
        // Root and Holdfast's own user could write to the log's files as well.
        #expect(may("publish others/a x", owner))
        let refused = ask("publish open x", as: web, of: rules)
        #expect(refusal(refused) == "publish_forbidden")
        // And the web has nothing of it.
        var settings = Settings()
        settings.allow = [rule("**", .local([.user("www-data")]), .local([.user("www-data")]))]
        let http = HTTPInterface(settings: settings)
        #expect(http.refusal(.get("/push/a?wait=1")) == "read_forbidden")
        #expect(http.refusal(.post("/push/a", body: "x")) == "publish_forbidden")
    }

    @Test func `the line of a put is enough to refuse what follows it`() {
        let rules = interface {
            $0.allow = [
                AllowRule(pattern: ChannelPattern("closed")!, read: nil, publish: .nobody),
                AllowRule(pattern: ChannelPattern("open")!, read: nil, publish: .everyone),
            ]
        }
        func code(_ line: String) -> String? {
            rules.problem(with: Array(line.utf8), from: web)?.code.description
        }
        #expect(code("put closed 1000") == "publish_forbidden")
        #expect(code("put open 1000 ttl=0") == "invalid_ttl")
        #expect(code("put open 1000 split=words") == "invalid_option")
        #expect(code("put open 1000 ttl=1 content-type=text/plain") == nil)
    }

    @Test func `a local user has a quota only by a section of its own`() {
        let rules = interface { settings in
            settings.allow = [
                AllowRule(pattern: ChannelPattern("**")!, read: .everyone, publish: .everyone)
            ]
            settings.quotas = [QuotaRule(publisher: "*"), QuotaRule(publisher: "unix:33")]
            settings.quotas[0].limits.messages = 1
            settings.quotas[1].limits.messages = 2
        }
        #expect(publication(ask("publish a x", as: web, of: rules))?.quota?.messages == 2)
        #expect(publication(ask("publish a x", as: owner, of: rules))?.quota == nil)
    }

    @Test func `outcomes are told in a line each`() throws {
        guard case .publish(let publish) = ask("publish a x") else {
            Issue.record("refused")
            return
        }
        func text(_ line: [UInt8]) -> String { String(decoding: line, as: UTF8.self) }
        #expect(
            text(publish.reply(.committed(ids: [cursor(10)])))
                == "{\"kind\":\"ok\",\"id\":\"k7f2-a\",\"cursor\":\"k7f2-a\"}\n"
        )
        #expect(
            text(publish.reply(.repeated(ids: [cursor(10), cursor(11)])))
                == "{\"kind\":\"ok\",\"id\":\"k7f2-a\",\"cursor\":\"k7f2-b\",\"count\":2}\n"
        )
        #expect(text(publish.reply(.committed(ids: []))) == "{\"kind\":\"ok\"}\n")
        #expect(text(publish.reply(.overQuota(retrySeconds: 9))).contains("\"retry_after\":9"))
        #expect(text(publish.outcomeUnknown()).contains("\"code\":\"outcome_unknown\""))
    }

    @Test func `bug: a listing named a channel that the peer may not read`() {
        let settings = interface { settings in
            settings.allow = [
                AllowRule(pattern: ChannelPattern("open/**")!, read: .everyone, publish: nil)
            ]
        }
        guard case .channels(let listing) = ask("channels m", as: web, of: settings) else {
            Issue.record("no listing")
            return
        }
        #expect(listing.selection == .after(channel("m"), limit: 1000))
        func found(_ names: [String], next: String?) -> ChannelListing {
            ChannelListing(
                entries: names.map {
                    .init(
                        name: channel($0),
                        messages: 0,
                        bytes: 0,
                        newest: nil,
                        newestMilliseconds: nil
                    )
                },
                next: next.map(channel)
            )
        }
        // It goes on behind what may be known, or further on where none of it may.
        if case .listing(let some) = listing.readable(found(["n", "open/a", "p"], next: "p")) {
            #expect(some.entries.map(\.name.text) == ["open/a"])
            #expect(some.next == channel("open/a"))
        } else {
            Issue.record("not listed")
        }
        if case .goOn(let rest) = listing.readable(found(["n", "o"], next: "o")) {
            #expect(rest.selection == .after(channel("o"), limit: 1000))
        } else {
            Issue.record("listed what may not be known")
        }
        if case .listing(let last) = listing.readable(found(["n"], next: nil)) {
            #expect(last.entries.isEmpty)
            #expect(last.next == nil)
        } else {
            Issue.record("no end")
        }
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? {
        indices.contains(index) ? self[index] : nil
    }
}
