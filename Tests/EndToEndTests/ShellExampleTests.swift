import Glibc
import Harness
import Testing

/// The lines for a shell in README, the pages and the man pages: each is run, in their order, as a reader would.
@Suite(
    .enabled(
        if: Tool.usable(.nginx, .curl, .socat, .php, .cgiFCGI),
        "nginx, curl, socat, php or cgi-fcgi is not installed"
    )
)
struct ShellExampleTests {
    /// A whole program is run by BusExampleTests.
    private static func isLines(_ example: Example) -> Bool {
        example.kind.hasPrefix("sh") && !example.text.hasPrefix("#!")
    }

    private static let files = Documentation.files.filter { file in
        Documentation.examples.contains { $0.file == file && $0.kind == "sh" && isLines($0) }
    }

    @Test(arguments: files)
    func `the lines for a shell work, and print what the page says`(file: String) throws {
        try DocumentedSite.with { site in
            var printed: [String] = []
            for example in Documentation.examples where example.file == file {
                if example.kind == "sh", Self.isLines(example) {
                    printed = try run(example, site)
                } else if example.kind == "json" {
                    let expected = try JSON(Array(example.text.utf8))
                    let answers = printed.compactMap { try? JSON(Array($0.utf8)) }
                    #expect(
                        answers.contains { Self.isLike(expected, $0) },
                        "\(example.testDescription): \(printed)"
                    )
                }
            }
        }
    }

    @Test(arguments: Documentation.examples.filter { $0.kind == "sh routed" })
    func `the lines for a proxy that hides departures work`(example: Example) throws {
        try DocumentedSite.with(routed: true) { site in
            let printed = try run(example, site)
            #expect(printed.count == 2)
            if example.text.contains("/debug") {
                #expect(printed[1].hasPrefix("polling = "), "\(printed)")
            }
        }
    }

    @Test(arguments: Documentation.examples.filter { $0.file == "README.md" && $0.kind == "php" })
    func `README's lines of PHP work`(example: Example) throws {
        try DocumentedSite.with { site in
            let program = try site.directory.write(site.placed(example.text), to: "example.php")
            let child = try site.start("php \(program)")
            #expect(try child.wait() == .exited(0), "\(child.errorText)")
            #expect(child.outputText.contains(#""kind":"ok""#), "\(child.outputText)")
        }
    }

    // MARK: Running

    /// Runs the lines of an example one after the other; returns what each printed.
    private func run(_ example: Example, _ site: DocumentedSite) throws -> [String] {
        var children: [ChildProcess] = []
        var waiting: [(line: String, child: ChildProcess)] = []
        for line in example.text.split(separator: "\n").map(String.init)
        where !line.hasPrefix("#") {
            let at = "\(example.testDescription): \(line)"
            if line.contains("holdfast doctor") { try site.shortenHolds() }
            let before = try site.holdfast.metrics().held
            let child = try site.start(line)
            children.append(child)
            if Self.isEndless(line) {
                try waitUntil("\(at) has an effect") { try hasEffect(line, child, site) }
                child.signal(SIGTERM)
                try child.wait()
                try site.holdfast.waitForHeld(before)
            } else if line.contains("wait="), !line.contains("-m ") {
                // A reader goes on in another terminal.
                waiting.append((line, child))
                try waitUntil("\(at) is held") { try site.holdfast.metrics().held > before }
            } else {
                let exit = try child.wait(seconds: 2 * Deadline.patienceSeconds)
                // curl says so of a client that left as it was told to.
                let isExpected = exit == .exited(0) || line.contains("-m ") && exit == .exited(28)
                #expect(isExpected, "\(at): \(exit) \(child.errorText)\(child.outputText)")
            }
        }
        for (line, child) in waiting {
            if child.running { try site.holdfast.publish(Self.channel(line), "hello") }
            #expect(try child.wait() == .exited(0), "\(line)")
        }
        for child in children {
            let isRefused = [#""about:blank""#, #""kind":"error""#].contains {
                child.outputText.contains($0)
            }
            #expect(!isRefused, "\(example.testDescription): \(child.outputText)")
        }
        return children.map(\.outputText)
    }

    /// Whether it runs until it is ended.
    private static func isEndless(_ line: String) -> Bool {
        line.hasPrefix("curl -N") || line.hasPrefix("tail -F")
            || line.hasPrefix("holdfast sub") && !line.contains("--count")
    }

    /// Of a line that does not end.
    private func hasEffect(_ line: String, _ child: ChildProcess, _ site: DocumentedSite) throws
        -> Bool
    {
        if line.hasPrefix("tail") { return try !site.holdfast.texts("logs").isEmpty }
        if !child.outputText.isEmpty || !Files.text(site.directory.file("sent")).isEmpty {
            return true
        }
        guard child.running else {
            throw HarnessError("\(line): \(child.exitNow()!) \(child.errorText)")
        }
        // Once it subscribes it gets one of these.
        for channel in ["news", "mail"] { try site.holdfast.publish(channel, "hello") }
        return false
    }

    private static func channel(_ line: String) -> String {
        let path = line.split(separator: "/push/").dropFirst().first ?? ""
        return String(path.prefix { $0 != "?" && $0 != "'" })
    }

    /// Whether an answer is like the one that is shown: cursors and times differ, and there may be more messages.
    private static func isLike(_ shown: JSON, _ answer: JSON, _ name: String = "") -> Bool {
        switch (shown, answer) {
        case (.object(let shown), .object(let answer)):
            shown.keys == answer.keys
                && shown.allSatisfy { isLike($0.value, answer[$0.key] ?? .null, $0.key) }
        case (.array(let shown), .array(let answer)):
            shown.allSatisfy { element in answer.contains { isLike(element, $0) } }
        case (.string, .string) where ["id", "cursor", "time"].contains(name): true
        default: shown == answer
        }
    }
}
