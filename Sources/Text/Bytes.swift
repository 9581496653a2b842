/// Text is written as bytes throughout, because an answer is made once and sent many times.
extension [UInt8] {
    @inlinable
    package mutating func append(_ text: StaticString) {
        unsafe append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        )
    }

    @inlinable
    package mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    package mutating func append(decimal value: Int) {
        if value < 0 { append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        // The digits from the last one on, four bits each, which are enough for 16 of them.
        guard rest < 10_000_000_000_000_000 else { return append(text: String(rest)) }
        var digits: UInt64 = 0
        var count = 0
        repeat {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            digits = digits << 4 | UInt64(digit)
            rest = quotient
            count += 1
        } while rest > 0
        for _ in 0..<count {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digits & 15))
            digits >>= 4
        }
    }

    /// Exactly `digits` decimal digits, with zeros in front.
    package mutating func append(_ value: Int, digits: Int) {
        let start = count
        for _ in 0..<digits { append(UInt8(ascii: "0")) }
        var rest = value
        for at in stride(from: count - 1, through: start, by: -1) {
            self[at] += UInt8(rest % 10)
            rest /= 10
        }
    }

    /// Lower-case hexadecimal without zeros in front.
    package mutating func append(hexadecimal value: UInt64) {
        var shift = 60
        while shift > 0, value >> UInt64(shift) == 0 { shift -= 4 }
        while shift >= 0 {
            append(UInt8(hexadecimalDigit: UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15))
            shift -= 4
        }
    }
}
