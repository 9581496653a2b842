import Harness
import Testing

/// The documentation as a whole.
@Suite struct DocumentationTests {
    /// The kinds of examples, and what runs them.
    private static let kinds: Set<String> = [
        // ShellExampleTests, which also compare "json" with what the lines before it print.
        "sh", "sh routed", "json",
        // InstallationTests.
        "sh install", "sh upgrade", "sh go-back", "sh remove",
        // scripts/package.d/life, in a clean Debian, does what this says.
        "sh package",
        // CI does what these say: they build in a fresh clone. ScriptTests start what is built.
        "sh checkout", "sh build",
        // WebServerExampleTests.
        "nginx", "lighttpd", "apache", "haproxy", "caddy",
        // PageExampleTests.
        "html",
        // The programs in conf/bus, by BusExampleTests, and in conf/examples/sql, by
        // EngineExampleTests; README's lines of PHP, by ShellExampleTests.
        "php", "python",
        // Signed links in each language, with PHP and Python, by SignedAccessTests.
        "node", "shell",
        // Below.
        "ini",
        // A picture, and a sample of what is printed.
        "text", "output",
    ]

    @Test func `every example is of a kind that a test runs`() {
        #expect(Documentation.examples.count > 50)
        for example in Documentation.examples {
            #expect(
                Self.kinds.contains(example.kind),
                "\(example.testDescription) is '\(example.kind)'"
            )
        }
    }

    @Test(arguments: Documentation.examples.filter { $0.kind == "ini" })
    func `lines for the ini file are right`(example: Example) throws {
        let directory = try TestDirectory()
        let file = try directory.write(example.text, to: "holdfast.ini")
        let run = try ChildProcess.run(
            Place.holdfast,
            ["check", "--elsewhere", "--config", file],
            directory: directory
        )
        #expect(run.exit == .exited(0), "\(run.error)")
    }

    /// The target of each link in a line of Markdown, of which the last part may be empty.
    private func links(_ line: Substring) -> [Substring] {
        line.split(separator: "](").dropFirst().compactMap { $0.split(separator: ")").first }
    }

    /// As the repository's host makes it.
    private func anchor(_ heading: Substring) -> String {
        heading.drop { $0 == "#" || $0 == " " }.lowercased()
            .filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
            .replacing(" ", with: "-")
    }

    @Test func `every link leads somewhere`() {
        let pages = Files.names(in: "\(Place.root)/conf/doc/man").map { "conf/doc/man/\($0)" }
        for file in Documentation.files.filter({ $0.hasSuffix(".md") }) + pages {
            let directory = file.split(separator: "/").dropLast().joined(separator: "/")
            for line in Documentation.text(file).split(separator: "\n")
            where !line.hasPrefix("\t") {
                for link in links(line) where !link.hasPrefix("http") {
                    let parts = link.split(separator: "#", omittingEmptySubsequences: false)
                    let target = parts[0].isEmpty ? file : "\(directory)/\(parts[0])"
                    let path = "\(Place.root)/\(target)"
                    #expect(Files.exists(path), "\(file): \(link)")
                    guard parts.count == 2 else { continue }
                    let headings = Files.text(path).split(separator: "\n").filter {
                        $0.hasPrefix("#")
                    }
                    #expect(headings.map(anchor).contains(String(parts[1])), "\(file): \(link)")
                }
            }
        }
    }

    @Test func `every page is in the list of pages`() {
        let index = Documentation.text("conf/doc/README.md")
        for directory in ["conf/doc", "conf/doc/man"] {
            for name in Files.names(in: "\(Place.root)/\(directory)")
            where name.hasSuffix(".md") && name != "README.md" {
                let path = directory == "conf/doc" ? name : "man/\(name)"
                #expect(index.contains("(\(path))"), "\(path)")
            }
        }
    }

    @Test func `README's figures are those of the table of measurements`() {
        let table = Set(Documentation.text("conf/doc/developing.md").split(separator: "\n"))
        let rows = Documentation.text("README.md").split(separator: "\n").filter {
            $0.hasPrefix("| ") && ($0.contains("µs") || $0.contains(" ms") || $0.contains("kB)"))
        }
        #expect(rows.count >= 3)
        for row in rows { #expect(table.contains(row), "\(row)") }
    }

    @Test func `the manual names every code of a problem, and no other`() throws {
        let sources = try ChildProcess.run(
            "/bin/sh",
            [
                "-c",
                "find \"$0\"/Sources/Endpoint \"$0\"/Sources/Identity -name '*.swift' -exec cat {} +",
                Place.root,
            ],
            directory: TestDirectory()
        )
        let text = String(decoding: sources.output, as: UTF8.self)
        let raised = text.matches(
            of: #/(?:badRequest\(|Problem\(\s*\.\w+,)\s*"(?<code>[a-z_]+)",/#
        ).map { String($0.output.code) }
        #expect(raised.count > 50)
        let manual = ["http", "bus"].map { Documentation.text("conf/man/holdfast-\($0).7") }
            .joined()
        #expect(Set(raised).filter { !manual.contains($0) } == [])
        // The lists of codes, in both pages.
        let words = manual.split(separator: "\n").filter {
            $0.hasPrefix(".Li ") && $0.contains("_") && $0.contains(" , ")
        }
        let listed = words.flatMap { $0.split(separator: " ") }.filter { $0.contains("_") }
        #expect(listed.count > 45)
        #expect(listed.filter { !text.contains("\"\($0)\"") } == [])
        for code in ["read_forbidden", "operator_only", "cross_site_write", "log_busy"] {
            #expect(Documentation.text("conf/doc/troubleshooting.md").contains("`\(code)`"))
        }
    }
}
