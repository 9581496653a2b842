internal import ArgumentParser
internal import BusClient
internal import Channels
internal import Glibc
internal import System
internal import Text

/// `holdfast sub`: follows channels from the command line.
struct Sub: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case json, raw, ndjson }

    static let configuration = CommandConfiguration(
        abstract: "Prints the messages of channels, or runs a command for each.",
        discussion: """
            Reconnects when the process that serves the bus ends, and misses nothing; messages that are missing \
            nevertheless are reported on standard error.

              holdfast sub news
              holdfast sub jobs/1 --since first --count 1 --format raw
              holdfast sub mail --cursor-file seen --exec 'sendmail -t'

            Ends on Ctrl-C, when nobody reads its output any more, or after --count messages; then it exits 0, or 1 if an \
            --exec failed. 78 is a cursor file without a cursor, 70 one that cannot be written; holdfast(1) has the rest.
            """
    )

    @OptionGroup var bus: BusOptions

    @Argument(
        help: "The channels.",
        completion: .custom(ChannelCompletion.complete),
        transform: channelArgument
    )
    var channels: [ChannelName]

    @Option(
        help: ArgumentHelp(
            "Where to start: a cursor, now, first, last:N, or age:10m.",
            valueName: "position"
        )
    )
    var since = "now"

    @Option(
        help: """
            json: the message, one object per line. raw: its content alone, with a line end. ndjson: everything that the \
            bus sends, including gaps and heartbeats.
            """
    )
    var format = Format.json

    @Option(help: ArgumentHelp("End after this many messages.", valueName: "number"))
    var count: Int?

    @Option(
        help: ArgumentHelp(
            """
            Run this by /bin/sh for each message, one after the other, with the content on standard input and \
            HOLDFAST_CHANNEL, HOLDFAST_ID, HOLDFAST_TYPE and HOLDFAST_TIME in the environment.
            """,
            valueName: "command"
        )
    )
    var exec: String?

    @Option(
        help: ArgumentHelp(
            "Start where the last run with this file ended; the file is kept up to date.",
            valueName: "file"
        ),
        completion: .file()
    )
    var cursorFile: String?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
        guard !since.isEmpty, since.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ValidationError("--since must be a cursor, now, first, last:N, or age:10m.")
        }
    }

    func run() throws {
        try BusOptions.exiting {
            let subscriber = Subscriber(
                try bus.connector(),
                channels: channels.map(\.text),
                since: try start()
            )
            var seen = 0
            var failed = false
            while true {
                switch try subscriber.next() {
                case .outputClosed:
                    // Like any program that writes to a pipe without a reader.
                    signal(SIGPIPE, SIG_DFL)
                    raise(SIGPIPE)
                    throw ExitCode(1)
                case .waiting(let why): StandardError.write("holdfast: \(why); trying again")
                case .line(let line):
                    let isMessage = line.kind == "message"
                    if isMessage, let exec { failed = try !run(exec, line) || failed }
                    if exec == nil { show(line) }
                    if line.kind == "gap" {
                        let reason = line["reason"]?.string ?? "?"
                        let cursor = line["cursor"]?.string ?? "?"
                        StandardError.write(
                            "holdfast: messages are missing (\(reason)); continuing after \(cursor)"
                        )
                    }
                    if let cursor = (line["cursor"] ?? line["id"])?.string { try keep(cursor) }
                    guard isMessage else { continue }
                    seen += 1
                    if seen == count { throw ExitCode(failed ? 1 : 0) }
                }
            }
        }
    }

    private func show(_ line: BusAnswer) {
        switch (format, line.kind) {
        case (.ndjson, _): StandardOutput.writeLine(line.bytes)
        case (.raw, "message"): StandardOutput.writeLine(line.content)
        case (.json, "message"): StandardOutput.writeLine(line.withoutKind)
        case (.raw, _), (.json, _): break
        }
    }

    // MARK: Cursor file

    /// Where the last run ended; `--since` for the first one.
    private func start() throws -> String {
        guard let cursorFile else { return since }
        switch CursorFile(path: cursorFile).read() {
        case .none: return since
        case .cursor(let cursor): return cursor.description
        case .unusable(let why):
            StandardError.write(
                "holdfast: \(cursorFile) \(why); remove it to start with --since, or give another "
                    + "--cursor-file"
            )
            throw ExitCode(EX_CONFIG)
        }
    }

    private func keep(_ cursor: String) throws {
        guard let cursorFile else { return }
        do {
            try CursorFile(path: cursorFile).keep(cursor)
        } catch {
            throw BusClientError.broken("\(error)")
        }
    }

    // MARK: Commands

    /// Runs the command; false if it failed.
    private func run(_ command: String, _ message: BusAnswer) throws -> Bool {
        let outcome = try ShellCommand(text: command).run(
            input: message.content,
            variables: [
                ("HOLDFAST_CHANNEL", message["channel"]?.string),
                ("HOLDFAST_ID", message["id"]?.string),
                ("HOLDFAST_TYPE", message["type"]?.string),
                ("HOLDFAST_TIME", message["time"]?.string),
            ]
        )
        let how: String
        switch outcome {
        case .exited(0): return true
        case .exited(let status): how = "exited with \(status)"
        case .killed(let signal): how = "was killed by signal \(signal)"
        }
        let id = message["id"]?.string ?? "?"
        StandardError.write("holdfast: the command \(how) for message \(id)")
        return false
    }
}
