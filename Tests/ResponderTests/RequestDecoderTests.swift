import Channels
import Configuration
import Endpoint
import FastCGI
import FastCGICodec
import Identity
import SeededRandom
import Testing

@testable import Responder

@Suite struct `Requests that have variables in common` {
    private typealias Variables = [(name: String, value: [UInt8])]

    /// Few enough that many requests have those in common that are no client's own.
    private static let common: [(name: String, values: [String])] = [
        ("REQUEST_METHOD", ["GET", "POST"]),
        ("REQUEST_URI", ["/push/a?since=k7f2-a&wait=5", "/push/b"]),
        ("QUERY_STRING", ["", "channel=a"]), ("HTTP_ACCEPT", ["*/*", "text/event-stream"]),
        ("HTTP_PREFER", ["wait=3"]), ("SERVER_SOFTWARE", ["nginx", "Caddy/2"]),
        ("HOLDFAST_OPERATOR", ["", "1"]), ("HOLDFAST_READ", ["a", ""]), ("CONTENT_TYPE", [""]),
        ("HTTP_HOLDFAST_TYPE", ["x"]), ("HTTP_USER_AGENT", ["one", "two"]),
    ]
    private static let particular: [(name: String, values: [String])] = [
        ("REMOTE_ADDR", ["10.0.0.1", "fe80::1%eth0", ""]), ("HTTP_X_FORWARDED_FOR", ["10.0.0.1"]),
        ("HTTP_VIA", ["1.1 x", ""]), ("HTTP_FORWARDED", ["for=10.0.0.1"]),
        ("HTTP_COOKIE", ["token=secret", "a=b"]),
        ("HTTP_AUTHORIZATION", ["Bearer secret", "Basic"]),
        ("HOLDFAST_USER", ["alice"]), ("REMOTE_USER", ["bob"]), ("HOLDFAST_PUBLISHER", ["carol"]),
        ("HOLDFAST_REQUEST_ID", ["one", "no name", ""]), ("UNIQUE_ID", ["two"]),
    ]

    /// Fields of queries, many of them a client's own, in every spelling.
    private static let fields = [
        "since=k7f2-a", "since=k7f2-a", "wait=5", "wait=5", "channel=b", "limit=1", "stream=sse",
        "x", "",
        "=", "=x", "?", "lastEventId=k7f2-b", "é=é", "_=17", "_", "__=1", "#", "subscriber",
        "subscriber=",
        "subscriber=0123456789abcdef", "subscriber=fedcba9876543210",
        "subscriber=0123456789%61bcdef",
        "subscrib%65r=0000000000000000", "subscriber=short", "subscriber=\u{e9}123456789abcdef",
        "subscriber=0123456789abcde%ff", "subscriber=0123456789#abcdef",
        "Subscriber=1111111111111111",
        "subscribers=2222222222222222", "name=Ada", "name=B%C3%B6b", "name=%ff", "n+me=x", "name=",
        "name",
        "name=%00", "access_token=", "access_token=x", "authorization=x", "access_token=\(ada)",
        "authorization=\(bob)", "access%5ftoken=\(bob)",
    ]
    private static let targets = [
        "/push/a?", "/push/a?", "/push/a?", "?", "/push/a#?", "/push/-/status?", "/sub?", "/keyed?",
        "http://h/push/b?",
    ]
    /// Signed with the key of `settings`.
    private static let ada =
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDAsInN1YiI6ImFkYSIsImhvbGRmYXN0Ijp7InJlYWQiOlsiY"
        + "SJdfX0.8HKdYfkf1V-8fHygToakztkBB78Tze4g7_RIJMAY-h8"
    private static let bob =
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDAsInN1YiI6ImJvYiIsImhvbGRmYXN0Ijp7InJlYWQiOlsiY"
        + "iJdfX0.srLYpHWjCuXcnsUNGYtBKWzzrmfSwZaQyKyMsmuYdwQ"

    private func settings(key: String? = "web") -> Settings {
        var settings = Settings()
        settings.presence = [PresenceRule(pattern: ChannelPattern("**")!)]
        settings.allow = [
            AllowRule(pattern: ChannelPattern("**")!, read: .everyone, publish: .everyone)
        ]
        if let key {
            var one = KeySettings(name: key)
            one.material = Array("0123456789abcdef0123456789abcdef".utf8)
            one.cookie = "token"
            settings.keys = [one]
        }
        return settings
    }

    /// Interfaces, each with what it remembers of polls.
    private final class Interfaces {
        var all: [(interface: HTTPInterface, polls: PollMemory)] = []
    }

    private let interfaces = Interfaces()

    init() {
        var keyed = settings()
        keyed.endpoints = [FixedEndpoint(path: "/sub", action: .subscribe)]
        keyed.allow = [
            AllowRule(pattern: ChannelPattern("b")!, read: .everyone),
            AllowRule(pattern: ChannelPattern("**")!, read: .local([], keys: ["web"])),
        ]
        interfaces.all = [settings(), Settings(), keyed].map {
            (HTTPInterface(settings: $0), PollMemory())
        }
    }

    private func variables(_ generator: inout SplitMix64) -> Variables {
        var all: Variables = []
        for (name, values) in Self.common {
            let value =
                Bool.random(using: &generator)
                ? values[0] : values.randomElement(using: &generator)!
            all.append((name, Array(value.utf8)))
        }
        for (name, values) in Self.particular
        where Int.random(in: 0..<4, using: &generator) == 0 {
            all.append((name, Array(values.randomElement(using: &generator)!.utf8)))
        }
        for at in all.indices
        where ["REQUEST_URI", "QUERY_STRING"].contains(all[at].name)
            && Int.random(in: 0..<4, using: &generator) > 0
        {
            let isTarget = all[at].name == "REQUEST_URI"
            let count = Int.random(in: 0...4, using: &generator)
            let query = (0..<count).map { _ in Self.fields.randomElement(using: &generator)! }
                .joined(separator: "&")
            let start = isTarget ? Self.targets.randomElement(using: &generator)! : ""
            all[at].value = Array((start + query).utf8)
        }
        switch Int.random(in: 0..<8, using: &generator) {
        // A line more of a field, or a variable that is set twice.
        case 0: all.append(all.randomElement(using: &generator)!)
        // What is not UTF-8.
        case 1: all[Int.random(in: 0..<all.count, using: &generator)].value.append(0xFF)
        case 2: all.shuffle(using: &generator)
        case 3: all.remove(at: Int.random(in: 0..<all.count, using: &generator))
        default: break
        }
        return all
    }

    /// The same common variables, with other particulars.
    private func others(_ variables: Variables, _ generator: inout SplitMix64) -> Variables {
        var all: Variables = []
        let names = Self.particular.map(\.name)
        for (name, value) in variables where !names.contains(name) {
            let own = [
                "", "subscriber=aaaaaaaaaaaaaaaa", "access_token=\(Self.ada)", "name=%ff",
                "name=Eve&_=1",
            ]
            .randomElement(using: &generator)!
            let separator = [
                "REQUEST_URI": value.contains(UInt8(ascii: "?")) ? "&" : "?", "QUERY_STRING": "&",
            ][name]
            all.append((name, value + Array((separator.map { $0 + own } ?? "").utf8)))
        }
        for (name, values) in Self.particular
        where Int.random(in: 0..<4, using: &generator) == 0 {
            all.append((name, Array(values.randomElement(using: &generator)!.utf8)))
        }
        return all
    }

    private func records(_ variables: Variables, body: [UInt8] = []) -> [UInt8] {
        Record.request(
            id: .first,
            variables: variables.map { (name: Array($0.name.utf8), value: $0.value) },
            body: body
        )
    }

    private func framed(_ bytes: [UInt8], _ use: (FramedRequest) -> Void) {
        bytes.withUnsafeBytes { bytes in
            var assembler = RequestAssembler(limits: FramingLimits())
            assembler.receive(bytes) { event in
                if case .request(let request) = event { use(request) }
            }
        }
    }

    /// All that is read of a request, but for the time: what it asks for, and what others see of it.
    private func contents(_ request: borrowing CGIRequest) -> String {
        var (request, text) = (copy request, "")
        request.clock = Clock()
        for at in interfaces.all.indices {
            let interface = interfaces.all[at].interface
            let intent = interface.intent(of: request, random: 7, &interfaces.all[at].polls)
            dump(intent, to: &text)
        }
        dump(request.token, to: &text)
        dump(request.name, to: &text)
        text +=
            "\(request.tracedPath) \(request.isForwarded) \(request.body) \(request.bodyDropped)"
        for said in [
            request.method, request.cookie, request.authorization, request.remoteUser, request.user,
            request.publisher, request.remoteAddress, request.accept, request.serverSoftware,
        ] { text += "\n\(said ?? "none")" }
        return text
    }

    private func lent(_ bytes: [UInt8], by decoder: inout RequestDecoder) -> [String] {
        var all: [String] = []
        framed(bytes) { request in
            let isDecoded = decoder.decode(request, now: 1) { all.append(contents($0)) }
            #expect(isDecoded)
        }
        return all
    }

    private func whole(_ bytes: [UInt8], by decoder: inout RequestDecoder) -> [String] {
        var all: [String] = []
        framed(bytes) { framed in
            var request = CGIRequest()
            #expect(decoder.decode(framed, now: 1, into: &request))
            all.append(contents(request))
        }
        return all
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func `are what libfcgi makes of each whole request, whatever came before`(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        var decoder = RequestDecoder(try Codec(), settings())
        for number in 0..<80 {
            let body: [UInt8] = number % 16 == 0 ? [1, 2, 3] : []
            let all = variables(&generator)
            let bytes = records(all, body: body)
            let isSame = lent(bytes, by: &decoder) == whole(bytes, by: &decoder)
            #expect(isSame, "request \(number)")
            // Others come with the same common variables: one is found, and those after it ask for the same.
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                let bytes = records(others(all, &generator), body: body)
                let isSame = lent(bytes, by: &decoder) == whole(bytes, by: &decoder)
                #expect(isSame, "one like request \(number)")
            }
        }
        #expect(decoder.memory.entries.count == RequestMemory.entryLimit)
    }

    /// A target with such a query, and the same without it.
    @Test(
        arguments: [
            ("since=k7f2-a&wait=25&", "subscriber=0123456789abcdef", ""),
            ("", "subscriber=0123456789abcdef&name=A%20b", ""), ("", "name=%ff", ""),
            ("since=now&", "access_token=\(ada)&", "wait=25"), ("wait=2&", "_=1&", "&since=now"),
            ("", "authorization=&access_token=\(bob)&authorization=&", "subscribers=1"),
        ],
        ["REQUEST_URI", "QUERY_STRING"]
    )
    func `are found by those whose queries differ in what is their own`(
        query: (String, String, String),
        variable: String
    ) throws {
        var decoder = RequestDecoder(try Codec(), settings())
        func bytes(_ own: String) -> [UInt8] {
            let query = query.0 + own + query.2
            return records(
                [
                    ("QUERY_STRING", Array(query.utf8)),
                    ("REQUEST_URI", Array("/push/a?\(query)".utf8)),
                ].filter { $0.0 == variable || $0.0 == "REQUEST_URI" }
            )
        }
        for own in ["subscriber=00000000000000000000&", "name=x&", "_=1&subscriber=short&"] {
            let isSame = lent(bytes(own), by: &decoder) == whole(bytes(own), by: &decoder)
            #expect(isSame, "\(own)")
            #expect(decoder.memory.entries.count == 1)
        }
        // Longer ones too, whose length takes more bytes, and those that have none.
        for own in [query.1, "", query.1, "name=x&", ""] {
            let isSame = lent(bytes(own), by: &decoder) == whole(bytes(own), by: &decoder)
            #expect(isSame, "\(own)")
            #expect(decoder.memory.entries.count <= 3)
        }
    }

    /// What is one client's own stands apart from what is not, or is not what it seems.
    @Test(arguments: [
        "subscriber=0123456789abcdef&wait=5&name=x", "subscriber=0123456789abcdef&n%61me=y",
        "name=x&a+b=1", "name=\u{e9}", "wait=1#&name=x",
    ])
    func `are kept whole where it takes more to tell them apart`(query: String) throws {
        var decoder = RequestDecoder(try Codec(), settings())
        let first = records([("REQUEST_URI", Array("/push/a?\(query)".utf8))])
        let second = records([("REQUEST_URI", Array("/push/a?\(query)0".utf8))])
        for bytes in [first, second, first, second] {
            #expect(lent(bytes, by: &decoder) == whole(bytes, by: &decoder))
        }
        #expect(decoder.memory.entries.count == 2)
    }

    @Test func `that say something twice say it last`() throws {
        var decoder = RequestDecoder(try Codec(), settings())
        let (plain, own) = (Array("a=1".utf8), Array("a=1&subscriber=0123456789abcdef".utf8))
        let (flat, target) = (Array("/push/a?a=1".utf8), Array("/push/a?name=x".utf8))
        for variables: Variables in [
            [("QUERY_STRING", own), ("QUERY_STRING", plain), ("REQUEST_URI", flat)],
            [("QUERY_STRING", plain), ("QUERY_STRING", own), ("REQUEST_URI", flat)],
            [("REQUEST_URI", target), ("QUERY_STRING", own)],
            [("REQUEST_URI", target), ("QUERY_STRING", plain)],
            [("REQUEST_URI", target), ("QUERY_STRING", [])],
            [("QUERY_STRING", []), ("REQUEST_URI", target)],
            [("REQUEST_URI", target), ("REQUEST_URI", flat)],
            [("REQUEST_URI", flat), ("REQUEST_URI", target)],
            [("QUERY_STRING", own), ("REQUEST_URI", Array("?a".utf8)), ("SCRIPT_NAME", flat)],
            [("QUERY_STRING", [0xff]), ("QUERY_STRING", own), ("REQUEST_URI", target)],
        ] {
            for _ in 0..<2 {
                let isSame =
                    lent(records(variables), by: &decoder)
                    == whole(records(variables), by: &decoder)
                #expect(isSame, "\(variables)")
            }
        }
    }

    @Test func `keep nothing of one client for the next one`() throws {
        var decoder = RequestDecoder(try Codec(), settings())
        let common: Variables = [("REQUEST_URI", Array("/push/a".utf8))]
        let plain = lent(records(common), by: &decoder)
        for (name, values) in Self.particular {
            let bytes = records(common + [(name, Array(values[0].utf8))])
            let isSame = lent(bytes, by: &decoder) == plain
            #expect(!isSame, "\(name)")
            let isClean = lent(records(common), by: &decoder) == plain
            #expect(isClean, "\(name)")
            let (kept, isKeptClean) = (
                decoder.memory.entries.count,
                decoder.memory.entries.map { contents($0.request) } == plain
            )
            #expect(kept == 1 && isKeptClean, "\(name)")
        }
    }

    @Test func `are judged by the keys of their time`() throws {
        var decoder = RequestDecoder(try Codec(), settings(key: nil))
        let bytes = records([
            ("REQUEST_URI", Array("/push/a".utf8)),
            ("HTTP_AUTHORIZATION", Array("Bearer x".utf8)),
        ])
        func verdict() -> TokenVerdict? {
            var verdict: TokenVerdict?
            framed(bytes) { framed in
                _ = decoder.decode(framed, now: 1) { verdict = $0.token }
            }
            return verdict
        }
        #expect(verdict() == TokenVerdict.none)
        decoder.reload(settings())
        guard case .bad? = verdict() else {
            Issue.record("not judged")
            return
        }
        decoder.reload(settings(key: nil))
        #expect(verdict() == TokenVerdict.none)
    }

    @Test func `are not kept if they are long, or have a body`() throws {
        var decoder = RequestDecoder(try Codec(), settings())
        let long = [UInt8](repeating: 0x78, count: RequestMemory.byteLimit)
        for bytes in [
            records([("REQUEST_URI", long)]), records([("REQUEST_URI", [1])], body: [1]),
            // None is of use.
            records([("X", [1])]), records([("REMOTE_ADDR", [1])]),
        ] {
            #expect(lent(bytes, by: &decoder) == whole(bytes, by: &decoder))
        }
        #expect(decoder.memory.entries.isEmpty)
    }
}

@Suite struct `The memory of requests` {
    private let memory = RequestMemory()

    /// - Returns: whether the request had to be made.
    private func asksToMake(_ common: [UInt8]) -> Bool {
        var isMade = false
        common.withUnsafeBytes { bytes in
            guard memory.find(bytes) == nil else { return }
            isMade = memory.keep(bytes) { _ in true } != nil
        }
        return isMade
    }

    @Test func `a request is found again by the same bytes, and by no others`() {
        #expect(asksToMake([1, 2, 3]) && !asksToMake([1, 2, 3]))
        #expect(asksToMake([1, 2, 4]) && asksToMake([1, 2]) && asksToMake([1, 2, 3, 4]))
        #expect(!asksToMake([1, 2, 3]) && !asksToMake([1, 2]))
    }

    @Test func `it keeps so many, and those longest that are asked for again`() {
        #expect(asksToMake([0]) && !asksToMake([0]))
        for number in 1...100 as ClosedRange<UInt8> {
            #expect(asksToMake([number]))
            #expect(memory.entries.count <= RequestMemory.entryLimit)
            if number % 5 == 0 { #expect(!asksToMake([0])) }
        }
        // It is not asked for any more.
        for number in 101...120 as ClosedRange<UInt8> { #expect(asksToMake([number])) }
        #expect(asksToMake([0]))
    }

    @Test func `one that could not be made is not kept`() {
        ([7] as [UInt8]).withUnsafeBytes { bytes in
            #expect(memory.keep(bytes) { _ in false } == nil)
        }
        #expect(memory.entries.allSatisfy { $0.bytes == 0 })
        #expect(asksToMake([7]))
    }
}
