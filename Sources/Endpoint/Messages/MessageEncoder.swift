package import Channels
internal import Text

/// Encodes messages for JSON answers.
package enum MessageEncoder {
    /// `{"id":…,"channel":…,"time":…,"data":…}`; with `type` if the message has one, and `encoding` and `contentType`
    /// for bytes.
    package static func json(_ message: Message) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size(of: message))
        append(message, to: &bytes)
        return bytes
    }

    /// An upper bound on the encoded size of a message, and hardly more than it: used to limit answers and to reserve
    /// memory.
    static func size(of message: Message) -> Int {
        let body = message.body
        var count = 176 + message.channel.text.utf8.count
        switch message.kind {
        case .json: count += body.count
        case .text: count += JSONText.byteCount(ofString: body.span)
        case .bytes:
            count += (body.count + 2) / 3 * 4
            count += JSONText.byteCount(ofString: message.contentType.utf8Span.span)
        }
        if let type = message.type { count += JSONText.byteCount(ofString: type.utf8Span.span) }
        return count
    }

    static func append(_ message: Message, isOmitted: Bool = false, to bytes: inout [UInt8]) {
        bytes.openObject()
        appendMembers(of: message, isOmitted: isOmitted, to: &bytes)
        bytes.closeObject()
    }

    /// Appends the members, without the braces.
    ///
    /// - Parameter isOmitted: whether to give the length of the body instead of the body.
    static func appendMembers(
        of message: Message,
        isOmitted: Bool = false,
        to bytes: inout [UInt8]
    ) {
        bytes.append(member: "id", message.id)
        bytes.append(member: "channel", text: message.channel.text)
        bytes.append(member: "time", timeMilliseconds: message.timeMilliseconds)
        if let type = message.type { bytes.append(member: "type", text: type) }
        let body = message.body
        if isOmitted { return bytes.append(member: "omitted", body.count) }
        if message.kind == .bytes {
            bytes.append(member: "contentType", text: message.contentType)
            bytes.append(member: "encoding", word: "base64")
        }
        bytes.append(member: "data")
        switch message.kind {
        case .json: bytes.append(contentsOf: body)
        case .text: bytes.append(jsonString: body.span)
        case .bytes:
            bytes.append(UInt8(ascii: "\""))
            bytes.append(base64: body.span)
            bytes.append(UInt8(ascii: "\""))
        }
    }
}

extension [UInt8] {
    /// As `Cursor.description` writes it.
    mutating func append(_ cursor: Cursor) {
        append(text: cursor.epoch.name)
        append(UInt8(ascii: "-"))
        append(hexadecimal: UInt64(cursor.offset.value))
    }

    /// The same as a JSON string.
    mutating func append(quoted cursor: Cursor) {
        append(UInt8(ascii: "\""))
        append(cursor)
        append(UInt8(ascii: "\""))
    }

    mutating func append(member name: StaticString, _ cursor: Cursor) {
        append(member: name)
        append(quoted: cursor)
    }
}
