/// The elements of a list in a header field (RFC 9110 §5.6.1), or its parameters: the parts between separators, without
/// the blanks around them. A separator within a quoted string does not count.
package struct ListElements {
    package enum Quoting {
        /// Quotation marks are ordinary characters.
        case none
        /// A backslash in a quoted string is an ordinary character.
        case plain
        /// A backslash in a quoted string makes the next byte ordinary (RFC 9110 §5.6.4).
        case escapes
    }

    private let separator: UInt8
    private let quoting: Quoting
    private var at: Int
    private let end: Int

    /// - Parameter range: the range of the list in the source that is later given to `next`.
    package init(of range: Range<Int>, separator: Unicode.Scalar, quoting: Quoting = .escapes) {
        self.separator = UInt8(ascii: separator)
        self.quoting = quoting
        at = range.lowerBound
        end = range.upperBound
    }

    /// The range of the next element, which may be empty. Nil at the end.
    package mutating func next(in source: Span<UInt8>) -> Range<Int>? {
        guard at < end else { return nil }
        let start = at
        var isQuoted = false
        while at < end {
            let byte = source[at]
            if byte == separator, !isQuoted { break }
            if byte == UInt8(ascii: "\""), quoting != .none { isQuoted.toggle() }
            if byte == UInt8(ascii: "\\"), isQuoted, quoting == .escapes { at += 1 }
            at += 1
        }
        let element = start..<min(at, end)
        at += 1
        return source.trimmed(element)
    }
}
