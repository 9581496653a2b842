internal import ArgumentParser
internal import Bus
internal import Channels
internal import Configuration
internal import Engine

/// `holdfast check`: reads the ini file, prints every problem, and exits.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks the ini file and prints every problem at once.",
        discussion: """
            The users, groups and directories that the file names must exist on this machine, and the files in the log's \
            directory must be usable by its owner, which must be able to read the files of keys; only root can check that. \
            Exits 0 if there is no problem, else 1. A setting that is allowed but may not be intended is a notice on \
            standard error.
            """
    )

    @OptionGroup var ini: IniFileOption

    @Flag(help: "Print the settings in force, with all defaults filled in.")
    var print = false

    @Flag(
        help:
            "The file is for another machine: do not look for its users, groups and directories here."
    )
    var elsewhere = false

    func run() throws {
        let settings = try IniFileReader.settings(
            elsewhere
                ? IniFileReader.read(ini.config) : IniFileReader.readForThisMachine(ini.config),
            orExit: 1
        )
        if let warning = IniFileReader.warning(for: ini.config) { StandardError.write(warning) }
        for notice in settings.notices() {
            StandardError.write(notice.description(file: ini.config))
        }
        if let engine = settings.bus.engine, !elsewhere {
            let found = EngineAdministration.findings(engine.postgresql, schema: engine.schema)
            for finding in found { StandardError.write("\(ini.config): [engine] \(finding)") }
            let membership = EngineMembership.read(settings.bus)
            let obstacle = EngineMembership.obstacle(membership)
            if let obstacle { StandardError.write("\(ini.config): [engine] \(obstacle)") }
            // That it is to join next is no fault.
            let isInterrupted = membership != nil && obstacle != nil
            if isInterrupted || found.contains(where: \.isProblem) { throw ExitCode(1) }
        }
        StandardOutput.write(self.print ? settings.render() : "\(ini.config): no problems\n")
    }
}
