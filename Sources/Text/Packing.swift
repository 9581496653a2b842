/// A value that is written as bytes and read again by another process, perhaps of another release.
///
/// The form is explicit and has nothing to do with memory layouts: numbers in 7-bit groups, lengths before contents, a
/// code for each case. A stream of such values begins with the version of its form.
package protocol Packable {
    func pack(into pack: inout Packer)
    init(from pack: inout Unpacker) throws(UnpackError)
}

/// The bytes are not what this release writes.
package struct UnpackError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Writes values one after the other.
package struct Packer {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func add(_ value: some Packable) { value.pack(into: &self) }

    package mutating func add(byte: UInt8) { bytes.append(byte) }

    package mutating func add(number: UInt64) {
        var rest = number
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Bytes with their number before them.
    package mutating func add(bytes content: some Collection<UInt8>) {
        add(number: UInt64(content.count))
        bytes.append(contentsOf: content)
    }
}

/// Reads them again, in the same order.
package struct Unpacker {
    private let bytes: [UInt8]
    private var at: Int

    package init(_ bytes: [UInt8], from start: Int = 0) {
        self.bytes = bytes
        at = start
    }

    package var isAtEnd: Bool { at >= bytes.count }

    package mutating func value<Value: Packable>(
        _ type: Value.Type = Value.self
    ) throws(UnpackError) -> Value { try Value(from: &self) }

    package mutating func byte() throws(UnpackError) -> UInt8 {
        guard at < bytes.count else { throw UnpackError("something is missing at its end") }
        at += 1
        return bytes[at - 1]
    }

    package mutating func number() throws(UnpackError) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: 0 as UInt64, to: 70, by: 7) {
            let byte = try byte()
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        throw UnpackError("a number has too many bytes")
    }

    /// The number of what follows, each of which takes at least one byte.
    package mutating func count() throws(UnpackError) -> Int {
        let count = try number()
        guard count <= UInt64(bytes.count - at) else {
            throw UnpackError("a length exceeds the bytes")
        }
        return Int(count)
    }

    package mutating func content() throws(UnpackError) -> [UInt8] {
        let count = try count()
        defer { at += count }
        return Array(bytes[at..<at + count])
    }
}

// MARK: Simple values

extension Bool: Packable {
    package func pack(into pack: inout Packer) { pack.add(byte: self ? 1 : 0) }
    package init(from pack: inout Unpacker) throws(UnpackError) { self = try pack.byte() != 0 }
}

extension UInt64: Packable {
    package func pack(into pack: inout Packer) { pack.add(number: self) }
    package init(from pack: inout Unpacker) throws(UnpackError) { self = try pack.number() }
}

extension Int64: Packable {
    /// The sign in the lowest bit, so that small numbers are short.
    package func pack(into pack: inout Packer) {
        pack.add(number: UInt64(bitPattern: self << 1 ^ self >> 63))
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let number = try pack.number()
        self = Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }
}

extension Int: Packable {
    package func pack(into pack: inout Packer) { pack.add(Int64(self)) }
    package init(from pack: inout Unpacker) throws(UnpackError) {
        self = Int(try Int64(from: &pack))
    }
}

extension UInt32: Packable {
    package func pack(into pack: inout Packer) { pack.add(number: UInt64(self)) }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        guard let number = UInt32(exactly: try pack.number()) else {
            throw UnpackError("a number is too large")
        }
        self = number
    }
}

extension String: Packable {
    package func pack(into pack: inout Packer) { pack.add(bytes: utf8) }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self = String(decoding: try pack.content(), as: UTF8.self)
    }
}

extension Optional: Packable where Wrapped: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(byte: self == nil ? 0 : 1)
        if let self { pack.add(self) }
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        self = try pack.byte() == 0 ? nil : Wrapped(from: &pack)
    }
}

extension Array: Packable where Element: Packable {
    package func pack(into pack: inout Packer) {
        pack.add(number: UInt64(count))
        for element in self { pack.add(element) }
    }

    package init(from pack: inout Unpacker) throws(UnpackError) {
        let count = try pack.count()
        self = []
        reserveCapacity(count)
        for _ in 0..<count { append(try Element(from: &pack)) }
    }
}
