internal import Text

/// A line of the list of channels.
struct ChannelLine {
    static let heading = ["CHANNEL", "MESSAGES", "BYTES", "WAITING", "NEWEST"]

    let cells: [String]
    let held: Int

    init(_ channel: JSONValue) {
        func number(_ name: String) -> Int { channel[name]?.integer ?? 0 }
        held = number("held")
        cells = [
            channel["channel"]?.string ?? "?", "\(number("messages"))", "\(number("bytes"))",
            "\(held)", channel["time"]?.string.map { $0.prefix(19) + "Z" } ?? "-",
        ]
    }
}
