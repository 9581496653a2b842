internal import ArgumentParser
internal import Bus
internal import Configuration
internal import Glibc

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
        let settings = try IniFileReader.read(config, orExit: EX_CONFIG)
        StandardOutput.writeLine(LogBench.run(settings: settings.bus))
    }
}
