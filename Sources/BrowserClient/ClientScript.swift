/// holdfast.js in the two forms in which it is served, so that there is one source and no build step.
///
/// Both are without comments, indentation, most ends of lines and the blanks that JavaScript does not need, and have
/// numbers where the source has names for them, and `let` for `const`: a third of the bytes that a page would wait for. Of the source this
/// asks: a comment begins its line, or follows code and " // "; no string, template or regular expression has a line
/// break or that in it; a regular expression has no blank, quotation mark or `,}`, and a template no other template; what
/// is exported is declared as `export const`; names of numbers are in capitals and declared in lines of their own;
/// besides, only `import.meta.url` needs a module.
struct ClientScript {
    /// For `<script type="module">` and `import`.
    let module: [UInt8]
    /// For a plain `<script>`: the same functions as members of the global `holdfast`.
    let classic: [UInt8]

    init(_ source: [UInt8]) {
        var lines: [Substring] = []
        var exports: [String] = []
        var numbers: [Substring: Substring] = [:]
        for line in String(decoding: source, as: UTF8.self).split(separator: "\n") {
            let code = Self.withoutComment(line.drop { $0 == " " })
            guard !code.isEmpty else { continue }
            if code.wholeMatch(of: /const [A-Z]+ = [^;]+;/) != nil {
                for match in code.matches(of: /([A-Z]+) = (\d+)/) { numbers[match.1] = match.2 }
                continue
            }
            if let match = code.prefixMatch(of: /export const (\w+)/) {
                exports.append(String(match.1))
            }
            lines.append(code)
        }
        let title = "// See holdfast.d.ts\n"
        let code = Self.compact(Self.joined(lines), numbers)
        module = Array((title + code).utf8)

        let plain = code.replacing("export let ", with: "let ")
            .replacing("import.meta.url", with: "script")
        classic = Array(
            """
            \(title)globalThis.holdfast=(script=>{\(plain)return{\(exports.joined(separator: ","))}
            })(document.currentScript.src);

            """.utf8
        )
    }

    /// A line goes on in the next where its end can't be taken for the end of a statement.
    private static func joined(_ lines: [Substring]) -> String {
        lines.map { line in line.last.map(";{,(".contains) == true ? String(line) : line + "\n" }
            .joined()
    }

    /// Without what only people need, outside of strings and templates.
    private static func compact(_ text: String, _ numbers: [Substring: Substring]) -> String {
        var compact = ""
        var rest = text[...]
        func take(_ code: Substring) {
            compact += code.replacing(#/ ?([=<>?:{},;&|*()!]+) ?/#) { $0.1 }
                .replacing(#/([\w)]) ([-+/]) (?=[\w(])/#) { "\($0.1)\($0.2)" }
                .replacing(#/([^\w])\((\w+)\)=>/#) { "\($0.1)\($0.2)=>" }
                .replacing(#/[;,]+}/#, with: "}")
                .replacing(#/,\)/#, with: ")")
                .replacing("const ", with: "let ")
                .replacing(/\b[A-Z]+\b/.wordBoundaryKind(.simple)) {
                    numbers[$0.output] ?? $0.output
                }
        }
        while let string = rest.firstMatch(of: /"[^"]*"|'[^']*'|`[^`]*`/) {
            take(rest[..<string.range.lowerBound])
            compact += string.output
            rest = rest[string.range.upperBound...]
        }
        take(rest)
        return compact
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        if line.hasPrefix("//") { return "" }
        guard let mark = line.firstRange(of: " // ") else { return line }
        return line[..<mark.lowerBound]
    }
}
