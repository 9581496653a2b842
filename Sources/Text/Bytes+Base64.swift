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
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 4) else { return nil }
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        let last = (UInt8(ascii: "+"), UInt8(ascii: "/"))
        guard let decoded = Self.ofBase64(digits.dropLast(padding), last: last) else { return nil }
        self = decoded.bytes
    }

    /// The bytes of digits in base64 without padding, and the bits of the last digit that stand for nothing. Nil for
    /// another character, and for a number of digits that no bytes have.
    ///
    /// - Parameter last: the digits for 62 and 63: `+` and `/` (RFC 4648 §4), or `-` and `_` (§5).
    package static func ofBase64(
        _ digits: ArraySlice<UInt8>,
        last: (UInt8, UInt8)
    ) -> (bytes: [UInt8], rest: UInt32)? {
        guard digits.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count * 3 / 4)
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for digit in digits {
            guard let value = value(ofBase64: digit, last: last) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
                bits &= 1 << count - 1
            }
        }
        return (bytes, bits)
    }

    private static func value(ofBase64 digit: UInt8, last: (UInt8, UInt8)) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case last.0: 62
        case last.1: 63
        default: nil
        }
    }
}
