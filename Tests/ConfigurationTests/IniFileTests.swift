import Configuration
import Testing

struct IniFileTests {
    private func pairs(_ text: String) -> [String] {
        IniFile.parse(Array(text.utf8)).sections.flatMap { section in
            section.entries.map { entry in
                let argument = section.argument.map { "(\($0))" } ?? ""
                return "\(section.name)\(argument).\(entry.key)=\(entry.value)@\(entry.line)"
            }
        }
    }

    @Test(arguments: [
        ("[a]\nb = c", ["a.b=c@2"]),
        ("[a]\r\nb = c\r\n", ["a.b=c@2"]),
        ("\u{FEFF}[a]\nb=c", ["a.b=c@2"]),
        ("  [ a   x/* ]  \n\t b\t=\tc d \t", ["a(x/*).b=c d@2"]),
        ("[a]\n# x = 1\n;y = 2\n  # z = 3\nb = c", ["a.b=c@5"]),
        ("[a] # why\nb = c # because\nd = e ; so\nf = g\t#tab", ["a.b=c@2", "a.d=e@3", "a.f=g@4"]),
        ("[a]\nb = c#d;e\nf = #only", ["a.b=c#d;e@2", "a.f=@3"]),
        ("[a]\nb =\nc = =", ["a.b=@2", "a.c==@3"]),
        ("[a]\nb = ünï", ["a.b=ünï@2"]),
        ("[a]\n[b]\nc = d\n[a]\ne = f", ["b.c=d@3", "a.e=f@5"]),
        ("", []),
        ("\n\n", []),
    ])
    func `sections, keys and comments are told apart`(text: String, expected: [String]) {
        #expect(pairs(text) == expected)
        #expect(IniFile.parse(Array(text.utf8)).problems.isEmpty)
    }

    @Test(arguments: [
        ("[a\nb = c", "f:1: section header without ']'; write [section] or [section argument]"),
        ("[]\nb = c", "f:1: section without a name; write [section] or [section argument]"),
        (
            "[a] b",
            "f:1: 'b' follows the section header; write [section] or [section argument] alone"
        ),
        ("a = b", "f:1: key 'a' stands before any section; put it below its [section]"),
        ("[a]\n= b", "f:2: '=' without a key before it; write key = value"),
        (
            "[a]\nlisten /x",
            "f:2: 'listen /x' is neither a section nor a key nor a comment; write [section],"
                + " key = value, or # before a comment"
        ),
        ("[a]\nb = \0c", "f:2:5: control character U+0000; write the file as UTF-8 text"),
        ("[a]\nb = c\rd = e", "f:2:6: control character U+000D; write the file as UTF-8 text"),
        ("# \u{1B}[2J", "f:1:3: control character U+001B; write the file as UTF-8 text"),
    ])
    func `a meaningless line is one problem`(text: String, expected: String) {
        let problems = IniFile.parse(Array(text.utf8)).problems
        #expect(problems.map { $0.description(file: "f") } == [expected])
    }

    @Test(arguments: [
        ([UInt8]([0xC3, 0x28]), 1), ([0x61, 0xFF], 2), ([0x61, 0xC3, 0xA9, 0xC3], 3),
        ([0xED, 0xA0, 0x80], 1), ([0xC0, 0xAF], 1), ([0xF5, 0x80, 0x80, 0x80], 1),
    ])
    func `a byte that is not UTF-8 is found where it stands`(bytes: [UInt8], column: Int) {
        #expect(
            IniFile.parse(bytes).problems == [
                ConfigurationProblem(
                    line: 1,
                    column: column,
                    sentence: "a byte that is not UTF-8; write the file as UTF-8 text"
                )
            ]
        )
    }

    @Test func `nothing is cut, however long the line`() {
        let long = String(repeating: "x", count: 100_000)
        #expect(
            pairs("[\(long) \(long)]\n\(long) = \(long)") == ["\(long)(\(long)).\(long)=\(long)@2"]
        )
    }

    @Test func `a UTF-16 file is a problem, not nonsense`() {
        #expect(!problems([0xFF, 0xFE, 0x5B, 0, 0x61, 0, 0x5D, 0, 0x0A, 0]).isEmpty)
    }
}
