internal import ArgumentParser
internal import Configuration
internal import Foundation

/// `holdfast check`: reads the ini file, prints every problem, and exits.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks the ini file and prints every problem at once.",
        discussion: "Exits 0 if the file is right and 1 if it is not."
    )

    @Option(
        name: .shortAndLong,
        help: "The ini file (default: $HOLDFAST_INI, else /etc/holdfast.ini)."
    )
    var config = IniFileReader.usualPath

    @Flag(help: "Print the settings in force, with all defaults filled in.")
    var print = false

    func run() throws {
        switch IniFileReader.read(config) {
        case .success(let settings):
            if self.print {
                Swift.print(settings.render(), terminator: "")
            } else {
                Swift.print("\(config): no problems")
            }
        case .failure(let problems):
            for line in problems.lines { StandardError.write(line) }
            throw ExitCode(1)
        }
    }
}

/// Lines for people, beside the log.
enum StandardError {
    static func write(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
