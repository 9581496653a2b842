internal import ArgumentParser
internal import BusClient
internal import Channels

/// `holdfast pub`: publishes from the command line.
struct Pub: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publishes a message, or one for each line of standard input.",
        discussion: """
            Says nothing when all is well. Each message is committed once when this returns 0, also if the process \
            that serves the bus ends meanwhile.

              holdfast pub news 'hello, world'
              date | holdfast pub news
              tail -F app.log | holdfast pub logs --lines

            Where the ini file has a [quota] for this user, --lines waits as long as it asks for.

            Exits 0 when all is committed, 1 if something was refused, 64 on wrong usage, 69 if no holdfast can be \
            reached, 75 if no answer came in time (then it may or may not be committed), 78 if the ini file is wrong.
            """
    )

    @OptionGroup var bus: BusOptions

    @Argument(
        help: "The channel.",
        completion: .custom(ChannelCompletion.complete),
        transform: channelArgument
    )
    var channel: ChannelName

    @Argument(help: "The text; '-' or nothing for standard input.")
    var text: String?

    @Flag(help: "A message for each line of standard input.")
    var lines = false

    @Flag(help: "The text, or each line, is JSON.")
    var json = false

    @Option(help: "The media type of the text, such as image/png.")
    var contentType: String?

    @Option(help: "The event's name, which subscribers see as its type.")
    var type: String?

    @Option(help: "Seconds after which the message is no longer replayed.")
    var ttl: Int?

    @Option(help: "Takes the place of the channel's earlier message of the same topic.")
    var topic: String?

    @Option(help: "With the same key within five minutes, a repeated call publishes nothing again.")
    var key: String?

    @Option(help: "Seconds to wait for an answer.")
    var timeout = 10

    @Flag(help: "Print the message's id, or with --lines that of each batch's last message.")
    var id = false

    func validate() throws {
        guard !(lines && text != nil && text != "-") else {
            throw ValidationError("--lines reads standard input; leave the text out.")
        }
        guard !(lines && key != nil) else {
            throw ValidationError("--key is for one message; --lines makes keys of its own.")
        }
        guard contentType == nil || !json && !lines else {
            throw ValidationError("--content-type is for one message that is not --json.")
        }
        guard timeout > 0 else { throw ValidationError("--timeout is at least 1.") }
    }

    func run() throws {
        try BusOptions.exiting {
            let publisher = Publisher(try bus.door(), timeoutSeconds: timeout)
            if lines { return try publishLines(publisher) }
            var body: [UInt8]
            if let text, text != "-" {
                body = Array(text.utf8)
            } else {
                body = try StandardInput.all()
                // What a shell adds to the end of a text is not part of it.
                if contentType == nil, body.last == 0x0A { body.removeLast() }
            }
            let type = contentType ?? (json ? "application/json" : nil)
            say(
                try publisher.put(
                    body,
                    to: channel.text,
                    options: options(contentType: type),
                    key: key
                )
            )
        }
    }

    private func options(contentType: String? = nil) -> [String] {
        [
            ("content-type", contentType), ("type", type), ("ttl", ttl.map(String.init)),
            ("topic", topic),
        ].compactMap { name, value in value.map { "\(name)=\(Publisher.escaped($0))" } }
    }

    private func say(_ answer: BusAnswer) {
        if id, let id: String = answer["cursor"] { StandardOutput.writeLine(id) }
    }

    // MARK: Lines

    /// As many lines as have come go together, so that a slow writer's are on their way at once and a fast one's are many.
    private func publishLines(_ publisher: Publisher) throws {
        var input = LineInput()
        var refused = false
        while let batch = try input.next() {
            do {
                say(try put(batch, publisher))
            } catch BusClientError.refused(let code, let detail) {
                // One bad line has refused them all: each for itself.
                guard batch.lines.count > 1 else {
                    StandardError.write("holdfast: line \(batch.first): \(detail) (\(code))")
                    refused = true
                    continue
                }
                for (index, line) in batch.lines.enumerated() {
                    let one = LineInput.Batch(first: batch.first + index, lines: [line])
                    do {
                        say(try put(one, publisher))
                    } catch BusClientError.refused(let code, let detail) {
                        StandardError.write("holdfast: line \(one.first): \(detail) (\(code))")
                        refused = true
                    }
                }
            }
        }
        if refused { throw ExitCode(1) }
    }

    private func put(_ batch: LineInput.Batch, _ publisher: Publisher) throws -> BusAnswer {
        let body = batch.lines.reduce(into: [UInt8]()) { $0 += $1 + [0x0A] }
        let kind = json ? ["content-type=application/x-ndjson"] : ["split=lines"]
        return try publisher.put(
            body,
            to: channel.text,
            options: kind + options(),
            waitsForQuota: true
        )
    }
}

/// Standard input, line by line, as many at a time as are there.
struct LineInput {
    struct Batch {
        /// The number of the first line, counted from 1.
        let first: Int
        let lines: [[UInt8]]
    }

    private var unread: [UInt8] = []
    private var hasEnded = false
    private var taken = 0

    /// Bounds of a batch; a longer line goes alone.
    private static let lineCount = 64
    private static let byteCount = 49_152

    /// At least one line, waited for; nil at the end.
    mutating func next() throws -> Batch? {
        while true {
            let lines = takeLines()
            if !lines.isEmpty {
                defer { taken += lines.count }
                return Batch(first: taken + 1, lines: lines)
            }
            if hasEnded { return nil }
            let bytes = try StandardInput.next()
            unread += bytes
            hasEnded = bytes.isEmpty
        }
    }

    private mutating func takeLines() -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var at = 0
        var bytes = 0
        while lines.count < Self.lineCount {
            guard let end = unread[at...].firstIndex(of: 0x0A) else {
                // The last line may lack its end.
                if hasEnded, at < unread.count {
                    lines.append(Array(unread[at...]))
                    at = unread.count
                }
                break
            }
            bytes += end - at + 1
            if bytes > Self.byteCount, !lines.isEmpty { break }
            lines.append(Array(unread[at..<end]))
            at = end + 1
        }
        unread.removeFirst(at)
        return lines
    }
}
