extension [UInt8] {
    /// RFC 4648 §4, with padding.
    package mutating func append(base64 source: Span<UInt8>) {
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
}

extension [UInt8] {
    /// The bytes of a text in base64 (RFC 4648 §4) with padding; nil if it is none.
    package init?(base64 text: String) {
        self = []
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 4) else { return nil }
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        reserveCapacity(digits.count / 4 * 3)
        var group: UInt32 = 0
        for (place, digit) in digits.dropLast(padding).enumerated() {
            guard let value = Self.value(ofBase64: digit) else { return nil }
            group = group << 6 | value
            if place % 4 == 3 {
                append(contentsOf: [16, 8, 0].map { UInt8(truncatingIfNeeded: group >> $0) })
            }
        }
        // One or two bytes are left, and bits that stand for nothing.
        if padding == 1 {
            append(contentsOf: [10, 2].map { UInt8(truncatingIfNeeded: group >> $0) })
        }
        if padding == 2 { append(UInt8(truncatingIfNeeded: group >> 4)) }
    }

    private static func value(ofBase64 digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
