internal import ArgumentParser
internal import BusClient
internal import Foundation
internal import Reactor

/// `holdfast status`: what all processes of the bus say of themselves.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what all processes of the bus together hold and have done."
    )

    @OptionGroup var bus: BusOptions

    @Flag(help: "As JSON, as the service says it.")
    var json = false

    func run() throws {
        try BusOptions.exiting {
            let answer = try BusQuestion.ask("status", try bus.door())
            if json { return Output.write(answer.bytes) }
            let status = Status(answer)
            Output.write(Array(status.text.joined(separator: "\n").utf8))
        }
    }
}

/// `holdfast channels`: what the log keeps of each channel.
struct ChannelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channels",
        abstract: "Lists the channels that the log remembers and this user may read."
    )

    @OptionGroup var bus: BusOptions

    @Flag(help: "As JSON, an object in each line.")
    var json = false

    func run() throws {
        try BusOptions.exiting {
            let door = try bus.door()
            var rows: [[String]] = []
            var from: String?
            repeat {
                let answer = try BusQuestion.ask(
                    ["channels", from].compactMap(\.self).joined(separator: " "),
                    door
                )
                let channels: [[String: Any]] = answer["channels"] ?? []
                for channel in channels {
                    if json {
                        Output.write(
                            [UInt8](
                                try JSONSerialization.data(
                                    withJSONObject: channel,
                                    options: [.sortedKeys, .withoutEscapingSlashes]
                                )
                            )
                        )
                    } else {
                        rows.append(ChannelRow(channel).cells)
                    }
                }
                from = answer["next"]
            } while from != nil
            if json { return }
            let lines = Table.lines(ChannelRow.heading, rows)
            Output.write(Array(lines.joined(separator: "\n").utf8))
        }
    }
}

/// One question on a connection of its own.
enum BusQuestion {
    static func ask(_ command: String, _ door: BusDoor) throws -> BusAnswer {
        let deadline = MonotonicClock.milliseconds() + 10_000
        let connection = try door.open(until: deadline)
        guard connection.send(Array((command + "\n").utf8), until: deadline),
            case .line(let line) = connection.next(until: deadline)
        else { throw BusClientError.late("the service does not answer") }
        let answer = try BusAnswer(line)
        if let refusal = answer.refusal { throw refusal }
        return answer
    }
}

/// Names of channels for the shell's completion; none where the bus can't be asked at once.
enum ChannelCompletion {
    @Sendable static func complete(_ arguments: [String], _ index: Int, _ prefix: String)
        -> [String]
    {
        guard let options = try? BusOptions.parse([]), let door = try? options.door(),
            let answer = try? BusQuestion.ask("channels", door)
        else { return [] }
        let channels: [[String: Any]] = answer["channels"] ?? []
        return channels.compactMap { $0["channel"] as? String }.filter { $0.hasPrefix(prefix) }
    }
}

/// A line of the list of channels.
struct ChannelRow {
    static let heading = ["CHANNEL", "MESSAGES", "BYTES", "WAITING", "NEWEST"]

    let cells: [String]
    let held: Int

    init(_ channel: [String: Any]) {
        held = channel["held"] as? Int ?? 0
        cells = [
            channel["channel"] as? String ?? "?", "\(channel["messages"] as? Int ?? 0)",
            "\(channel["bytes"] as? Int ?? 0)", "\(held)",
            (channel["time"] as? String).map { $0.prefix(19) + "Z" } ?? "-",
        ]
    }
}

/// Columns for the terminal: the first to the left, numbers to the right.
enum Table {
    static func lines(_ heading: [String], _ rows: [[String]]) -> [String] {
        let all = [heading] + rows
        let widths = heading.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            row.enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                if column == row.count - 1 { return cell }
                return column == 0 ? cell + blanks : blanks + cell
            }.joined(separator: "  ")
        }
    }
}
