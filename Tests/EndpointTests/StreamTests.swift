import Channels
import SeededRandom
import Testing

@testable import Endpoint

/// The lines of a stream.
@Suite struct StreamTests {
    private let stream = StreamSubscription(channels: [channel("a")], form: .lines)

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `a stream gives its start, signs of life and the cursor to continue from`() {
        #expect(
            text(stream.hello(at: cursor(10), heartbeatSeconds: 15))
                == #"{"kind":"hello","cursor":"k7f2-a"}"# + "\n"
        )
        #expect(text(stream.ping(at: cursor(11))) == #"{"kind":"ping","cursor":"k7f2-b"}"# + "\n")
        #expect(
            text(stream.bye(.slow, at: cursor(12)))
                == #"{"kind":"bye","reason":"slow","cursor":"k7f2-c"}"# + "\n"
        )
    }

    @Test func `messages come as answers write them, each in a line, after the gap`() {
        let chunk = text(
            stream.chunk(reading([message(5, "\"x\"")], gap: .trimmed), epoch: epoch)
        )
        let lines = chunk.split(separator: "\n").map(String.init)
        #expect(lines.count == 2)
        #expect(lines[0] == #"{"kind":"gap","reason":"trimmed","cursor":"k7f2-4"}"#)
        let json = text(MessageEncoder.json(message(5, "\"x\"")))
        #expect(lines[1] == #"{"kind":"message","# + json.dropFirst())
        #expect(chunk.hasSuffix("\n"))
    }

    @Test func `an empty reading writes nothing`() {
        #expect(stream.chunk(reading(), epoch: epoch).isEmpty)
    }

    // MARK: Server-sent events

    private let events = StreamSubscription(channels: [channel("a")], form: .events(bare: false))

    private func said(_ body: String, type: String? = nil) -> Message {
        message(5, body, kind: .text, contentType: "text/plain", type: type)
    }

    @Test func `an event stream begins with its cursor, its heartbeat and how soon to come back`() {
        #expect(
            text(events.hello(at: cursor(10), heartbeatSeconds: 15))
                == "retry: 2000\nid: k7f2-a\nevent: hello\ndata: {\"cursor\":\"k7f2-a\",\"heartbeat\":15}\n\n"
        )
    }

    @Test func `a heartbeat was an empty message to clients that are less strict than browsers`() {
        // No id, and no empty line, which ends an event.
        #expect(text(events.ping(at: cursor(11))) == ":\n")
        let around =
            events.hello(at: cursor(10), heartbeatSeconds: 15)
            + events.ping(at: cursor(11)) + events.ping(at: cursor(11))
            + events.chunk(reading([said("x")]), epoch: epoch) + events.ping(at: cursor(12))
        let parsed = EventParser.parse(around)
        #expect(parsed.events.map(\.type) == ["hello", "message"])
        #expect(parsed.lastID == "k7f2-5")
    }

    @Test func `the final event gives the reason, the cursor and the time to come back`() {
        let bytes = events.bye(.limit, at: cursor(12), retryAfterSeconds: 7)
        let parsed = EventParser.parse(bytes)
        #expect(parsed.retry == 7000)
        #expect(parsed.events.map(\.type) == ["bye"])
        #expect(parsed.events.first?.data == #"{"reason":"limit","cursor":"k7f2-c"}"#)
        #expect(EventParser.parse(events.bye(.shutdown, at: nil)).lastID == "")
    }

    @Test func `a message is one event of its type, after the gap`() throws {
        let chunk = events.chunk(
            reading([said("knock\nknock", type: "joke")], gap: .deleted),
            epoch: epoch
        )
        let parsed = EventParser.parse(chunk)
        #expect(parsed.events.map(\.type) == ["gap", "joke"])
        #expect(parsed.events[0].data == #"{"reason":"deleted","cursor":"k7f2-4"}"#)
        #expect(parsed.events[1].id == "k7f2-5")
        #expect(
            parsed.events[1].data
                == text(MessageEncoder.json(said("knock\nknock", type: "joke")))
        )
    }

    @Test(arguments: [
        "", "a", "a\nb", "a\r\nb", "a\rb", "\n", "\r", "\n\n", "a\n", " leading", ":colon",
        "data: x", "\u{FEFF}mark",
        "ä\u{2028}b", "\u{0}",
    ])
    func `a bare event's data is the text, line by line`(body: String) {
        let stream = StreamSubscription(channels: [channel("a")], form: .events(bare: true))
        let chunk = stream.chunk(reading([said(body)]), epoch: epoch)
        // To a browser all line breaks are one.
        let expected = body.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        #expect(EventParser.parse(chunk).events.map(\.data) == [expected])
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `whatever is published is read back from the stream`(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let letters = Array("ab:\r\n \u{FEFF}ä\u{0}\"\\{}".unicodeScalars)
        for _ in 0..<200 {
            var body = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0..<12, using: &generator) {
                body.append(letters.randomElement(using: &generator)!)
            }
            let sent = said(String(body))
            let parsed = EventParser.parse(events.chunk(reading([sent]), epoch: epoch))
            #expect(parsed.events.map(\.data) == [text(MessageEncoder.json(sent))])
            let lines = text(
                StreamSubscription(channels: [channel("a")], form: .ndjson)
                    .chunk(reading([sent]), epoch: epoch)
            )
            #expect(lines.utf8.count { $0 == 0x0A } == 1)
        }
    }

    @Test func `an answer is measured as it is sent, and one message is always sent`() {
        // Six bytes each in JSON; a line break alone takes seven in a bare event.
        let control = String(repeating: "\u{1}", count: 1000)
        let breaks = String(repeating: "\n", count: 1000)
        let bare = StreamSubscription(channels: [channel("a")], form: .events(bare: true))
        for (stream, body) in [(stream, control), (events, control), (bare, breaks)] {
            let all = HistoryPage(
                messages: (1...9).map { message($0, body, kind: .text, contentType: "text/plain") },
                scanned: Offset(20),
                more: false,
                gap: .trimmed,
                newest: Offset(9)
            )
            let piece = stream.fitting(all, bytes: 20_000)
            #expect(piece.messages.count == 2 || piece.messages.count == 3)
            #expect(stream.chunk(piece, epoch: epoch).count < 20_200)
            #expect(piece.more && piece.gap == .trimmed)
            #expect(piece.scanned == piece.messages.last?.offset)
            #expect(stream.fitting(all, bytes: 1).messages.count == 1)
            let everything = stream.fitting(all, bytes: 1_000_000)
            #expect(everything.messages.count == 9 && everything.scanned == Offset(20))
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `no message is larger than its estimated size`(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        for _ in 0..<50 {
            let count = Int.random(in: 0..<400, using: &generator)
            let letters = Array("ab\r\n\u{1}\u{7F}\"\\ä".unicodeScalars)
            var text = String.UnicodeScalarView()
            for _ in 0..<count { text.append(letters.randomElement(using: &generator)!) }
            for kind in [BodyKind.text, .bytes] {
                let one = message(5, String(text), kind: kind, type: "t\"\\ä")
                let size = MessageEncoder.size(of: one)
                let written = MessageEncoder.json(one).count
                #expect(written <= size && size - written < 200)
                for bare in [false, true] {
                    let stream = StreamSubscription(
                        channels: [channel("a")],
                        form: .events(bare: bare)
                    )
                    let read = reading([one, one])
                    let bytes = stream.chunk(read, epoch: epoch).count
                    #expect(stream.fitting(read, bytes: bytes - 1).messages.count == 1)
                }
            }
        }
    }

    @Test func `lines of large messages were longer than a line scanner takes`() {
        let limit = 65_536
        let long = message(6, String(repeating: "\u{1}", count: 20_000), kind: .text, type: "t")
        let read = reading([message(5, "[1]"), long, message(7, "[2]")])
        for form in [StreamSubscription.Form.lines, .ndjson, .events(bare: false)] {
            let stream = StreamSubscription(
                channels: [channel("news")],
                form: form,
                lineLimit: limit
            )
            let lines = text(stream.chunk(read, epoch: epoch)).split(separator: "\n")
            #expect(lines.allSatisfy { $0.utf8.count <= limit })
            // Nothing is passed over, and what was left out can be asked for.
            for id in ["k7f2-5", "k7f2-6", "k7f2-7"] {
                #expect(lines.contains { $0.contains("\"id\":\"\(id)\"") })
            }
            #expect(lines.contains { $0.contains("\"type\":\"t\",\"omitted\":20000}") })
            #expect(lines.contains { $0.contains("\"data\":[2]}") })
        }
        // The longest that can be said of a message fits into the least that may be asked for.
        let name = String(repeating: "n", count: 128)
        let type = String(repeating: "\u{1F300}", count: 64)
        let most = message(.max, "x", kind: .text, channel: name, type: type)
        var stream = StreamSubscription(channels: [channel(name)], form: .lines, lineLimit: 0)
        #expect(stream.chunk(reading([most]), epoch: epoch).count < 1024)
        stream.lineLimit = nil
        #expect(text(stream.chunk(reading([most]), epoch: epoch)).contains("\"data\":\"x\""))
    }

    @Test func `a bound for lines is asked for in bytes`() {
        #expect(
            http.stream(.get("/push/a?stream=ndjson&line_limit=65536"))?.stream.lineLimit == 65_536
        )
        for query in [
            "line_limit=1023", "line_limit=x", "line_limit=-1", "line_limit=4096&format=bare",
        ] {
            #expect(http.refusal(.get("/push/a?stream=sse&\(query)")) == "invalid_line_limit")
        }
    }

    // MARK: What asks for a stream

    private let http = HTTPInterface.open()

    private func form(_ uri: String, _ fields: KeyValuePairs<String, String> = [:])
        -> StreamSubscription.Form?
    {
        http.stream(.get(uri, fields))?.stream.form
    }

    @Test func `a stream is asked for by Accept or where headers can't be set by a parameter`() {
        #expect(form("/push/a", ["HTTP_ACCEPT": "text/event-stream"]) == .events(bare: false))
        #expect(form("/push/a?stream=sse") == .events(bare: false))
        #expect(form("/push/a?stream=sse&format=bare") == .events(bare: true))
        #expect(form("/push/a", ["HTTP_ACCEPT": "application/x-ndjson"]) == .ndjson)
        #expect(form("/push/a?stream=ndjson", ["HTTP_ACCEPT": "*/*"]) == .ndjson)
        #expect(form("/push/a", ["HTTP_ACCEPT": "text/html, */*"]) == nil)
        #expect(form("/push/a?wait=25") == nil)
        #expect(http.refusal(.get("/push/a?stream=websocket")) == "invalid_stream")
    }

    @Test(arguments: ["lastEventId", "evs_last_event_id", "Last-Event-ID"])
    func `the position of clients that cannot set header fields was ignored`(name: String) throws {
        let uri = "/push/a?stream=sse&since=first&\(name)="
        #expect(try #require(http.stream(.get(uri + "k7f2-a"))).start == .cursor(cursor(10)))
        #expect(try #require(http.stream(.get(uri))).start == .history(.first))
        // What is not ours is told as a gap.
        guard case .cursor(let unknown) = try #require(http.stream(.get(uri + "17"))).start else {
            return #expect(Bool(false))
        }
        #expect(unknown.epoch != epoch)
        // A browser's own field is newer than the URL.
        let again = CGIRequest.get(uri + "k7f2-a", ["HTTP_LAST_EVENT_ID": "k7f2-b"])
        #expect(try #require(http.stream(again)).start == .cursor(cursor(11)))
        let poll = try #require(http.poll(.get("/push/a?wait=5&\(name)=k7f2-a")))
        #expect(Reply(poll.answer(reading(), epoch: epoch))?["Link"]?.contains(name) == false)
    }

    @Test(arguments: ["%ff", "k7f2-%C3", "%zz"])
    func `a position that is not UTF-8 ended a browser's stream for good`(position: String) throws {
        let uri = "/push/a?stream=sse&lastEventId=\(position)"
        guard case .cursor(let unknown) = try #require(http.stream(.get(uri))).start else {
            return #expect(Bool(false))
        }
        #expect(unknown.epoch != epoch)
        #expect(http.refusal(.get("/push/a?stream=sse&since=%ff")) == "malformed_path")
    }

    @Test
    func
        `Last-Event-ID takes precedence over since, and an unknown one is a cursor of another log`()
        throws
    {
        let request = CGIRequest.get(
            "/push/a?stream=sse&since=k7f2-1",
            ["HTTP_LAST_EVENT_ID": "k7f2-2"]
        )
        #expect(http.stream(request)?.start == .cursor(cursor(2)))
        let foreign = CGIRequest.get("/push/a?stream=sse", ["HTTP_LAST_EVENT_ID": "1700000000:0"])
        let start = try #require(http.stream(foreign)?.start)
        #expect(start == .cursor(Cursor(epoch: .ofNoLog, offset: .start)))
        #expect(http.stream(.get("/push/a?stream=sse"))?.start == .now)
        #expect(http.refusal(.get("/push/a?stream=sse&since=x")) == "invalid_since")
    }

    @Test func `a browser that should come back never gets an error status`() throws {
        let request = try #require(http.stream(.get("/push/a?stream=sse&since=k7f2-1")))
        let reply = try #require(Reply(request.unavailable(retryAfterSeconds: 5)))
        #expect(reply.status == 200)
        #expect(reply["Content-Type"] == "text/event-stream; charset=utf-8")
        #expect(reply.body.contains("retry: 5000\n"))
        let lines = try #require(http.stream(.get("/push/a?stream=ndjson")))
        #expect(Reply(lines.unavailable(retryAfterSeconds: 5))?.status == 503)
    }

    @Test func `nothing on the way may store, change or buffer a stream`() throws {
        let request = try #require(http.stream(.get("/push/a?stream=sse")))
        let reply = try #require(Reply(Answer(request.head, .ok)))
        #expect(reply["Cache-Control"] == "no-store, no-transform")
        #expect(reply["X-Accel-Buffering"] == "no")
        #expect(reply["Incremental"] == "?1")
        #expect(reply["Content-Length"] == nil)
        // Without it, clients read Latin-1.
        #expect(reply["Content-Type"] == "text/event-stream; charset=utf-8")
        let lines = try #require(http.stream(.get("/push/a?stream=ndjson")))
        #expect(
            Reply(Answer(lines.head, .ok))?["Content-Type"] == "application/x-ndjson; charset=utf-8"
        )
        #expect(reply["Vary"] == "Accept, Origin")
    }
}

/// An event stream taken apart as the WHATWG standard says, by a reader of our own.
struct EventParser {
    struct Event: Equatable {
        var type: String
        var data: String
        var id: String
    }

    var events: [Event] = []
    var lastID = ""
    var retry: Int?

    static func parse(_ bytes: [UInt8]) -> EventParser {
        var parser = EventParser()
        var (data, type, id) = ("", "", "")
        // Swift takes a carriage return and a line feed for one character, which suits here.
        var text = String(decoding: bytes, as: UTF8.self)
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        let lines = text.split(omittingEmptySubsequences: false) {
            ["\n", "\r", "\r\n"].contains($0)
        }
        for line in lines.dropLast() {
            if line.isEmpty {
                parser.lastID = id
                if !data.isEmpty {
                    data.removeLast()
                    parser.events.append(
                        Event(type: type.isEmpty ? "message" : type, data: data, id: id)
                    )
                }
                (data, type) = ("", "")
                continue
            }
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            var value = parts.count > 1 ? String(parts[1]) : ""
            if value.unicodeScalars.first == " " { value.unicodeScalars.removeFirst() }
            switch parts[0] {
            case "data": data += value + "\n"
            case "event": type = value
            case "id": if !value.unicodeScalars.contains("\u{0}") { id = value }
            case "retry": parser.retry = Int(value)
            default: break
            }
        }
        return parser
    }
}
