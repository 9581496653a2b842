package import Channels

/// Messages as JSON answers write them.
package enum MessageEncoder {
    /// `{"id":…,"channel":…,"time":…,"data":…}`; `type` where the message has one, `encoding` and `contentType` for bytes.
    package static func json(_ message: Message) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size(of: message))
        append(message, to: &bytes)
        return bytes
    }

    /// Quoted and escaped.
    package static func jsonString(_ text: String) -> String {
        var bytes: [UInt8] = []
        bytes.append(jsonString: text)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// How many bytes a message takes at most, and hardly less: what bounds answers, and the room that is made for them.
    static func size(of message: Message) -> Int {
        let body = message.body
        var count = 176 + message.channel.text.utf8.count
        switch message.kind {
        case .json: count += body.count
        case .text: count += jsonBytes(of: body.span)
        case .bytes:
            count += (body.count + 2) / 3 * 4
            count += jsonBytes(of: message.contentType.utf8Span.span)
        }
        if let type = message.type { count += jsonBytes(of: type.utf8Span.span) }
        return count
    }

    /// Of a quoted and escaped string; the same cases as where it is written.
    private static func jsonBytes(of source: Span<UInt8>) -> Int {
        var count = 2 + source.count
        for at in 0..<source.count {
            switch source[at] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x0A, 0x0D, 0x09: count += 1
            case 0..<0x20, 0x7F: count += 5
            default: break
            }
        }
        return count
    }

    static func append(_ message: Message, isOmitted: Bool = false, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        appendMembers(of: message, isOmitted: isOmitted, to: &bytes)
        bytes.append(UInt8(ascii: "}"))
    }

    /// What stands between the braces.
    ///
    /// - Parameter isOmitted: how long the body is, instead of the body.
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
    mutating func append(jsonString text: String) {
        append(jsonString: text.utf8Span.span)
    }

    /// Quoted and escaped as RFC 8259 §7 asks; `source` is UTF-8.
    mutating func append(jsonString source: Span<UInt8>) {
        append(UInt8(ascii: "\""))
        for at in 0..<source.count {
            let byte = source[at]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20, 0x7F:
                append("\\u00")
                append(hexadecimalDigit(byte >> 4))
                append(hexadecimalDigit(byte & 15))
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }

    /// RFC 4648 §4, with padding.
    mutating func append(base64 source: Span<UInt8>) {
        let alphabet: StaticString =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        var at = 0
        while at < source.count {
            let rest = source.count - at
            let group =
                UInt32(source[at]) << 16 | (rest > 1 ? UInt32(source[at + 1]) << 8 : 0)
                | (rest > 2 ? UInt32(source[at + 2]) : 0)
            for place in 0..<4 {
                let digit = Int(group >> UInt32(18 - 6 * place) & 63)
                // The six bits are below 64, the alphabet's length.
                append(place <= rest ? unsafe alphabet.utf8Start[digit] : UInt8(ascii: "="))
            }
            at += 3
        }
    }

    /// ISO 8601 in UTC with milliseconds, `2026-01-31T12:00:00.123Z`; years 0 to 9999, others are cut to them.
    mutating func append(timeMilliseconds time: Int64) {
        let time = Swift.min(Swift.max(time, -62_167_219_200_000), 253_402_300_799_999)
        let days = time >= 0 ? time / 86_400_000 : (time - 86_399_999) / 86_400_000
        let rest = Int(time - days * 86_400_000)
        // Days to a date in the Gregorian calendar, by H. Hinnant's civil_from_days: years begin in March, so that
        // the leap day is the last one.
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        append(yearOfEra + era * 400 + (month <= 2 ? 1 : 0), digits: 4)
        append(UInt8(ascii: "-"))
        append(month, digits: 2)
        append(UInt8(ascii: "-"))
        append(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, digits: 2)
        append(UInt8(ascii: "T"))
        append(rest / 3_600_000, digits: 2)
        append(UInt8(ascii: ":"))
        append(rest / 60_000 % 60, digits: 2)
        append(UInt8(ascii: ":"))
        append(rest / 1000 % 60, digits: 2)
        append(UInt8(ascii: "."))
        append(rest % 1000, digits: 3)
        append(UInt8(ascii: "Z"))
    }
}
