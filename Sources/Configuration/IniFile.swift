/// Parses the form of an ini file, without regard to which sections and keys have a meaning.
///
/// The file is UTF-8, an initial byte order mark is skipped, lines end with LF or CR LF. A line is empty, a comment
/// (its first character is `#` or `;`), a section header or a key:
///
///     [section]            # from here to the next header, keys belong to it
///     [section argument]   ; such as [endpoint /sub]
///     key = value          # white space around key and value does not count
///
/// A `#` or `;` after white space begins a comment, so no value contains one there; `a#b` is a value. There are no
/// quotation marks, escapes or continuation lines. A control character other than a tab is refused: it is invisible in
/// an editor, and values end up in paths and logs.
package enum IniFile {
    package struct Entry: Equatable, Sendable {
        package let key: String
        /// Empty if nothing follows the `=`.
        package let value: String
        package let line: Int
    }

    package struct Section: Equatable, Sendable {
        package let name: String
        package let argument: String?
        package let line: Int
        package fileprivate(set) var entries: [Entry] = []
    }

    /// Sections and problems, each in the file's order. Keys below an unreadable header are skipped without a problem
    /// of their own.
    package static func parse(
        _ bytes: [UInt8]
    ) -> (sections: [Section], problems: [ConfigurationProblem]) {
        var sections: [Section] = []
        var problems: [ConfigurationProblem] = []
        var place = Place.beforeSections
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let body = bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...]
        let lines = body.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, raw) in lines.enumerated() {
            let number = index + 1
            let line = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
            // The line may be a secret.
            let isInKey = place == .inSection && sections.last?.name == "key"
            switch read(line, number: number, isHidden: isInKey) {
            case .nothing:
                break
            case .header(let section):
                place = .inSection
                sections.append(section)
            case .entry(let entry):
                switch place {
                case .inSection:
                    sections[sections.count - 1].entries.append(entry)
                case .belowBadHeader:
                    break
                case .beforeSections:
                    problems.append(
                        ConfigurationProblem(
                            line: number,
                            sentence: "key '\(shown(entry.key))' stands before any section;"
                                + " put it below its [section]"
                        )
                    )
                }
            case .problem(let problem, let endsSection):
                if endsSection { place = .belowBadHeader }
                problems.append(problem)
            }
        }
        return (sections, problems)
    }

    private enum Place {
        case beforeSections, inSection, belowBadHeader
    }

    private enum Line {
        case nothing
        case header(Section)
        case entry(Entry)
        case problem(ConfigurationProblem, endsSection: Bool)
    }

    /// - Parameter isHidden: problems do not repeat a line that is not understood.
    private static func read(_ line: ArraySlice<UInt8>, number: Int, isHidden: Bool) -> Line {
        let content = trimmed(line)
        let isHeader = content.first == UInt8(ascii: "[")
        if let bad = unreadable(line) {
            let problem = ConfigurationProblem(
                line: number,
                column: bad.column,
                sentence: "\(bad.what); write the file as UTF-8 text"
            )
            return .problem(problem, endsSection: isHeader)
        }
        switch content.first {
        case nil, UInt8(ascii: "#"), UInt8(ascii: ";"): return .nothing
        default: break
        }
        return isHeader
            ? header(content, number: number)
            : entry(content, number: number, isHidden: isHidden)
    }

    private static func header(_ content: ArraySlice<UInt8>, number: Int) -> Line {
        func problem(_ sentence: String) -> Line {
            .problem(ConfigurationProblem(line: number, sentence: sentence), endsSection: true)
        }
        let form = "write [section] or [section argument]"
        guard let end = content.firstIndex(of: UInt8(ascii: "]")) else {
            return problem("section header without ']'; \(form)")
        }
        let rest = trimmed(content[(end + 1)...])
        guard rest.isEmpty || isCommentStart(rest[rest.startIndex]) else {
            return problem("'\(shown(text(rest)))' follows the section header; \(form) alone")
        }
        let inside = trimmed(content[(content.startIndex + 1)..<end])
        let nameEnd = inside.firstIndex(where: isBlank) ?? inside.endIndex
        guard nameEnd > inside.startIndex else { return problem("section without a name; \(form)") }
        let argument = trimmed(inside[nameEnd...])
        return .header(
            Section(
                name: text(inside[..<nameEnd]),
                argument: argument.isEmpty ? nil : text(argument),
                line: number
            )
        )
    }

    private static func entry(
        _ content: ArraySlice<UInt8>,
        number: Int,
        isHidden: Bool
    ) -> Line {
        func problem(_ sentence: String) -> Line {
            .problem(ConfigurationProblem(line: number, sentence: sentence), endsSection: false)
        }
        guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
            return problem(
                (isHidden ? "the line" : "'\(shown(text(content)))'")
                    + " is neither a section nor a key nor a comment;"
                    + " write [section], key = value, or # before a comment"
            )
        }
        let key = trimmed(content[..<equals])
        guard !key.isEmpty else { return problem("'=' without a key before it; write key = value") }
        let value = trimmed(withoutComment(content[(equals + 1)...]))
        return .entry(Entry(key: text(key), value: text(value), line: number))
    }

    /// The value up to the first `#` or `;` that stands first or after white space.
    private static func withoutComment(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var afterBlank = true
        for index in value.indices {
            if afterBlank, isCommentStart(value[index]) { return value[..<index] }
            afterBlank = isBlank(value[index])
        }
        return value
    }

    /// Why a line is not text, and where: the first byte that is not UTF-8 or is a control character.
    private static func unreadable(_ line: ArraySlice<UInt8>) -> (what: String, column: Int)? {
        var parser = Unicode.UTF8.ForwardParser()
        var bytes = line.makeIterator()
        var column = 1
        while true {
            switch parser.parseScalar(from: &bytes) {
            case .emptyInput:
                return nil
            case .error:
                return ("a byte that is not UTF-8", column)
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                if scalar.properties.generalCategory == .control, scalar != "\t" {
                    let code = String(scalar.value, radix: 16, uppercase: true)
                    return ("control character U+" + padding(code) + code, column)
                }
                column += 1
            }
        }
    }

    private static func padding(_ code: String) -> String {
        String(repeating: "0", count: max(0, 4 - code.utf8.count))
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return bytes[bytes.endIndex...] }
        return bytes[first...last]
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    private static func isCommentStart(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";")
    }

    /// Only for lines that `unreadable` accepted, so nothing is replaced.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
