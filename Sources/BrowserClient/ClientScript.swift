/// holdfast.js in the two forms in which it is served, so that there is one source and no build step.
///
/// Both are without comments, indentation and most ends of lines, a quarter of the bytes that a page would wait for.
/// Of the source this asks: a comment begins its line, or follows code and " // "; no string or template has a line
/// break or that in it; what is exported is declared as `export const`; besides, only `import.meta.url` needs a module.
struct ClientScript {
    /// For `<script type="module">` and `import`.
    let module: [UInt8]
    /// For a plain `<script>`: the same functions as members of the global `holdfast`.
    let classic: [UInt8]

    init(_ source: [UInt8]) {
        var lines: [String] = []
        var exports: [String] = []
        for line in String(decoding: source, as: UTF8.self).split(separator: "\n") {
            let code = Self.withoutComment(line.drop { $0 == " " })
            guard !code.isEmpty else { continue }
            if let name = Self.exported(code) { exports.append(name) }
            lines.append(String(code))
        }
        let title = "// Types and what everything means: holdfast.d.ts\n"
        module = Array((title + Self.joined(lines)).utf8)

        let plain = lines.map { line in
            (Self.exported(line[...]) == nil ? line : String(line.dropFirst("export ".count)))
                .replacing("import.meta.url", with: "script")
        }
        classic = Array(
            """
            \(title)globalThis.holdfast = ((script) => {
            \(Self.joined(plain))return { \(exports.joined(separator: ", ")) };
            })(document.currentScript.src);

            """.utf8
        )
    }

    /// A line goes on in the next where its end can't be taken for the end of a statement.
    private static func joined(_ lines: [String]) -> String {
        lines.map { line in line.last.map(";{,(".contains) == true ? line : line + "\n" }.joined()
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        if line.hasPrefix("//") { return "" }
        guard let mark = line.firstRange(of: " // ") else { return line }
        return line[..<mark.lowerBound]
    }

    /// The name in `export const NAME = …`.
    private static func exported(_ line: Substring) -> String? {
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count == 4, words[0] == "export", words[1] == "const" else { return nil }
        return String(words[2])
    }
}
