internal import ArgumentParser
internal import BusClient
internal import Channels
internal import Text

/// `holdfast pub`: publishes from the command line.
struct Pub: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publishes a message, or one for each line of standard input.",
        discussion: """
            Prints nothing on success. Each message is committed exactly once when this returns 0, even if the process \
            that serves the bus ends meanwhile.

              holdfast pub news 'hello, world'
              date | holdfast pub news
              tail -F app.log | holdfast pub logs --lines

            If the ini file has a [quota] for this user, --lines waits as long as it demands.

            Exits 0 if everything is committed, 1 if something was refused, 64 on wrong usage, 69 if no holdfast can be \
            reached, 75 if no answer came in time (then it may or may not be committed), 78 if the ini file is wrong; \
            holdfast(1) has the rest.
            """
    )

    @OptionGroup var bus: BusOptions

    @Argument(
        help: "The channel.",
        completion: .custom(ChannelCompletion.complete),
        transform: channelArgument
    )
    var channel: ChannelName

    @Argument(help: "The text; '-' or nothing reads standard input.")
    var text: String?

    @Flag(help: "Publish a message for each line of standard input.")
    var lines = false

    @Flag(help: "The text, or each line, is JSON.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "The media type of the text, such as image/png.",
            valueName: "media-type"
        )
    )
    var contentType: String?

    @Option(help: "The event name, which subscribers see as the message's type.")
    var type: String?

    @Option(
        help: ArgumentHelp(
            "Seconds after which the message is no longer replayed.",
            valueName: "seconds"
        )
    )
    var ttl: Int?

    @Option(help: "Replace the channel's earlier message with the same topic.")
    var topic: String?

    @Option(help: "A repeated call with the same key within five minutes publishes nothing.")
    var key: String?

    @Option(
        help: ArgumentHelp(
            """
            Seconds to wait for an answer. A message whose answer was lost is sent again for at most four minutes, because \
            the service knows its key for five.
            """,
            valueName: "seconds"
        )
    )
    var timeout = 10

    @Flag(help: "Print the message's id, or with --lines the id of the last message of each batch.")
    var id = false

    func validate() throws {
        guard !(lines && text != nil && text != "-") else {
            throw ValidationError("--lines reads standard input; leave the text out.")
        }
        guard !(lines && key != nil) else {
            throw ValidationError("--key is for one message; --lines generates its own keys.")
        }
        guard contentType == nil || !json && !lines else {
            throw ValidationError("--content-type is for one message that is not --json.")
        }
        guard (1...86_400).contains(timeout) else {
            throw ValidationError("--timeout must be 1 to 86400.")
        }
    }

    func run() throws {
        try BusOptions.exiting {
            let (connector, bodyLimit) = try bus.connectorAndLimit()
            let publisher = Publisher(connector, timeoutSeconds: timeout)
            if lines { return try publishLines(publisher, bodyLimit) }
            var body: [UInt8]
            if let text, text != "-" {
                body = Array(text.utf8)
            } else {
                guard let input = try StandardInput.all(atMost: bodyLimit + 1) else {
                    throw Self.tooLarge(bodyLimit)
                }
                body = input
                // The line end that a shell adds to a text is not part of it.
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

    private static func tooLarge(_ limit: Int) -> BusClientError {
        .refused(
            code: "message_too_large",
            detail: "The bus accepts at most \(limit) bytes at once; see [limits] in the ini file."
        )
    }

    private func options(contentType: String? = nil) -> [String] {
        [
            ("content-type", contentType), ("type", type), ("ttl", ttl.map(String.init)),
            ("topic", topic),
        ].compactMap { name, value in value.map { "\(name)=\(Publisher.escaped($0))" } }
    }

    private func say(_ answer: BusAnswer) {
        if id, let id = answer["cursor"]?.string { StandardOutput.writeLine(id) }
    }

    // MARK: Lines

    /// Publishes the lines that have arrived together, so that a slow writer's lines are sent at once and a fast
    /// writer's in large batches.
    private func publishLines(_ publisher: Publisher, _ lineLimit: Int) throws {
        // The bus skips empty lines in a batch of JSON but would refuse a single one, so they are not sent.
        var input = LineInput(lineLimit: lineLimit, skipsEmptyLines: json)
        var refused = false
        func publish(_ lines: [LineInput.Line]) throws(BusClientError) {
            do throws(BusClientError) {
                say(try put(lines, publisher))
            } catch {
                guard case .refused = error else { throw error }
                // One bad line makes the bus refuse the whole batch: send each by itself.
                guard lines.count > 1 else {
                    StandardError.write("holdfast: line \(lines[0].number): \(error)")
                    refused = true
                    return
                }
                for line in lines { try publish([line]) }
            }
        }
        while let piece = try input.next() {
            switch piece {
            case .lines(let lines): try publish(lines)
            case .tooLong(let number):
                StandardError.write("holdfast: line \(number): \(Self.tooLarge(lineLimit))")
                refused = true
            }
        }
        if refused { throw ExitCode(1) }
    }

    private func put(
        _ lines: [LineInput.Line],
        _ publisher: Publisher
    ) throws(BusClientError) -> BusAnswer {
        let body = lines.reduce(into: [UInt8]()) { $0 += $1.text + [0x0A] }
        let kind = json ? ["content-type=application/x-ndjson"] : ["split=lines"]
        return try publisher.put(
            body,
            to: channel.text,
            options: kind + options(),
            waitsForQuota: true
        )
    }
}
