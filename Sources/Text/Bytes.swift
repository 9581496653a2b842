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
        if (0..<10).contains(value) { return append(UInt8(ascii: "0") + UInt8(value)) }
        append(text: String(value))
    }

    /// Exactly `digits` decimal digits, with zeros in front.
    package mutating func append(_ value: Int, digits: Int) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
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
