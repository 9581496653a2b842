internal import ArgumentParser
internal import Bus
internal import Channels
internal import Configuration
internal import Glibc

/// `holdfast bench-log`: the number of commits per second that the log makes, in its own directory. For scripts/bench.
struct BenchLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the log alone.",
        shouldDisplay: false
    )

    @Option(
        name: .shortAndLong,
        help: "The ini file; its bus directory must exist for the measurement alone."
    )
    var config = IniFileReader.usualPath

    func run() throws {
        let settings = try IniFileReader.read(config, orExit: EX_CONFIG)
        StandardOutput.writeLine(LogBench.run(settings: settings.bus))
    }
}
