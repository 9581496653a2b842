/// Why a value cannot be read: the rest of the sentence `key = value …`, such as `is out of range`.
struct ValueError: Error {
    let wrong: String

    init(_ wrong: String) { self.wrong = wrong }

    /// Combines the problems of a list's items; not empty. Repetitions are listed once.
    init(all wrongs: [String]) {
        var distinct: [String] = []
        for wrong in wrongs where !distinct.contains(wrong) { distinct.append(wrong) }
        wrong = distinct.joined(separator: ", and ")
    }

    static let outOfRange = ValueError("is out of range")
}

/// The way in which values of one kind are written in the file. `read` reverses `write`.
struct ValueForm<Value: Sendable>: Sendable {
    /// The allowed values, as shown in the manual and in every problem: `1s to 55s`.
    let allowed: String
    let read: @Sendable (String) throws(ValueError) -> Value
    let write: @Sendable (Value) -> String
}

extension ValueForm {
    /// The same form, in which the word stands for "not set".
    func or(_ word: String, meaning: String) -> ValueForm<Value?> {
        let form = self
        return ValueForm<Value?>(
            allowed: "\(allowed), or \(word) for \(meaning)",
            read: { text throws(ValueError) in text == word ? nil : try form.read(text) },
            write: { $0.map(form.write) ?? word }
        )
    }
}

extension ValueForm where Value: BinaryInteger {
    /// A number of things, in decimal digits.
    static func count(_ range: ClosedRange<Value>) -> Self {
        ValueForm(
            allowed: "\(range.lowerBound) to \(range.upperBound)",
            read: { text throws(ValueError) in
                guard let number = Decimal(text) else {
                    throw ValueError("is not a whole number")
                }
                return try number.times(1, within: range)
            },
            write: { String($0) }
        )
    }

    /// A percentage, with or without `%`.
    static func percent(_ range: ClosedRange<Value>) -> Self {
        ValueForm(
            allowed: "\(range.lowerBound)% to \(range.upperBound)%",
            read: { text throws(ValueError) in
                guard let number = Decimal(text.hasSuffix("%") ? text.dropLast() : text[...]) else {
                    throw ValueError("is not a percentage such as 10%")
                }
                return try number.times(1, within: range)
            },
            write: { "\($0)%" }
        )
    }

    /// Seconds; `25`, `25s`, `10m`, `2h` or `7d`.
    static func duration(_ range: ClosedRange<Value>) -> Self {
        scaled(
            range,
            units: [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)],
            wrong: "is not a duration such as 25, 25s, 10m, 2h or 7d"
        )
    }

    /// Bytes; `512`, `64k`, `16M`, `1G`, `1T`, in powers of 1024.
    static func size(_ range: ClosedRange<Value>) -> Self {
        scaled(
            range,
            units: [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("k", 1 << 10)],
            wrong: "is not a size in bytes such as 512, 64k, 16M or 1G"
        )
    }

    /// `units` are ordered from large to small; a number without a unit counts single ones.
    private static func scaled(
        _ range: ClosedRange<Value>,
        units: [(letter: Character, factor: Int64)],
        wrong: String
    ) -> Self {
        let write = { @Sendable (value: Value) -> String in
            for unit in units where value != 0 || unit.factor == 1 {
                let (quotient, rest) = Int64(value).quotientAndRemainder(dividingBy: unit.factor)
                if rest == 0 { return "\(quotient)\(unit.letter)" }
            }
            return "\(value)"
        }
        return ValueForm(
            allowed: "\(write(range.lowerBound)) to \(write(range.upperBound))",
            read: { text throws(ValueError) in
                // Neither durations nor sizes have two units that differ only in case.
                let last = text.last.map { $0.lowercased() }
                let unit = units.first { $0.letter.lowercased() == last }
                guard let number = Decimal(unit == nil ? text[...] : text.dropLast()) else {
                    throw ValueError(wrong)
                }
                return try number.times(unit?.factor ?? 1, within: range)
            },
            write: write
        )
    }
}

/// A number written in decimal digits alone.
private struct Decimal {
    /// Nil if it has more digits than any range allows.
    private let value: Int64?

    init?(_ digits: some StringProtocol) {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        value = Int64(digits)
    }

    func times<Value: BinaryInteger>(
        _ factor: Int64,
        within range: ClosedRange<Value>
    ) throws(ValueError) -> Value {
        guard let value else { throw .outOfRange }
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        guard !overflow, let result = Value(exactly: product), range.contains(result) else {
            throw .outOfRange
        }
        return result
    }
}

extension ValueForm where Value == UInt32 {
    /// Permission bits in octal. FastCGI has no authentication, so others never get any: at most 0660.
    static let socketMode = ValueForm(
        allowed: "an octal mode of at most 0660, such as 0600 or 0660",
        read: { text throws(ValueError) in
            guard (3...4).contains(text.utf8.count),
                text.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
                let mode = UInt32(text, radix: 8)
            else { throw ValueError("is not an octal mode") }
            guard mode & ~0o660 == 0 else {
                throw ValueError(
                    "grants access that a socket without authentication must not grant"
                )
            }
            return mode
        },
        write: { mode in
            let digits = String(mode, radix: 8)
            return String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
        }
    )
}

extension ValueForm where Value == Bool {
    static let onOff = ValueForm(
        allowed: "on or off",
        read: { text throws(ValueError) in
            switch text {
            case "on": return true
            case "off": return false
            default: throw ValueError("is neither on nor off")
            }
        },
        write: { $0 ? "on" : "off" }
    )
}

extension ValueForm
where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the type's words.
    static var choice: Self {
        ValueForm(
            allowed: listed(Value.allCases.map(\.rawValue), lastJoinedBy: "or"),
            read: { text throws(ValueError) in
                guard let value = Value(rawValue: text) else {
                    throw ValueError("is not known here")
                }
                return value
            },
            write: { $0.rawValue }
        )
    }
}
