/// Copies of the configurations in conf/, as scripts/derive makes them: what is tested is what is shipped.
package enum Derived {
    /// - Parameters:
    ///   - file: its name in conf/.
    ///   - options: of the script.
    package static func text(
        _ file: String,
        _ options: [String],
        in directory: TestDirectory
    ) throws -> String {
        let script = "\(Place.root)/scripts/derive"
        let run = try ChildProcess.run(script, [file] + options, directory: directory)
        guard run.exit == .exited(0) else { throw HarnessError(run.error) }
        return String(decoding: run.output, as: UTF8.self)
    }

    /// The text with further replacements, one after the other; each must occur.
    static func edit(_ text: String, _ edits: [(String, String)], of name: String) throws -> String
    {
        var text = text
        for (from, to) in edits {
            guard text.contains(from) else { throw HarnessError("\(name) has no '\(from)'") }
            text = text.replacing(from, with: to)
        }
        return text
    }
}
