internal import Glibc

/// Name-value pairs (FastCGI 1.0 §3.4): two lengths, then the name, then the value.
///
/// A length below 128 is one byte; any length may be four, big-endian, with the top bit set.
/// ```
/// | nameLength (1 or 4) | valueLength (1 or 4) | name | value |
/// ```
package enum NameValuePairs {
    package static func append(_ name: [UInt8], _ value: [UInt8], to bytes: inout [UInt8]) {
        appendLength(name.count, to: &bytes)
        appendLength(value.count, to: &bytes)
        bytes += name
        bytes += value
    }

    private static func appendLength(_ length: Int, to bytes: inout [UInt8]) {
        precondition(length >= 0 && length <= Int32.max, "a length has 31 bits")
        if length < 0x80 {
            bytes.append(UInt8(length))
        } else {
            for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
            bytes[bytes.count - 4] |= 0x80
        }
    }

    /// Visits the pairs of a complete stream; false if the lengths do not add up.
    ///
    /// The pairs before the fault have been visited in that case.
    package static func forEach(
        in bytes: UnsafeRawBufferPointer,
        _ visit: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        var at = 0
        while at < bytes.count {
            guard let nameLength = unsafe length(in: bytes, at: &at),
                let valueLength = unsafe length(in: bytes, at: &at),
                nameLength + valueLength <= bytes.count - at
            else { return false }
            let middle = at + nameLength
            let end = middle + valueLength
            unsafe visit(
                UnsafeRawBufferPointer(rebasing: bytes[at..<middle]),
                UnsafeRawBufferPointer(rebasing: bytes[middle..<end])
            )
            at = end
        }
        return true
    }

    /// The pairs of a complete stream, or nil if the lengths do not add up.
    package static func decode(_ bytes: [UInt8]) -> [(name: [UInt8], value: [UInt8])]? {
        var pairs: [(name: [UInt8], value: [UInt8])] = []
        let whole = unsafe bytes.withUnsafeBytes { bytes in
            unsafe forEach(in: bytes) { name, value in
                unsafe pairs.append((Array(name), Array(value)))
            }
        }
        return whole ? pairs : nil
    }

    /// The length that begins at `offset`, which moves behind it; nil if the bytes end before that.
    package static func length(
        in bytes: UnsafeRawBufferPointer,
        at offset: inout Int
    ) -> Int? {
        guard offset < bytes.count else { return nil }
        let first = unsafe bytes[offset]
        guard first >= 0x80 else {
            offset += 1
            return Int(first)
        }
        guard bytes.count - offset >= 4 else { return nil }
        let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        offset += 4
        return Int(UInt32(bigEndian: word) & 0x7fff_ffff)
    }
}

/// Checks a PARAMS stream as it arrives, in pieces cut anywhere, and stores only its position in it.
///
/// Lengths that the peer claims are only counted down, so a wrong one costs nothing.
struct PairCheck {
    enum Place { case nameLength, valueLength, name, value }

    var place = Place.nameLength
    /// The bytes received so far of a four-byte length.
    var lengthBytes = 0
    var length = 0
    var nameLeft = 0
    var valueLeft = 0

    /// Whether every pair can be represented as `NAME=value` followed by a NUL, the form in which variables are passed
    /// on: no NUL anywhere, and no `=` in a name.
    var isReadable = true

    /// Whether the stream may end here.
    var isWhole: Bool { place == .nameLength && lengthBytes == 0 }

    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        var seen = (nul: NextByte(0), equals: NextByte(UInt8(ascii: "=")))
        var at = 0
        while at < bytes.count {
            if place == .nameLength, lengthBytes == 0 {
                at = unsafe takeShortPairs(bytes, from: at, &seen)
                guard at < bytes.count else { return }
            }
            switch place {
            case .nameLength, .valueLength:
                unsafe takeLength(bytes[at])
                at += 1
            case .name:
                let end = at + min(nameLeft, bytes.count - at)
                if unsafe seen.nul.isIn(bytes, at, end) || seen.equals.isIn(bytes, at, end) {
                    isReadable = false
                }
                nameLeft -= end - at
                at = end
                if nameLeft == 0 { place = valueLeft > 0 ? .value : .nameLength }
            case .value:
                let end = at + min(valueLeft, bytes.count - at)
                if unsafe seen.nul.isIn(bytes, at, end) { isReadable = false }
                valueLeft -= end - at
                at = end
                if valueLeft == 0 { place = .nameLength }
            }
        }
    }

    /// Takes the complete pairs whose lengths have one byte, as nearly all have.
    ///
    /// - Returns: where the first other pair begins.
    private mutating func takeShortPairs(
        _ bytes: UnsafeRawBufferPointer,
        from start: Int,
        _ seen: inout (nul: NextByte, equals: NextByte)
    ) -> Int {
        var at = start
        while bytes.count &- at >= 2 {
            let name = unsafe Int(bytes[at])
            let value = unsafe Int(bytes[at &+ 1])
            let begin = at &+ 2
            guard name | value < 0x80, name &+ value <= bytes.count &- begin else { break }
            at = begin &+ name &+ value
            if unsafe seen.nul.isIn(bytes, begin, at)
                || seen.equals.isIn(bytes, begin, begin &+ name)
            {
                isReadable = false
            }
        }
        return at
    }

    private mutating func takeLength(_ byte: UInt8) {
        if lengthBytes == 0 {
            length = Int(byte & 0x7f)
            guard byte < 0x80 else {
                lengthBytes = 1
                return
            }
        } else {
            length = length << 8 | Int(byte)
            lengthBytes += 1
            guard lengthBytes == 4 else { return }
            lengthBytes = 0
        }
        if place == .nameLength {
            nameLeft = length
            place = .valueLength
        } else {
            valueLeft = length
            place = nameLeft > 0 ? .name : valueLeft > 0 ? .value : .nameLength
        }
    }
}

/// Whether a byte occurs in ranges of a buffer, each after the one before. Its next position is remembered, so that all
/// ranges together cost one pass.
private struct NextByte {
    private let byte: UInt8
    private var next = -1

    init(_ byte: UInt8) { self.byte = byte }

    /// Both positions are inside the buffer or its end; `start` never decreases.
    mutating func isIn(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        if next < start { next = unsafe place(in: bytes, from: start) }
        return next < end
    }

    /// The buffer's end if the byte does not occur again.
    private func place(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard start < bytes.count, let base = bytes.baseAddress,
            let found = unsafe memchr(base + start, Int32(byte), bytes.count - start)
        else { return bytes.count }
        return unsafe UnsafeRawPointer(found) - base
    }
}
