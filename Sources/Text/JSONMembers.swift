/// The parts of a JSON text that `JSONText` has accepted: valid, and without white space between its parts.
package enum JSONMembers {
    /// The unescaped names of an object's members, with the ranges of their values; nil if the text is not an object.
    package static func of(_ text: [UInt8]) -> [(name: String, value: Range<Int>)]? {
        of(text, in: text.indices)
    }

    /// The object with its members in their order, but for one.
    package static func without(_ name: String, _ text: [UInt8]) -> [UInt8] {
        guard let members = of(text) else { return text }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        bytes.openObject()
        for member in members where member.name != name {
            bytes.append(memberNamed: member.name)
            bytes += text[member.value]
        }
        bytes.closeObject()
        return bytes
    }

    static func of(_ text: [UInt8], in range: Range<Int>) -> [(name: String, value: Range<Int>)]? {
        guard text[range].first == UInt8(ascii: "{") else { return nil }
        var members: [(name: String, value: Range<Int>)] = []
        var at = range.lowerBound + 1
        while at < range.upperBound, text[at] == UInt8(ascii: "\"") {
            let end = endOfString(text, at)
            let value = end + 1..<endOfValue(text, end + 1)
            members.append((string(text, at..<end), value))
            // After the comma, or the closing brace.
            at = value.upperBound + 1
        }
        return members
    }

    /// The ranges of an array's elements; nil if the value is not an array.
    static func elements(_ text: [UInt8], in range: Range<Int>) -> [Range<Int>]? {
        guard text[range].first == UInt8(ascii: "[") else { return nil }
        var elements: [Range<Int>] = []
        var at = range.lowerBound + 1
        while at < range.upperBound - 1 {
            elements.append(at..<endOfValue(text, at))
            at = elements[elements.count - 1].upperBound + 1
        }
        return elements
    }

    /// The text of a string; nil if the value is not a string.
    package static func string(_ text: [UInt8], at value: Range<Int>) -> String? {
        text[value.lowerBound] == UInt8(ascii: "\"") ? string(text, value) : nil
    }

    /// The index after the closing quotation mark of the string that begins at `start`.
    private static func endOfString(_ text: [UInt8], _ start: Int) -> Int {
        var at = start + 1
        while text[at] != UInt8(ascii: "\"") {
            at += text[at] == UInt8(ascii: "\\") ? 2 : 1
        }
        return at + 1
    }

    private static func endOfValue(_ text: [UInt8], _ start: Int) -> Int {
        var at = start
        var depth = 0
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "\""):
                at = endOfString(text, at)
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return at }
                depth -= 1
            case UInt8(ascii: ","): if depth == 0 { return at }
            default: break
            }
            at += 1
        }
        return at
    }

    /// RFC 8259 §7, with its quotation marks.
    private static func string(_ text: [UInt8], _ range: Range<Int>) -> String {
        var units: [UInt8] = []
        var at = range.lowerBound + 1
        while at < range.upperBound - 1 {
            guard text[at] == UInt8(ascii: "\\") else {
                units.append(text[at])
                at += 1
                continue
            }
            let escape = text[at + 1]
            at += 2
            switch escape {
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = codeUnit(text, at)
                at += 4
                if (0xD800..<0xDC00).contains(scalar) {
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (codeUnit(text, at + 2) - 0xDC00)
                    at += 6
                }
                if let scalar = Unicode.Scalar(scalar) { units += Array(String(scalar).utf8) }
            default: units.append(escape)
            }
        }
        return String(decoding: units, as: UTF8.self)
    }

    private static func codeUnit(_ text: [UInt8], _ at: Int) -> UInt32 {
        text[at..<at + 4].reduce(0) { $0 << 4 | UInt32($1.hexadecimalValue ?? 0) }
    }
}
