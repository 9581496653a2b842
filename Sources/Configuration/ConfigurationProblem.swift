/// One problem in an ini file, described for its author.
package struct ConfigurationProblem: Equatable, Sendable {
    /// Counted from 1; nil for a default of a section that is not in the file.
    package let line: Int?
    /// Counted from 1 in characters; only if the line alone does not show what is meant.
    package let column: Int?
    /// `what is wrong; what is allowed`, without control characters.
    package let sentence: String

    package init(line: Int?, column: Int? = nil, sentence: String) {
        self.line = line
        self.column = column
        self.sentence = sentence
    }

    /// `path:line: what is wrong; what is allowed`.
    package func description(file: String) -> String {
        let place = [line, column].compactMap { $0 }.map { ":\($0)" }.joined()
        return "\(file)\(place): \(sentence)"
    }
}

/// All problems of an ini file, in the file's order; never empty.
package struct ConfigurationProblems: Error, Sequence, Equatable, Sendable {
    package let list: [ConfigurationProblem]

    package init(_ list: [ConfigurationProblem]) {
        self.list = list
    }

    package func makeIterator() -> IndexingIterator<[ConfigurationProblem]> {
        list.makeIterator()
    }
}

/// A piece of the file in displayable form: at most 80 characters, invisible ones escaped.
package func shown(_ text: some StringProtocol) -> String {
    var shown = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == 80 { return shown + "…" }
        if isVisible(scalar) {
            shown.unicodeScalars.append(scalar)
        } else {
            shown += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        }
    }
    return shown
}

private func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
        .paragraphSeparator:
        false
    case .spaceSeparator:
        scalar == " "
    default:
        true
    }
}
