internal import ArgumentParser
internal import BusClient
internal import Glibc
internal import Text

/// `holdfast status`: what all processes of the bus report.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what all processes of the bus hold and have done.",
        discussion: "If no process serves the bus, shows the log alone and exits 69."
    )

    @OptionGroup var bus: BusOptions

    @Flag(help: "Print JSON, as the service sends it.")
    var json = false

    func run() throws {
        try BusOptions.exiting {
            let session = BusSession(try bus.connector())
            let answer = try session.ask("status")
            if session.knowsLogOnly {
                StandardError.write(
                    "holdfast: no holdfast serves the bus \(session.path); the log alone:"
                )
            }
            if json {
                StandardOutput.writeLine(answer.bytes)
            } else {
                StandardOutput.writeLine(Status(answer).text.joined(separator: "\n"))
            }
            if session.knowsLogOnly { throw ExitCode(EX_UNAVAILABLE) }
        }
    }
}

/// `holdfast channels`: what the log retains for each channel.
struct ChannelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channels",
        abstract: "Lists the channels that the log remembers and this user may read."
    )

    @OptionGroup var bus: BusOptions

    @Flag(help: "Print JSON, one object per line.")
    var json = false

    func run() throws {
        try BusOptions.exiting {
            let session = BusSession(try bus.connector())
            var rows: [[String]] = []
            try session.channels { channel in
                guard json else { return rows.append(ChannelLine(channel).cells) }
                StandardOutput.writeLine(channel.bytes)
            }
            if json { return }
            let lines = Table.lines(ChannelLine.heading, rows)
            StandardOutput.writeLine(lines.joined(separator: "\n"))
        }
    }
}

/// Channel names for the shell's completion; none if the bus does not answer at once.
enum ChannelCompletion {
    @Sendable static func complete(_ arguments: [String], _ index: Int, _ prefix: String)
        -> [String]
    {
        guard let options = try? BusOptions.parse([]), let connector = try? options.connector(),
            let answer = try? BusSession(connector, patienceSeconds: 1).ask("channels")
        else { return [] }
        let names = answer["channels"]?.elements?.compactMap { $0["channel"]?.string } ?? []
        return names.filter { $0.hasPrefix(prefix) }
    }
}
