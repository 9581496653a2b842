import Channels

/// A CGI response (RFC 3875 §6) as a strict web server reads it.
struct CGIResponse {
    let status: Int
    let fields: [(name: String, value: String)]
    let body: ArraySlice<UInt8>

    func field(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// Nil while the header is not complete.
    static func headerEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for at in 0...(bytes.count - 4)
        where bytes[at] == 0x0D && bytes[at + 1] == 0x0A && bytes[at + 2] == 0x0D
            && bytes[at + 3] == 0x0A
        {
            return at + 4
        }
        return nil
    }

    /// Nil if it breaks the rules.
    init?(_ bytes: [UInt8]) {
        guard let end = Self.headerEnd(bytes) else { return nil }
        var status: Int?
        var fields: [(name: String, value: String)] = []
        var begin = 0
        while begin < end - 2 {
            guard let lineEnd = bytes[begin...].firstIndex(of: 0x0D), bytes[lineEnd + 1] == 0x0A,
                let line = String(validating: bytes[begin..<lineEnd], as: UTF8.self),
                let colon = line.firstIndex(of: ":")
            else { return nil }
            let name = String(line[..<colon])
            let value = String(line[line.index(after: colon)...].drop { $0 == " " })
            guard !name.isEmpty, !value.isEmpty, !name.contains(" ") else { return nil }
            if name == "Status" {
                guard status == nil, let number = Int(value.prefix(3)) else { return nil }
                status = number
            } else {
                fields.append((name, value))
            }
            begin = lineEnd + 2
        }
        guard let status else { return nil }
        self.status = status
        self.fields = fields
        body = bytes[end...]
    }
}

/// A stream of server-sent events, as the WHATWG standard has them parsed.
struct EventReader {
    struct Event {
        var id: String?
        var name: String?
        var data: String
    }

    private var line: [UInt8] = []
    private var event = Event(data: "")
    private var hasData = false

    /// - Returns: the events that are complete; nil if a line is not one that Holdfast sends.
    mutating func take(_ bytes: some Sequence<UInt8>) -> [Event]? {
        var events: [Event] = []
        for byte in bytes {
            guard byte == 0x0A else {
                line.append(byte)
                continue
            }
            defer { line.removeAll(keepingCapacity: true) }
            guard !line.isEmpty else {
                // Two empty lines, or an event without data, would be lost on a browser.
                guard hasData else { return nil }
                events.append(event)
                (event, hasData) = (Event(data: ""), false)
                continue
            }
            if line[0] == UInt8(ascii: ":") { continue }
            guard let text = String(validating: line, as: UTF8.self),
                let colon = text.utf8.firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            var value = text[text.utf8.index(after: colon)...]
            if value.utf8.first == 0x20 { value = value.dropFirst() }
            switch text[..<colon] {
            case "id": event.id = String(value)
            case "event": event.name = String(value)
            case "data":
                event.data += hasData ? "\n" + value : String(value)
                hasData = true
            case "retry": guard Int(value) != nil else { return nil }
            default: return nil
            }
        }
        return events
    }

    var isBetweenEvents: Bool { line.isEmpty && !hasData && event.id == nil }
}

/// Lines that are JSON objects.
struct LineReader {
    private var line: [UInt8] = []

    /// - Returns: nil if a line is not an object with a kind.
    mutating func take(_ bytes: some Sequence<UInt8>) -> [(kind: String, StrictJSON)]? {
        var lines: [(kind: String, StrictJSON)] = []
        for byte in bytes {
            guard byte == 0x0A else {
                line.append(byte)
                continue
            }
            guard let value = StrictJSON(line), let kind = value["kind"]?.text else { return nil }
            lines.append((kind, value))
            line.removeAll(keepingCapacity: true)
        }
        return lines
    }

    var isBetweenLines: Bool { line.isEmpty }
}

extension Session.Given {
    /// A message as JSON answers have it; nil if it is not one.
    init?(_ value: StrictJSON) {
        guard let id = value["id"]?.text.flatMap({ Cursor($0) }),
            let channel = value["channel"]?.text, value["time"]?.text?.utf8.count == 24,
            let data = value["data"]
        else { return nil }
        self.id = id
        self.channel = channel
        switch data {
        case .string(let text): self.text = text
        // Messages of Holdfast's own.
        case .object(let members):
            var text = "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                switch member.value {
                case .string(let value): text += "\"\(member.name)\":\"\(value)\""
                case .bool(let flag): text += "\"\(member.name)\":\(flag)"
                default: return nil
                }
            }
            self.text = text + "}"
        default: return nil
        }
    }
}

/// The answer to a poll: `{"cursor":…,"messages":[…],"more":…,"gap":…}`
struct PollAnswer {
    let cursor: Cursor
    let messages: [Session.Given]
    let more: Bool
    let gap: (reason: String, resumed: Cursor)?
    let retryAfter: Int?

    init?(_ bytes: some Collection<UInt8>) {
        guard let value = StrictJSON(bytes), let cursor = value["cursor"]?.text,
            let parsed = Cursor(cursor), let elements = value["messages"]?.elements,
            let more = value["more"]?.flag, let gap = value["gap"]
        else { return nil }
        let names = value.names
        guard
            names == ["cursor", "messages", "more", "gap"]
                || names == ["cursor", "messages", "more", "gap", "retry_after"]
        else { return nil }
        self.cursor = parsed
        self.more = more
        var messages: [Session.Given] = []
        for element in elements {
            guard let message = Session.Given(element) else { return nil }
            messages.append(message)
        }
        self.messages = messages
        retryAfter = value["retry_after"]?.integer
        switch gap {
        case .null: self.gap = nil
        default:
            guard let reason = gap["reason"]?.text,
                let resumed = gap["resumed"]?.text.flatMap({ Cursor($0) })
            else { return nil }
            self.gap = (reason, resumed)
        }
    }
}
