import Channels
import Configuration
import Liveness
import SeededRandom
import Testing

@testable import Endpoint

/// Random requests made of pieces that mean something, with bytes that do not.
@Suite struct FuzzTests {
    private static let names = [
        "REQUEST_METHOD", "REQUEST_URI", "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO", "CONTENT_TYPE",
        "HTTP_ACCEPT", "HTTP_PREFER", "HTTP_IF_NONE_MATCH", "HTTP_ORIGIN", "HTTP_HOST",
        "HTTP_COOKIE",
        "HTTP_TTL", "HTTP_TOPIC", "HTTP_IDEMPOTENCY_KEY", "HTTP_HOLDFAST_TYPE", "HTTPS",
        "HTTP_SEC_FETCH_SITE", "HTTP_ACCESS_CONTROL_REQUEST_METHOD", "HOLDFAST_BASE",
        "HOLDFAST_READ", "HOLDFAST_WRITE", "HOLDFAST_OPERATOR", "HOLDFAST_PUBLISHER",
        "HOLDFAST_USER",
        "HTTP_ACCEPT_ENCODING",
        "HOLDFAST_EARLY_HEADERS", "X", "", "HTTP_LAST_EVENT_ID", "HTTP_CONTENT_ENCODING",
    ]
    private static let pieces = [
        "/push/", "/sub", "/pub", "/debug", "-/", "messages/", "k7f2-1a", "status", "chat", "news",
        "a/b",
        ",", "?", "&", "=", "since=", "wait=", "wait=5", "limit=", "format=bare", "channel=", "now",
        "first", "last:3", "age:5m", "%", "%2F", "%0d%0a", "%00", "+", "\r\n", "\"", "<", ">", ";",
        "*",
        "**", "GET", "HEAD", "POST", "OPTIONS", "DELETE", "application/json", "text/plain",
        "charset=",
        "https://a.test", "http://", ":80", "null", "holdfast_", "on", "off", "W/\"", "99999999999",
        "é",
        "", " ", "op=read", "subscriber=0123456789abcdef", "on_gap=fail", "{\"a\":1}", "cross-site",
    ]

    private func text(_ generator: inout SplitMix64) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...6, using: &generator) {
            if Int.random(in: 0..<12, using: &generator) == 0 {
                bytes.append(UInt8.random(in: 0...255, using: &generator))
            } else {
                bytes += Self.pieces.randomElement(using: &generator)!.utf8
            }
        }
        return bytes
    }

    private func request(_ generator: inout SplitMix64) -> CGIRequest {
        var request = CGIRequest()
        request.put(
            "REQUEST_METHOD",
            Array(["GET", "HEAD", "POST"].randomElement(using: &generator)!.utf8)
        )
        request.put("REQUEST_URI", Array("/push/".utf8) + text(&generator))
        request.put("HTTP_ORIGIN", Array("https://a.test".utf8))
        for _ in 0..<Int.random(in: 0...6, using: &generator) {
            request.put(Self.names.randomElement(using: &generator)!, text(&generator))
        }
        request.body = text(&generator)
        request.bodyDropped = Int.random(in: 0..<50, using: &generator) == 0
        return request
    }

    @Test(arguments: 0..<2 as Range<UInt64>)
    func `what is read of a request beforehand changes nothing that it asks for`(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let http = HTTPInterface.open {
            $0.endpoints = [FixedEndpoint(path: "/sub", action: .subscribe)]
        }
        func asked(_ request: CGIRequest) -> String {
            var text = ""
            dump(http.intent(of: request, random: 0), to: &text)
            return text
        }
        for number in 0..<200 {
            var plain = request(&generator)
            var request = plain
            request.parseFields()
            let isSame = asked(request) == asked(plain)
            #expect(isSame, "request \(number)")
            // It does not count any more once another variable comes.
            request.put("REQUEST_URI", Array("/push/other?since=first".utf8))
            plain.put("REQUEST_URI", Array("/push/other?since=first".utf8))
            let isChanged = asked(request) == asked(plain)
            #expect(isChanged, "request \(number), changed")
        }
    }

    private func answers(_ intent: Intent, _ generator: inout SplitMix64) -> [Answer] {
        let bytes = message(
            5,
            text(&generator),
            kind: .bytes,
            contentType: String(decoding: text(&generator), as: UTF8.self)
        )
        let readings = [
            reading(), reading([bytes, message(6, "1")], scanned: 6, more: true),
            reading([message(6, "1")], gap: .trimmed),
        ]
        switch intent {
        case .answer(let answer): return [answer]
        case .subscribe(let poll):
            #expect(poll.waitMilliseconds >= 0 && poll.waitMilliseconds <= 55_000)
            #expect(!poll.subscription.channels.isEmpty)
            let whole = readings.map { poll.answer($0, epoch: epoch) }
            let held = readings.map {
                poll.subscription.answer($0, epoch: epoch, retryAfterSeconds: 3)
            }
            guard let early = poll.subscription.startingEarly() else { return whole + held }
            return whole + held
                + readings.map { reading in
                    let body = early.answer(reading, epoch: epoch).document
                    let head =
                        early.earlyHeaders.dropLast(2)
                        + "Content-Length: \(body.count)\r\n\r\n".utf8
                    return Answer(head + body, .ok)
                }
        case .stream(let request), .statusStream(let request):
            return [
                Answer(
                    request.head + request.stream.hello(at: cursor(1), heartbeatSeconds: 15),
                    .ok
                ),
                request.unavailable(retryAfterSeconds: 1),
            ]
        case .awaitBody: return []
        case .publish(let publishing):
            let publication = publishing.publication
            let ids = publication.drafts.indices.map { cursor(Int64($0) + 1) }
            #expect(
                publication.drafts.allSatisfy { draft in
                    draft.kind == .bytes || String(validating: draft.body, as: UTF8.self) != nil
                }
            )
            return [
                publishing.answer(.committed(ids: ids)), publishing.answer(.conflict),
                publishing.busy(),
            ]
        case .message(let request):
            return [request.answer(nil), request.answer(bytes), request.unavailable()]
        case .channels(let request):
            let listing = ChannelListing(
                entries: [
                    .init(
                        name: channel("a"),
                        messages: 1,
                        bytes: 2,
                        newest: cursor(3),
                        newestMilliseconds: 4
                    )
                ],
                next: channel("b")
            )
            return [request.answer(listing, held: { _ in 1 }), request.unavailable()]
        case .presence(let request):
            let member = Member(
                name: String(decoding: text(&generator), as: UTF8.self),
                isVerified: true
            )
            return [request.answer([(member, 1)], at: cursor(3)), request.unavailable()]
        case .leave(_, let shape): return [shape.noContent()]
        case .page(let page):
            return [page.answer(body: [1], contentType: "text/html", etag: "x"), page.notFound()]
        case .held(let shape), .live(let shape), .ready(let shape), .metrics(_, let shape),
            .status(let shape):
            return [shape.plain("text/plain", "x"), shape.notReady("y")]
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `no request breaks an answer`(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let http = HTTPInterface.open {
            $0.endpoints = classicEndpoints
            $0.cors.origins = seed % 2 == 0 ? .any : .listed(["https://a.test"])
            $0.presence = [PresenceRule(pattern: .any)]
            $0.limits.messageBytes = 40
            if seed > 4 { $0.allow = [] }
        }
        var statuses: Set<Int> = []
        for _ in 0..<4000 {
            let request = request(&generator)
            let intent = http.intent(
                of: request,
                random: .random(in: 0 ... .max, using: &generator)
            )
            for answer in answers(intent, &generator) where !answer.closes {
                guard let reply = Reply(answer, headOnly: request.method == "HEAD") else {
                    Issue.record(
                        "\(String(decoding: answer.document, as: UTF8.self)) for \(request)"
                    )
                    return
                }
                statuses.insert(reply.status)
                #expect(reply["Vary"] != nil && reply["Cache-Control"] != nil)
            }
        }
        let common: Set<Int> = seed > 4 ? [400, 403, 404] : [200, 201, 400, 404]
        #expect(statuses.isSuperset(of: common))
    }
}
