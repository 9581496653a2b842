extension String {
    /// The bytes as text; nil if they are not UTF-8.
    ///
    /// Nearly everything that a request says is ASCII, which is known at a glance; `String(validating:)` is generic code
    /// of the library.
    @inlinable
    package init?(utf8 bytes: UnsafeRawBufferPointer) {
        if unsafe bytes.isASCII {
            unsafe self.init(decoding: bytes, as: UTF8.self)
        } else {
            unsafe self.init(validating: bytes, as: UTF8.self)
        }
    }
}

extension UnsafeRawBufferPointer {
    @inlinable
    package var isASCII: Bool {
        var all: UInt8 = 0
        for at in 0..<count { unsafe all |= self[at] }
        return all < 0x80
    }
}

extension Span<UInt8> {
    /// The bytes as text; invalid UTF-8 is repaired.
    @inlinable
    package func text(_ range: Range<Int>) -> String {
        unsafe extracting(range).withUnsafeBufferPointer {
            unsafe String(decoding: $0, as: UTF8.self)
        }
    }

    @inlinable
    package func equals(_ text: StaticString, in range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for at in 0..<range.count {
            guard unsafe self[range.lowerBound + at] == text.utf8Start[at] else { return false }
        }
        return true
    }

    @inlinable
    package func first(_ byte: UInt8, in range: Range<Int>) -> Int? {
        for at in range where self[at] == byte { return at }
        return nil
    }

    /// The range without blanks at its ends.
    @inlinable
    package func trimmed(_ range: Range<Int>) -> Range<Int> {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high, self[low].isBlank { low += 1 }
        while low < high, self[high - 1].isBlank { high -= 1 }
        return low..<high
    }
}
