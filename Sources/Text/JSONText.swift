/// Checks JSON from publishers: one value in UTF-8, by the grammar of RFC 8259 and nothing beyond.
///
/// A value is copied into other clients' answers, and one that a browser's `JSON.parse` refuses would spoil the whole
/// answer. Foundation's parser accepts more than the grammar (a comma before a closing bracket), so it cannot guard
/// against this. Other parsers accept less, where RFC 8259 warns of it (§6, §8.2), so unlimited numbers and halves of
/// surrogate pairs are refused. A single pass, without recursion.
package enum JSONText {
    /// The depth of nested brackets; many parsers stop at 512, and an answer adds some levels of its own.
    package static let depthLimit = 500
    /// The length of a number: some parsers fail on digits beyond what a double can represent (about 1e308).
    package static let numberLimit = 300

    /// The value without the white space between its parts, so that it is one line.
    ///
    /// A byte order mark is dropped.
    package static func compacted(
        _ source: [UInt8],
        depthLimit: Int = depthLimit
    ) throws(JSONError) -> [UInt8] {
        guard String(validating: source, as: UTF8.self) != nil else { throw .notUTF8 }
        var walk = JSONWalk(source: source, depthLimit: depthLimit)
        guard walk.takeText() else { throw walk.complaint ?? .notJSON }
        return walk.compact
    }
}

/// Why a text is not accepted as JSON.
package enum JSONError: Error, Equatable {
    case notUTF8
    /// It violates the grammar.
    case notJSON
    /// It has more nested brackets than the limit.
    case tooDeep
    /// An escape that is half a surrogate pair.
    case halfSurrogate
    /// A number of more than `JSONText.numberLimit` characters.
    case longNumber
    /// A number larger than a double can represent.
    case largeNumber
}

/// A single pass over a JSON text that copies everything except the white space between the parts.
private struct JSONWalk {
    private enum Expectation {
        case value, valueOrEnd, name, nameOrEnd, colon, commaOrEnd
    }

    private let source: [UInt8]
    private let depthLimit: Int
    private var at = 0
    private(set) var compact: [UInt8] = []
    /// The problem, if the grammar has no objection.
    private(set) var complaint: JSONError?
    /// For each open bracket, whether it belongs to an object.
    private var open: [Bool] = []

    init(source: [UInt8], depthLimit: Int) {
        self.source = source
        self.depthLimit = depthLimit
        compact.reserveCapacity(source.count)
    }

    /// Whether the whole text is one value.
    mutating func takeText() -> Bool {
        if source.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        var expectation = Expectation.value
        while at < source.count {
            let byte = source[at]
            if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                at += 1
                continue
            }
            guard let next = take(byte, expectation) else { return false }
            expectation = next
        }
        return expectation == .commaOrEnd && open.isEmpty
    }

    /// Takes the part that begins with `byte`, and returns what may follow; nil if the part may not stand here.
    private mutating func take(_ byte: UInt8, _ expectation: Expectation) -> Expectation? {
        switch (expectation, byte) {
        case (.value, UInt8(ascii: "{")), (.valueOrEnd, UInt8(ascii: "{")):
            return takeOpening(byte) ? .nameOrEnd : nil
        case (.value, UInt8(ascii: "[")), (.valueOrEnd, UInt8(ascii: "[")):
            return takeOpening(byte) ? .valueOrEnd : nil
        case (.valueOrEnd, UInt8(ascii: "]")), (.nameOrEnd, UInt8(ascii: "}")),
            (.commaOrEnd, UInt8(ascii: "]")), (.commaOrEnd, UInt8(ascii: "}")):
            guard open.popLast() == (byte == UInt8(ascii: "}")) else { return nil }
            takeByte()
            return .commaOrEnd
        case (.value, _), (.valueOrEnd, _):
            return takeScalar(byte) ? .commaOrEnd : nil
        case (.name, UInt8(ascii: "\"")), (.nameOrEnd, UInt8(ascii: "\"")):
            return takeString() ? .colon : nil
        case (.colon, UInt8(ascii: ":")):
            takeByte()
            return .value
        case (.commaOrEnd, UInt8(ascii: ",")):
            guard let isObject = open.last else { return nil }
            takeByte()
            return isObject ? .name : .value
        case (.name, _), (.nameOrEnd, _), (.colon, _), (.commaOrEnd, _):
            return nil
        }
    }

    private mutating func takeByte() {
        compact.append(source[at])
        at += 1
    }

    private mutating func takeOpening(_ byte: UInt8) -> Bool {
        guard open.count < depthLimit else {
            complaint = .tooDeep
            return false
        }
        open.append(byte == UInt8(ascii: "{"))
        takeByte()
        return true
    }

    private mutating func takeScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""): takeString()
        case UInt8(ascii: "t"): takeWord("true")
        case UInt8(ascii: "f"): takeWord("false")
        case UInt8(ascii: "n"): takeWord("null")
        default: takeNumber()
        }
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        guard source.span.equals(word, in: at..<min(at + word.utf8CodeUnitCount, source.count))
        else { return false }
        at += word.utf8CodeUnitCount
        compact.append(word)
        return true
    }

    /// RFC 8259 §7
    private mutating func takeString() -> Bool {
        takeByte()
        while at < source.count {
            let byte = source[at]
            if byte < 0x20 { return false }
            takeByte()
            if byte == UInt8(ascii: "\"") { return true }
            if byte == UInt8(ascii: "\\"), !takeEscape() { return false }
        }
        return false
    }

    private mutating func takeEscape() -> Bool {
        guard at < source.count else { return false }
        let byte = source[at]
        takeByte()
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"): return takeCodeUnits()
        default: return false
        }
    }

    /// The digits of a `\u` escape, and those of its other half where it is a surrogate.
    private mutating func takeCodeUnits() -> Bool {
        guard let unit = takeCodeUnit() else { return false }
        guard (0xD800...0xDFFF).contains(unit) else { return true }
        if unit < 0xDC00, isAt(UInt8(ascii: "\\")) {
            takeByte()
            if isAt(UInt8(ascii: "u")) {
                takeByte()
                if let low = takeCodeUnit(), (0xDC00...0xDFFF).contains(low) { return true }
            }
        }
        complaint = .halfSurrogate
        return false
    }

    private mutating func takeCodeUnit() -> UInt16? {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard at < source.count, let digit = source[at].hexadecimalValue else { return nil }
            takeByte()
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    private mutating func takeNumber() -> Bool {
        let start = at
        guard takeNumberParts() else { return false }
        guard at - start <= JSONText.numberLimit else {
            complaint = .longNumber
            return false
        }
        // Without an exponent, so few digits are not larger.
        if source[start..<at].contains(where: { $0 | 0x20 == UInt8(ascii: "e") }),
            isBeyondDouble(source[start..<at])
        {
            complaint = .largeNumber
            return false
        }
        return true
    }

    /// Whether it is larger than a double: some parsers fail on that, others read infinity.
    private func isBeyondDouble(_ digits: ArraySlice<UInt8>) -> Bool {
        Double(String(decoding: digits, as: UTF8.self))?.isFinite != true
    }

    /// RFC 8259 §6: `-`, digits without a zero in front, a fraction, an exponent.
    private mutating func takeNumberParts() -> Bool {
        if isAt(UInt8(ascii: "-")) { takeByte() }
        if isAt(UInt8(ascii: "0")) {
            takeByte()
        } else if !takeDigits() {
            return false
        }
        if isAt(UInt8(ascii: ".")) {
            takeByte()
            guard takeDigits() else { return false }
        }
        if isAt(UInt8(ascii: "e")) || isAt(UInt8(ascii: "E")) {
            takeByte()
            if isAt(UInt8(ascii: "+")) || isAt(UInt8(ascii: "-")) { takeByte() }
            guard takeDigits() else { return false }
        }
        return true
    }

    private func isAt(_ byte: UInt8) -> Bool { at < source.count && source[at] == byte }

    private mutating func takeDigits() -> Bool {
        let start = at
        while at < source.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(source[at]) {
            takeByte()
        }
        return at > start
    }
}
