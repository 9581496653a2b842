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
        var at = 0
        while at < bytes.count {
            if place == .nameLength, lengthBytes == 0 {
                at = unsafe takeShortPairs(bytes, from: at)
                guard at < bytes.count else { return }
            }
            switch place {
            case .nameLength, .valueLength:
                unsafe takeLength(bytes[at])
                at += 1
            case .name:
                let count = min(nameLeft, bytes.count - at)
                if unsafe bytes.hold(0, from: at, count)
                    || bytes.hold(UInt8(ascii: "="), from: at, count)
                {
                    isReadable = false
                }
                at += count
                nameLeft -= count
                if nameLeft == 0 { place = valueLeft > 0 ? .value : .nameLength }
            case .value:
                let count = min(valueLeft, bytes.count - at)
                if unsafe bytes.hold(0, from: at, count) { isReadable = false }
                at += count
                valueLeft -= count
                if valueLeft == 0 { place = .nameLength }
            }
        }
    }

    /// Takes the pairs that are complete here and have lengths of one byte, as nearly all have.
    ///
    /// - Returns: where the first other pair begins.
    private mutating func takeShortPairs(
        _ bytes: UnsafeRawBufferPointer,
        from start: Int
    ) -> Int {
        var at = start
        while bytes.count &- at >= 2 {
            let name = unsafe Int(bytes[at])
            let value = unsafe Int(bytes[at &+ 1])
            let begin = at &+ 2
            guard name | value < 0x80, name &+ value <= bytes.count &- begin else { break }
            if unsafe bytes.hold(0, from: begin, name &+ value)
                || bytes.hold(UInt8(ascii: "="), from: begin, name)
            {
                isReadable = false
            }
            at = begin &+ name &+ value
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

extension UnsafeRawBufferPointer {
    /// Whether the byte occurs among so many. Eight bytes are looked at together: a byte of `word` is zero where it does,
    /// and subtracting one from each byte sets the top bit of a zero.
    ///
    /// The range must be inside the buffer.
    fileprivate func hold(_ byte: UInt8, from start: Int, _ count: Int) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let pattern = ones &* UInt64(byte)
        func hasZero(_ word: UInt64) -> Bool { (word &- ones) & ~word & ones << 7 != 0 }
        let end = start &+ count
        var at = start
        while at &+ 8 <= end {
            if hasZero(unsafe loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ pattern) {
                return true
            }
            at &+= 8
        }
        guard at < end else { return false }
        guard end >= 8 else {
            while at < end {
                if unsafe self[at] == byte { return true }
                at &+= 1
            }
            return false
        }
        // The eight bytes that end here, of which the first ones do not count: in memory order they are the lowest.
        let others = UInt64(1) << UInt64(8 &* (8 &- (end &- at))) &- 1
        let last = unsafe UInt64(
            littleEndian: loadUnaligned(fromByteOffset: end &- 8, as: UInt64.self)
        )
        return hasZero(last ^ pattern | others)
    }
}
