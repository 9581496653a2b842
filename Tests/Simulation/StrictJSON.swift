/// A JSON value as a careful client reads it: any deviation from RFC 8259 is an error, and so is a name that occurs
/// twice in an object.
enum StrictJSON: Equatable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([StrictJSON])
    case object([Member])

    struct Member: Equatable {
        let name: String
        let value: StrictJSON
    }

    /// Nil unless the bytes are exactly one value, with white space around it.
    init?(_ bytes: some Collection<UInt8>) {
        var reader = Reader(bytes: ContiguousArray(bytes))
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipBlanks()
        guard reader.at == reader.bytes.count else { return nil }
        self = value
    }

    subscript(name: String) -> StrictJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }
    var flag: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    var integer: Int? { if case .number(let text) = self { Int(text) } else { nil } }
    var elements: [StrictJSON]? { if case .array(let elements) = self { elements } else { nil } }
    var names: [String] {
        if case .object(let members) = self { members.map(\.name) } else { [] }
    }
}

private struct Reader {
    let bytes: ContiguousArray<UInt8>
    var at = 0

    private static let depthLimit = 32

    mutating func skipBlanks() {
        while at < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[at]) { at += 1 }
    }

    mutating func value(depth: Int) -> StrictJSON? {
        skipBlanks()
        guard depth < Self.depthLimit, at < bytes.count else { return nil }
        switch bytes[at] {
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: "t"): return word("true", .bool(true))
        case UInt8(ascii: "f"): return word("false", .bool(false))
        case UInt8(ascii: "n"): return word("null", .null)
        default: return number()
        }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: byte) else { return false }
        at += 1
        return true
    }

    private mutating func word(_ text: String, _ value: StrictJSON) -> StrictJSON? {
        guard bytes[at...].starts(with: text.utf8) else { return nil }
        at += text.utf8.count
        return value
    }

    private mutating func object(_ depth: Int) -> StrictJSON? {
        at += 1
        var members: [StrictJSON.Member] = []
        skipBlanks()
        if take("}") { return .object([]) }
        while true {
            skipBlanks()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\""), let name = string(),
                !members.contains(where: { $0.name == name })
            else { return nil }
            skipBlanks()
            guard take(":"), let value = value(depth: depth + 1) else { return nil }
            members.append(.init(name: name, value: value))
            skipBlanks()
            if take("}") { return .object(members) }
            guard take(",") else { return nil }
        }
    }

    private mutating func array(_ depth: Int) -> StrictJSON? {
        at += 1
        var elements: [StrictJSON] = []
        skipBlanks()
        if take("]") { return .array([]) }
        while true {
            guard let value = value(depth: depth + 1) else { return nil }
            elements.append(value)
            skipBlanks()
            if take("]") { return .array(elements) }
            guard take(",") else { return nil }
        }
    }

    private mutating func string() -> String? {
        at += 1
        let begin = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\") {
            guard bytes[at] >= 0x20 else { return nil }
            at += 1
        }
        if at < bytes.count, bytes[at] == UInt8(ascii: "\"") {
            defer { at += 1 }
            return String(validating: bytes[begin..<at], as: UTF8.self)
        }
        return escaped(Array(bytes[begin..<at]))
    }

    /// The rest of a string that has escapes.
    private mutating func escaped(_ begin: [UInt8]) -> String? {
        var text = begin
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
            case 0..<0x20: return nil
            case UInt8(ascii: "\\"):
                guard at < bytes.count else { return nil }
                let escape = bytes[at]
                at += 1
                switch escape {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
                case UInt8(ascii: "b"): text.append(0x08)
                case UInt8(ascii: "f"): text.append(0x0C)
                case UInt8(ascii: "n"): text.append(0x0A)
                case UInt8(ascii: "r"): text.append(0x0D)
                case UInt8(ascii: "t"): text.append(0x09)
                case UInt8(ascii: "u"):
                    guard let scalar = scalar() else { return nil }
                    text.append(contentsOf: String(Character(scalar)).utf8)
                default: return nil
                }
            default: text.append(byte)
            }
        }
        return nil
    }

    /// Four hexadecimal digits; a surrogate pair is two escapes.
    private mutating func scalar() -> Unicode.Scalar? {
        guard let first = unit() else { return nil }
        guard (0xD800..<0xDC00).contains(first) else { return Unicode.Scalar(first) }
        guard take("\\"), take("u"), let second = unit(), (0xDC00..<0xE000).contains(second) else {
            return nil
        }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private mutating func unit() -> UInt32? {
        guard at + 4 <= bytes.count else { return nil }
        let digits = bytes[at..<at + 4]
        at += 4
        guard let text = String(validating: digits, as: UTF8.self), !text.hasPrefix("+"),
            !text.hasPrefix("-")
        else { return nil }
        return UInt32(text, radix: 16)
    }

    private mutating func number() -> StrictJSON? {
        let begin = at
        _ = take("-")
        guard digits() else { return nil }
        let whole = bytes[begin..<at].drop { $0 == UInt8(ascii: "-") }
        guard whole.count == 1 || whole.first != UInt8(ascii: "0") else { return nil }
        if take("."), !digits() { return nil }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() else { return nil }
        }
        return .number(String(decoding: bytes[begin..<at], as: UTF8.self))
    }

    private mutating func digits() -> Bool {
        let begin = at
        while at < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) {
            at += 1
        }
        return at > begin
    }
}
