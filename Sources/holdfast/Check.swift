internal import ArgumentParser
internal import Configuration

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
        let settings = try IniFileReader.read(config, orExit: 1)
        StandardOutput.write(self.print ? settings.render() : "\(config): no problems\n")
    }
}
