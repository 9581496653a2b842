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
        unsafe extracting(range).withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: 8) {
                let found = unsafe EightBytes(of: bytes, from: start).places(of: byte)
                guard found != 0 else { continue }
                let place = start + found.trailingZeroBitCount / 8
                return place < bytes.count ? range.lowerBound + place : nil
            }
            return nil
        }
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

/// Eight bytes that are searched at once.
struct EightBytes {
    /// The first byte in the lowest bits.
    private var word: UInt64 = 0

    /// - Parameter start: at least one byte before the end; what is missing behind it is 0.
    @inline(__always)
    init(of bytes: UnsafeRawBufferPointer, from start: Int) {
        if bytes.count - start >= 8 {
            word = unsafe UInt64(
                littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)
            )
        } else {
            for at in start..<bytes.count { unsafe word |= UInt64(bytes[at]) << (8 * (at - start)) }
        }
    }

    /// The highest bit of each byte that is this one.
    @inline(__always)
    func places(of byte: UInt8) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let low = ones &* 0x7f
        let different = word ^ (ones &* UInt64(byte))
        return ~(((different & low) &+ low) | different | low)
    }
}
