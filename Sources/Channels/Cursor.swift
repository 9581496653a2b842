/// A position in the log's one total order: message 1 is the first; 0 is before all of them.
package struct Offset: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    package let value: Int64

    package init(_ value: Int64) { self.value = value }

    package static let start = Offset(0)
    package static func < (a: Offset, b: Offset) -> Bool { a.value < b.value }
    package var next: Offset { Offset(value + 1) }
    package var previous: Offset { Offset(value - 1) }
    package var description: String { String(value) }
}

/// The random name of one section of the log's history, 1 to 16 lower-case letters and digits.
package struct Epoch: Hashable, Sendable, CustomStringConvertible {
    package let name: String

    /// Nil unless the name has the form above.
    package init?(_ name: some StringProtocol) {
        let name = String(name)
        self.init(name.utf8Span.span)
    }

    init?(_ name: Span<UInt8>) {
        guard (1...16).contains(name.count),
            name.indices.allSatisfy({ Self.isNameByte(name[$0]) })
        else { return nil }
        self.name = unsafe name.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// Eight characters from the generator: 41 bits, enough that a foreign cursor is never taken for one of ours.
    package static func random(using generator: inout some RandomNumberGenerator) -> Epoch {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        let name = (0..<8).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)]
        }
        return Epoch(validated: String(decoding: name, as: UTF8.self))
    }

    /// An epoch that no log has, because it is too short.
    package static let ofNoLog = Epoch(validated: "0")

    package var description: String { name }

    private init(validated name: String) { self.name = name }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// A subscriber's position: everything up to `offset` was examined for it. The same token identifies a message.
///
/// Written `epoch-offset` with the offset in lower-case hexadecimal, as in `k7f2x0ab-1a2f`. Opaque to clients.
package struct Cursor: Hashable, Sendable, CustomStringConvertible {
    package let epoch: Epoch
    package let offset: Offset

    package init(epoch: Epoch, offset: Offset) {
        self.epoch = epoch
        self.offset = offset
    }

    /// Nil unless the text is exactly what `description` writes for some cursor.
    package init?(_ text: some StringProtocol) { self.init(String(text)) }

    /// The same; not generic, since most polls bring one.
    package init?(_ text: String) {
        let bytes = text.utf8Span.span
        guard let dash = bytes.indices.first(where: { bytes[$0] == UInt8(ascii: "-") }),
            let epoch = Epoch(bytes.extracting(..<dash))
        else { return nil }
        let digits = dash + 1..<bytes.count
        guard (1...16).contains(digits.count),
            bytes[digits.lowerBound] != UInt8(ascii: "0") || digits.count == 1
        else { return nil }
        var value: UInt64 = 0
        for at in digits {
            let digit = bytes[at]
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        guard let value = Int64(exactly: value) else { return nil }
        self.init(epoch: epoch, offset: Offset(value))
    }

    package var description: String { "\(epoch.name)-\(String(offset.value, radix: 16))" }
}
