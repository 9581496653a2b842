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

    /// A JSON string, quoted and escaped.
    package static func jsonString(_ text: String) -> String {
        var bytes: [UInt8] = []
        bytes.append(jsonString: text)
        return String(decoding: bytes, as: UTF8.self)
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
        bytes.append(UInt8(ascii: "{"))
        appendMembers(of: message, isOmitted: isOmitted, to: &bytes)
        bytes.append(UInt8(ascii: "}"))
    }

    /// Appends the members, without the braces.
    ///
    /// - Parameter isOmitted: whether to give the length of the body instead of the body.
    static func appendMembers(
        of message: Message,
        isOmitted: Bool = false,
        to bytes: inout [UInt8]
    ) {
        bytes.append("\"id\":\"")
        bytes.append(message.id)
        bytes.append("\",\"channel\":\"")
        bytes.append(text: message.channel.text)
        bytes.append("\",\"time\":\"")
        bytes.append(timeMilliseconds: message.timeMilliseconds)
        bytes.append(UInt8(ascii: "\""))
        if let type = message.type {
            bytes.append(",\"type\":")
            bytes.append(jsonString: type)
        }
        if isOmitted {
            bytes.append(",\"omitted\":")
            return bytes.append(decimal: message.body.count)
        }
        switch message.kind {
        case .json:
            bytes.append(",\"data\":")
            bytes.append(contentsOf: message.body)
        case .text:
            let body = message.body
            bytes.append(",\"data\":")
            bytes.append(jsonString: body.span)
        case .bytes:
            let body = message.body
            bytes.append(",\"contentType\":")
            bytes.append(jsonString: message.contentType)
            bytes.append(",\"encoding\":\"base64\",\"data\":\"")
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
}
