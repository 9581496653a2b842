internal import ArgumentParser
internal import BusClient
internal import Channels
internal import Glibc
internal import Text

/// `holdfast sub`: follows channels from the command line.
struct Sub: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case json, raw, ndjson }

    static let configuration = CommandConfiguration(
        abstract: "Prints what comes on channels, or runs a command for each message.",
        discussion: """
            Reconnects when the process that serves the bus ends, and misses nothing; what is missing nevertheless is \
            said on standard error.

              holdfast sub news
              holdfast sub jobs/1 --since first --count 1 --format raw
              holdfast sub mail --cursor-file seen --exec 'sendmail -t'

            Ends with Ctrl-C, when nobody reads its output any more, or after --count messages.
            """
    )

    @OptionGroup var bus: BusOptions

    @Argument(
        help: "The channels.",
        completion: .custom(ChannelCompletion.complete),
        transform: channelArgument
    )
    var channels: [ChannelName]

    @Option(help: "Where to begin: a cursor, now, first, last:N, or age:10m.")
    var since = "now"

    @Option(
        help: """
            json: the message, an object in each line. raw: its content alone, with a line end. ndjson: all that the \
            bus says, gaps and heartbeats too.
            """
    )
    var format = Format.json

    @Option(help: "End after so many messages.")
    var count: Int?

    @Option(
        help: """
            Run this by /bin/sh for each message, one after the other, with its content on standard input and \
            HOLDFAST_CHANNEL, HOLDFAST_ID, HOLDFAST_TYPE and HOLDFAST_TIME in the environment.
            """
    )
    var exec: String?

    @Option(
        help: "Begin where the last run with this file ended; its content is kept up to date.",
        completion: .file()
    )
    var cursorFile: String?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count is at least 1.") }
        guard !since.isEmpty, since.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ValidationError("--since is a cursor, now, first, last:N, or age:10m.")
        }
    }

    func run() throws {
        try BusOptions.exiting {
            let subscriber = Subscriber(
                try bus.door(),
                channels: channels.map(\.text),
                since: try start()
            )
            var seen = 0
            var failed = false
            while true {
                switch try subscriber.next() {
                case .outputClosed:
                    // As for any program that writes to a pipe without a reader.
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
                            "holdfast: messages are missing (\(reason)); going on behind \(cursor)"
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
        case (.json, "message"):
            // Without its kind, as HTTP has it.
            let prefix = Array("{\"kind\":\"message\",".utf8)
            let bytes =
                line.bytes.starts(with: prefix) ? [0x7B] + line.bytes[prefix.count...] : line.bytes
            StandardOutput.writeLine(bytes)
        case (.raw, _), (.json, _): break
        }
    }

    // MARK: Cursor file

    /// Where the last run ended; `--since` for a first one.
    private func start() throws -> String {
        guard let cursorFile else { return since }
        switch CursorFile(path: cursorFile).read() {
        case .none: return since
        case .cursor(let cursor): return cursor.description
        case .unusable(let why):
            StandardError.write(
                "holdfast: \(cursorFile) \(why); remove it to begin with --since, or name another "
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

    /// Runs the command; false where it failed.
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
        case .exited(let status): how = "ended with \(status)"
        case .killed(let signal): how = "was ended by signal \(signal)"
        }
        let id = message["id"]?.string ?? "?"
        StandardError.write("holdfast: the command \(how) for message \(id)")
        return false
    }
}
