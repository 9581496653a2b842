internal import Channels
internal import Text

/// Server-sent events, as parsed according to the EventSource section of the WHATWG HTML standard.
///
/// Every event has the cursor after it as its id, so that a browser reconnects with it by itself (`Last-Event-ID`).
/// Ids, names and reasons are Holdfast's own and contain no line breaks; a type is the publisher's and contains no
/// control characters.
enum EventStream {
    /// How long a browser waits before it reconnects.
    private static let retryMilliseconds = 2000

    /// - Parameter heartbeatSeconds: a client that receives nothing for much longer should consider the stream dead.
    static func hello(at cursor: Cursor, heartbeatSeconds: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append("retry: ")
        bytes.append(decimal: retryMilliseconds)
        bytes.append("\n")
        append("hello", at: cursor, to: &bytes) { bytes in
            bytes.append(member: "cursor", cursor)
            bytes.append(member: "heartbeat", heartbeatSeconds)
        }
        return bytes
    }

    static func append(
        _ message: Message,
        at cursor: Cursor,
        bare: Bool,
        isOmitted: Bool = false,
        to bytes: inout [UInt8]
    ) {
        bytes.append("id: ")
        bytes.append(cursor)
        bytes.append("\n")
        if let type = message.type {
            bytes.append("event: ")
            bytes.append(text: type)
            bytes.append("\n")
        }
        if bare {
            appendBody(of: message, to: &bytes)
        } else {
            // A single line: JSON bodies are stored compact, and everything else is escaped.
            bytes.append("data: ")
            MessageEncoder.append(message, isOmitted: isOmitted, to: &bytes)
            bytes.append("\n")
        }
        bytes.append("\n")
    }

    /// An upper bound on its size in bytes.
    static func size(ofBare message: Message) -> Int {
        let envelope = 128 + (message.type?.utf8.count ?? 0)
        guard message.kind != .bytes else { return envelope + (message.body.count + 2) / 3 * 4 }
        let breaks = message.body.count { $0 == 0x0D || $0 == 0x0A }
        return envelope + message.body.count + 6 * breaks
    }

    /// A `data` line for each line of the body; a body that is not text is base64.
    private static func appendBody(of message: Message, to bytes: inout [UInt8]) {
        let body = message.body
        bytes.append("data: ")
        guard message.kind != .bytes else {
            bytes.append(base64: body.span)
            bytes.append("\n")
            return
        }
        var at = 0
        while at < body.count {
            switch body[at] {
            case 0x0D, 0x0A:
                bytes.append("\ndata: ")
                if body[at] == 0x0D, at + 1 < body.count, body[at + 1] == 0x0A { at += 1 }
            default: bytes.append(body[at])
            }
            at += 1
        }
        bytes.append("\n")
    }

    static func gap(_ reason: GapReason, resumed: Cursor) -> [UInt8] {
        var bytes: [UInt8] = []
        append("gap", at: resumed, to: &bytes) { bytes in
            bytes.append(member: "reason", text: reason.rawValue)
            bytes.append(member: "cursor", resumed)
        }
        return bytes
    }

    /// - Parameter members: those of a JSON object, without its braces.
    static func status(_ members: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        append("status", at: nil, to: &bytes) { $0 += members }
        return bytes
    }

    /// A comment and nothing else: neither an id nor the empty line that ends an event. Clients less strict than
    /// browsers take an event without data for an empty message.
    static let ping = [UInt8(ascii: ":"), 0x0A]

    static func bye(_ reason: StreamEnd, at cursor: Cursor?, retryAfterSeconds: Int?) -> [UInt8] {
        var bytes: [UInt8] = []
        if let retryAfterSeconds {
            bytes.append("retry: ")
            bytes.append(decimal: retryAfterSeconds * 1000)
            bytes.append("\n")
        }
        append("bye", at: cursor, to: &bytes) { bytes in
            bytes.append(member: "reason", text: reason.rawValue)
            if let cursor { bytes.append(member: "cursor", cursor) }
        }
        return bytes
    }

    /// An event of Holdfast's own, whose data is an object.
    private static func append(
        _ name: StaticString,
        at cursor: Cursor?,
        to bytes: inout [UInt8],
        _ members: (inout [UInt8]) -> Void
    ) {
        if let cursor {
            bytes.append("id: ")
            bytes.append(cursor)
            bytes.append("\n")
        }
        bytes.append("event: ")
        bytes.append(name)
        bytes.append("\ndata: ")
        bytes.openObject()
        members(&bytes)
        bytes.closeObjectAndLine()
        bytes.append("\n")
    }
}
