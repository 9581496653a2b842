import Channels
import Configuration
import Testing

@testable import Endpoint

let epoch = Epoch("k7f2")!

func channel(_ name: String) -> ChannelName { try! ChannelName(name) }

func cursor(_ offset: Int64) -> Cursor { Cursor(epoch: epoch, offset: Offset(offset)) }

extension CGIRequest {
    init(_ variables: KeyValuePairs<String, String>, body: String = "") {
        self.init(Array(variables.map { ($0, $1) }), body: Array(body.utf8))
    }

    init(_ variables: [(String, String)], body: [UInt8] = []) {
        self.init()
        for (name, value) in variables { put(name, Array(value.utf8)) }
        self.body = body
    }

    mutating func put(_ name: String, _ value: [UInt8]) {
        Array(name.utf8).withUnsafeBytes { name in
            value.withUnsafeBytes { value in set(name, value) }
        }
    }

    /// A GET (or what `headers` says) of this URI.
    static func get(_ uri: String, _ headers: KeyValuePairs<String, String> = [:]) -> CGIRequest {
        CGIRequest([("REQUEST_METHOD", "GET"), ("REQUEST_URI", uri)] + headers.map { ($0, $1) })
    }

    static func post(
        _ uri: String,
        _ headers: KeyValuePairs<String, String> = [:],
        body: [UInt8]
    ) -> CGIRequest {
        CGIRequest(
            [("REQUEST_METHOD", "POST"), ("REQUEST_URI", uri)] + headers.map { ($0, $1) },
            body: body
        )
    }

    static func post(
        _ uri: String,
        _ headers: KeyValuePairs<String, String> = [:],
        body: String = ""
    ) -> CGIRequest {
        .post(uri, headers, body: Array(body.utf8))
    }
}

extension HTTPInterface {
    /// Everything open to everyone, and what `change` makes of it.
    static func open(_ change: (inout Settings) -> Void = { _ in }) -> HTTPInterface {
        var settings = Settings()
        settings.allow = [
            AllowRule(pattern: ChannelPattern("**")!, read: .everyone, publish: .everyone)
        ]
        change(&settings)
        return HTTPInterface(settings: settings)
    }

    func poll(_ request: CGIRequest, random: UInt32 = 0) -> Poll? {
        if case .subscribe(let poll) = intent(of: request, random: random) { poll } else { nil }
    }

    func stream(_ request: CGIRequest) -> StreamRequest? {
        if case .stream(let stream) = intent(of: request, random: 0) { stream } else { nil }
    }

    func publishing(_ request: CGIRequest) -> PublishRequest? {
        if case .publish(let found) = intent(of: request, random: 0) { found } else { nil }
    }

    func publication(_ request: CGIRequest) -> Publication? { publishing(request)?.publication }

    func answer(_ request: CGIRequest) -> Reply? {
        if case .answer(let answer) = intent(of: request, random: 0) { Reply(answer) } else { nil }
    }

    /// The `code` of the problem the request is refused with.
    func refusal(_ request: CGIRequest) -> String? {
        guard let reply = answer(request), reply["Content-Type"] == "application/problem+json"
        else { return nil }
        return reply.code
    }
}

/// A CGI response taken apart by a reader of our own; nil if it is not well-formed.
struct Reply {
    var status = 0
    var fields: [(name: String, value: String)] = []
    var body = ""
    var bytes: [UInt8] = []

    init?(_ answer: Answer, headOnly: Bool = false) {
        let document = answer.document
        var at = 0
        var lines: [String] = []
        while true {
            guard let end = document[at...].firstIndex(of: 0x0D), end + 1 < document.count,
                document[end + 1] == 0x0A
            else { return nil }
            let line = document[at..<end]
            at = end + 2
            if line.isEmpty { break }
            guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
            lines.append(String(decoding: line, as: UTF8.self))
        }
        for line in lines {
            guard let colon = line.range(of: ": "), colon.lowerBound > line.startIndex else {
                return nil
            }
            let name = String(line[..<colon.lowerBound])
            guard name.utf8.allSatisfy({ $0 == 0x2D || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) })
            else { return nil }
            if fields.contains(where: { $0.name == name }) { return nil }
            fields.append((name, String(line[colon.upperBound...])))
        }
        guard fields.first?.name == "Status", let number = Int(fields[0].value.prefix(3)),
            number == answer.status
        else { return nil }
        status = number
        bytes = Array(document[at...])
        body = String(decoding: bytes, as: UTF8.self)
        if status == 204 || status == 304 {
            guard self["Content-Length"] == nil, bytes.isEmpty else { return nil }
        } else if ["text/event-stream", "application/x-ndjson"].contains(
            self["Content-Type"]?.split(separator: ";").first
        ) {
            // A stream is as long as it is.
            guard self["Content-Length"] == nil else { return nil }
        } else {
            guard let length = Int(self["Content-Length"] ?? "") else { return nil }
            guard bytes.count == length || (headOnly && bytes.isEmpty) else { return nil }
        }
    }

    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    var code: String? {
        guard let start = body.range(of: "\"code\":\"")?.upperBound else { return nil }
        return String(body[start...].prefix { $0 != "\"" })
    }
}

extension String {
    /// Small stand-in, so that these tests need no Foundation.
    func range(of needle: String) -> Range<String.Index>? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(needle) { return at..<index(at, offsetBy: needle.count) }
            at = index(after: at)
        }
        return nil
    }
}

func message(
    _ offset: Int64,
    _ body: String,
    kind: BodyKind = .json,
    channel name: String = "news",
    contentType: String = "application/json",
    type: String? = nil
) -> Message {
    message(
        offset,
        Array(body.utf8),
        kind: kind,
        channel: name,
        contentType: contentType,
        type: type
    )
}

func message(
    _ offset: Int64,
    _ body: [UInt8],
    kind: BodyKind,
    channel name: String = "news",
    contentType: String,
    type: String? = nil
) -> Message {
    Message(
        offset: Offset(offset),
        epoch: epoch,
        channel: channel(name),
        timeMilliseconds: 1_769_860_800_123,
        kind: kind,
        contentType: contentType,
        body: body,
        type: type
    )
}

func reading(
    _ messages: [Message] = [],
    scanned: Int64 = 100,
    more: Bool = false,
    gap: GapReason? = nil,
    newest: Int64 = 90
) -> HistoryPage {
    HistoryPage(
        messages: messages,
        scanned: Offset(scanned),
        more: more,
        gap: gap,
        newest: Offset(newest)
    )
}
