internal import ArgumentParser
internal import Bus
internal import Channels
internal import Configuration
internal import Glibc

/// `holdfast log`: maintains the log's file.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Backs up the log, or declares that it was restored.",
        subcommands: [Backup.self, NewEpoch.self]
    )

    /// `holdfast log backup FILE`
    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes a complete copy of the log while it is in use."
        )

        @OptionGroup var file: LogFile

        @Argument(
            help: ArgumentHelp(
                "The path of the copy, which must not exist yet.",
                valueName: "file"
            ),
            completion: .file()
        )
        var copy: String

        func run() throws {
            try file.run { try LogFiles.backUp($0, to: copy) }
        }
    }

    /// `holdfast log new-epoch`
    struct NewEpoch: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new-epoch",
            abstract:
                "Declares that the log is no longer the one that subscribers knew, as after a restore.",
            discussion: """
                Every cursor given out before is then answered with a gap ("restarted"). Running processes adopt the new \
                epoch at once.
                """
        )

        @OptionGroup var file: LogFile

        func run() throws {
            try file.run {
                let epoch = try LogFiles.beginEpoch($0)
                StandardOutput.writeLine("the log continues under epoch \(epoch)")
            }
        }
    }
}

struct LogFile: ParsableArguments {
    @OptionGroup var ini: IniFileOption

    func run(_ body: (BusSettings) throws -> Void) throws {
        let settings = try IniFileReader.read(ini.config, orExit: EX_CONFIG)
        do {
            try body(settings.bus)
        } catch {
            StandardError.write("holdfast: \(error)")
            throw ExitCode(1)
        }
    }
}
