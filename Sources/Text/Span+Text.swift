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

    /// Inlined: where the length is known, as in a `switch` over it, it is a few comparisons.
    @inlinable @inline(__always)
    package func equals(_ text: StaticString, in range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for at in 0..<range.count {
            guard unsafe self[range.lowerBound + at] == text.utf8Start[at] else { return false }
        }
        return true
    }

    /// Eight bytes at a time: paths, queries and fields are read by their separators.
    package func first(_ byte: UInt8, in range: Range<Int>) -> Int? {
        var at = range.lowerBound
        let rest = unsafe extracting(range).withUnsafeBytes { bytes in
            let ones: UInt64 = 0x0101_0101_0101_0101
            let wanted = ones &* UInt64(byte)
            var at = 0
            while at &+ 8 <= bytes.count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                let different = UInt64(littleEndian: word) ^ wanted
                // The lowest bit that is set is in the first byte that is 0.
                let zeros = (different &- ones) & ~different & (ones << 7)
                if zeros != 0 { return (at: at &+ zeros.trailingZeroBitCount >> 3, isFound: true) }
                at &+= 8
            }
            return (at: at, isFound: false)
        }
        at &+= rest.at
        if rest.isFound { return at }
        while at < range.upperBound {
            if self[at] == byte { return at }
            at &+= 1
        }
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
