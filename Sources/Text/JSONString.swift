extension [UInt8] {
    package mutating func append(jsonString text: String) {
        append(jsonString: text.utf8Span.span)
    }

    /// Quotes and escapes a string as RFC 8259 §7 requires; `source` is UTF-8.
    package mutating func append(jsonString source: Span<UInt8>) {
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
                append(UInt8(hexadecimalDigit: byte >> 4))
                append(UInt8(hexadecimalDigit: byte & 15))
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }
}

extension JSONText {
    /// The length of a string, quoted and escaped: the same cases as in writing it.
    package static func byteCount(ofString source: Span<UInt8>) -> Int {
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
}
