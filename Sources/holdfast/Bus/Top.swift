internal import ArgumentParser
internal import BusClient
internal import Glibc
internal import System

/// `holdfast top`: shows the status again and again.
struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows live what is held, rates, endings by reason and the busiest channels.",
        discussion:
            "In a terminal the screen is redrawn; otherwise each update is one plain line. Ctrl-C ends it."
    )

    @OptionGroup var bus: BusOptions

    @Option(help: ArgumentHelp("Seconds between two updates.", valueName: "seconds"))
    var interval = 1

    @Option(help: ArgumentHelp("End after this many updates.", valueName: "number"))
    var count: Int?

    /// The number of channels, by name, among which the busiest are found.
    private static let channelLimit = 10_000

    func validate() throws {
        guard (1...86_400).contains(interval) else {
            throw ValidationError("--interval must be 1 to 86400.")
        }
        if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
    }

    func run() throws {
        try BusOptions.exiting {
            let session = BusSession(try bus.connector(needsService: true))
            let screen = isatty(1) == 1
            var before: (status: Status, at: Int64)?
            var updates = 0
            while true {
                let status = Status(try session.ask("status"))
                let now = MonotonicClock.milliseconds()
                let rates = Rates(status, since: before)
                before = (status, now)
                if screen {
                    var channels: [ChannelLine] = []
                    try session.channels(atMost: Self.channelLimit) {
                        channels.append(ChannelLine($0))
                    }
                    draw(status, rates, channels)
                } else {
                    StandardOutput.writeLine(rates.line(status))
                }
                updates += 1
                if updates == count { return }
                MonotonicClock.sleep(milliseconds: Int64(interval) * 1000)
            }
        }
    }

    private func draw(_ status: Status, _ rates: Rates, _ channels: [ChannelLine]) {
        var size = winsize()
        let known = unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 10
        let (height, width) = known ? (Int(size.ws_row), Int(size.ws_col)) : (24, 80)
        var lines = [rates.line(status), ""] + status.text
        let busiest = channels.sorted { $0.held > $1.held }
        lines += [""] + Table.lines(ChannelLine.heading, busiest.map(\.cells))
        // Cursor home, then each line with its rest cleared, then the rest of the screen cleared.
        let shown = lines.prefix(height - 1).map { $0.prefix(width) + "\u{1b}[K" }
        StandardOutput.write("\u{1b}[H" + shown.joined(separator: "\n") + "\u{1b}[J\n")
    }
}

/// Events per second between two updates. Unknown if the processes differ: one that starts adds all it has counted in
/// its life, and one that ends takes its counts away.
private struct Rates {
    private var deliveries: Double?
    private var messages: Double?
    private var requests: Double?
    private var endings: [(name: String, rate: Double)] = []

    init(_ status: Status, since before: (status: Status, at: Int64)?) {
        guard let before, status.counts(theSameAs: before.status) else { return }
        let seconds = Double(max(1, MonotonicClock.milliseconds() - before.at)) / 1000
        func rate(_ now: Int, _ then: Int) -> Double { Double(max(0, now - then)) / seconds }
        deliveries = rate(status.deliveries, before.status.deliveries)
        messages = rate(status.messages, before.status.messages)
        requests = rate(status.requests, before.status.requests)
        endings = status.endings.map { ending in
            let then = before.status.endings.first { $0.name == ending.name }?.count ?? 0
            return (ending.name, rate(ending.count, then))
        }.filter { $0.rate > 0 }
    }

    func line(_ status: Status) -> String {
        func text(_ rate: Double?) -> String {
            guard let rate else { return "-" }
            let tenths = Int((rate * 10).rounded())
            return rate < 10 ? "\(tenths / 10).\(tenths % 10)" : "\(Int(rate.rounded()))"
        }
        var line =
            "held \(status.held)  published \(text(messages))/s  delivered \(text(deliveries))/s"
        line += "  requests \(text(requests))/s"
        if let lag = status.site?.lagMilliseconds { line += "  lag \(text(Double(lag) / 1000)) s" }
        for ending in endings { line += "  \(ending.name) \(text(ending.rate))/s" }
        return line
    }
}
