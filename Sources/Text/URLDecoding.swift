/// Percent-decoding of paths and of forms.
package enum URLDecoding {
    /// A path decoded once, with `//` merged after decoding as servers do.
    ///
    /// - Returns: nil if it has an invalid escape, a NUL or invalid UTF-8.
    package static func path(_ source: Span<UInt8>, _ range: Range<Int>, escapes: Bool = true)
        -> [UInt8]?
    {
        var path: [UInt8] = []
        path.reserveCapacity(range.count)
        var at = range.lowerBound
        var isASCII = true
        while at < range.upperBound {
            var byte = source[at]
            at += 1
            if escapes, byte == UInt8(ascii: "%") {
                guard at + 1 < range.upperBound, let high = source[at].hexadecimalValue,
                    let low = source[at + 1].hexadecimalValue
                else { return nil }
                byte = high << 4 | low
                at += 2
            }
            if byte == 0 { return nil }
            if byte >= 0x80 { isASCII = false }
            if byte == UInt8(ascii: "/"), path.last == UInt8(ascii: "/") { continue }
            path.append(byte)
        }
        if !isASCII, String(validating: path, as: UTF8.self) == nil { return nil }
        return path
    }

    /// A form's name or value (WHATWG URL §5.1): `+` is a space, and an invalid escape stands for itself.
    package static func form(
        _ source: Span<UInt8>,
        _ range: Range<Int>,
        plusIsSpace: Bool = true
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        var at = range.lowerBound
        while at < range.upperBound {
            let byte = source[at]
            at += 1
            if plusIsSpace, byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), at + 1 < range.upperBound,
                let high = source[at].hexadecimalValue, let low = source[at + 1].hexadecimalValue
            {
                bytes.append(high << 4 | low)
                at += 2
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    /// Decodes escapes such as `%20`; an invalid escape stands for itself.
    package static func escapes(_ source: Span<UInt8>) -> [UInt8] {
        form(source, 0..<source.count, plusIsSpace: false)
    }

    /// Nil if it is not UTF-8: a repair would invent a value that was never sent.
    package static func formText(_ source: Span<UInt8>, _ range: Range<Int>) -> String? {
        for at in range where source[at] == UInt8(ascii: "%") || source[at] == UInt8(ascii: "+") {
            return unsafe form(source, range).withUnsafeBytes { unsafe String(utf8: $0) }
        }
        return unsafe source.extracting(range).withUnsafeBytes { unsafe String(utf8: $0) }
    }

    /// Visits the ranges of name and value in each `name=value` between `&`; empty pieces are skipped.
    package static func forEachField(
        _ source: Span<UInt8>,
        _ body: (_ piece: Range<Int>, _ name: Range<Int>, _ value: Range<Int>) -> Void
    ) {
        unsafe source.withUnsafeBytes { bytes in
            var start = 0
            var equals: Int?
            func end(_ end: Int) {
                if end > start {
                    body(start..<end, start..<(equals ?? end), (equals.map { $0 + 1 } ?? end)..<end)
                }
                (start, equals) = (end + 1, nil)
            }
            for at in stride(from: 0, to: bytes.count, by: 8) {
                let eight = unsafe EightBytes(of: bytes, from: at)
                var separators =
                    eight.places(of: UInt8(ascii: "&")) | eight.places(of: UInt8(ascii: "="))
                while separators != 0 {
                    let place = at + separators.trailingZeroBitCount / 8
                    separators &= separators - 1
                    if unsafe bytes[place] == UInt8(ascii: "&") {
                        end(place)
                    } else if equals == nil {
                        equals = place
                    }
                }
            }
            end(bytes.count)
        }
    }
}

extension [UInt8] {
    /// Appends bytes that may stand in a URL inside a header field: whatever could end it is percent-encoded.
    package mutating func append(urlBytes source: Span<UInt8>, _ range: Range<Int>) {
        for at in range {
            let byte = source[at]
            switch byte {
            case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: ";"),
                UInt8(ascii: "\\"):
                append(percentEncoding: byte)
            default:
                if byte.isVisibleASCII { append(byte) } else { append(percentEncoding: byte) }
            }
        }
    }

    private mutating func append(percentEncoding byte: UInt8) {
        append(UInt8(ascii: "%"))
        append(UInt8(hexadecimalDigit: byte >> 4))
        append(UInt8(hexadecimalDigit: byte & 15))
    }
}
