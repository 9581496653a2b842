import Harness
import Testing

/// An example in the documentation, as a reader would copy it.
struct Example: CustomTestStringConvertible {
    let file: String
    let line: Int
    /// The heading above it.
    let heading: String
    /// What stands after the fence in Markdown; in a man page, what the comment above it says.
    let kind: String
    let text: String

    var testDescription: String { "\(file):\(line)" }
}

/// README, the pages in conf/doc and the man pages in conf/man.
enum Documentation {
    /// conf/doc/man is left out: it is conf/man.
    static let files: [String] = {
        func names(_ directory: String) -> [String] {
            Files.names(in: "\(Place.root)/\(directory)").sorted().map { "\(directory)/\($0)" }
        }
        return ["README.md", "conf/examples/README.md"]
            + names("conf/doc").filter { $0.hasSuffix(".md") } + names("conf/man")
    }()

    static let examples: [Example] = files.flatMap(examples)

    static func examples(in file: String) -> [Example] {
        let lines = text(file).split(separator: "\n", omittingEmptySubsequences: false)
        return file.hasSuffix(".md") ? inMarkdown(lines, file) : inManualPage(lines, file)
    }

    static func text(_ file: String) -> String { Files.text("\(Place.root)/\(file)") }

    private static func inMarkdown(_ lines: [Substring], _ file: String) -> [Example] {
        var found: [Example] = []
        var heading = ""
        var begin: (line: Int, kind: String)?
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("```") {
                if let (start, kind) = begin {
                    let text = lines[start..<index].map { "\($0)\n" }.joined()
                    found.append(
                        Example(file: file, line: start, heading: heading, kind: kind, text: text)
                    )
                    begin = nil
                } else {
                    begin = (index + 1, String(line.dropFirst(3)))
                }
            } else if begin == nil, line.hasPrefix("#") {
                heading = String(line.drop { $0 == "#" }.dropFirst())
            }
        }
        return found
    }

    private static func inManualPage(_ lines: [Substring], _ file: String) -> [Example] {
        var found: [Example] = []
        var heading = ""
        var begin: Int?
        for (index, line) in lines.enumerated() {
            if let start = begin, line == ".Ed" {
                let said = lines[start - 2].split(separator: "example: ")
                found.append(
                    Example(
                        file: file,
                        line: start,
                        heading: heading,
                        kind: said.count == 2 ? String(said[1]) : "",
                        text: lines[start..<index].map { plain($0) + "\n" }.joined()
                    )
                )
                begin = nil
            } else if line.hasPrefix(".Bd -literal") {
                begin = index + 1
            } else if line.hasPrefix(".Sh ") || line.hasPrefix(".Ss ") {
                heading = String(line.dropFirst(4))
            }
        }
        return found
    }

    /// Without mdoc's escapes.
    private static func plain(_ line: Substring) -> String {
        [
            ("\\(aq", "'"), ("\\(ga", "`"), ("\\(ha", "^"), ("\\(ti", "~"), ("\\-", "-"),
            ("\\&", ""), ("\\e", "\\"),
        ].reduce(String(line)) { $0.replacing($1.0, with: $1.1) }
    }
}
