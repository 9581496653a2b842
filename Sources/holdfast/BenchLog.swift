internal import ArgumentParser
internal import Bus
internal import Configuration
internal import Foundation

/// `holdfast bench-log`: how many commits a second the log makes, in a directory of its own. For scripts/bench.
struct BenchLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the log alone.",
        shouldDisplay: false
    )

    @Option(
        name: .shortAndLong,
        help: "The ini file; its bus directory must be one for the measurement."
    )
    var config = IniFileReader.usualPath

    func run() throws {
        switch IniFileReader.read(config) {
        case .success(let settings):
            print(LogBench.run(settings: settings.bus))
        case .failure(let problems):
            for line in problems.lines { StandardError.write(line) }
            throw ExitCode(1)
        }
    }
}
