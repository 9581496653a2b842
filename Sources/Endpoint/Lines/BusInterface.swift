package import Channels
package import Configuration
internal import Text

/// The line protocol of the bus socket: what a command asks for, as far as command, peer and settings determine it.
/// Pure.
///
/// | command | answer |
/// |---|---|
/// | `publish CHANNEL TEXT` | `{"kind":"ok","id":…,"cursor":…}` |
/// | `json CHANNEL VALUE` | the same |
/// | `put CHANNEL LENGTH [OPTION=VALUE …]`, then the bytes | the same, with `count` if it was split |
/// | `delete CHANNEL …` | `{"kind":"ok"}` |
/// | `subscribe CHANNEL … [since WHERE] [line_limit=BYTES]` | `hello`, then a line for each `message`, `gap` and
/// `ping`, and finally `bye` |
/// | `message ID` | `message`, whole |
/// | `channels [AFTER]`, `status`, `ping`, `help` | one line of that kind |
///
/// Each command has one answer, in the order of the commands; a refused command is answered
/// `{"kind":"error","line":…,"code":…,"detail":…}` and changes nothing.
///
/// A class, because each use of a value of some hundred fields from another module copies it.
package final class BusInterface: Sendable {
    private let settings: Settings
    private let rights: LocalRights

    package init(settings: Settings, numbers: [LocalPrincipal: UInt32]) {
        self.settings = settings
        rights = LocalRights(rules: settings.allow, numbers: numbers)
    }

    /// Whether a subscription of this client may continue.
    package func mayRead(_ channels: [ChannelName], _ peer: LocalPeer) -> Bool {
        channels.allSatisfy { rights.may(.read, $0, peer) }
    }

    /// The longest line of a command: the text of a message, and what precedes it.
    package var lineLimit: Int { settings.limits.messageBytes + 1024 }
    package var bodyLimit: Int { max(settings.limits.messageBytes, settings.limits.batchBytes) }

    package func request(_ piece: BusReader.Piece, from peer: LocalPeer) -> BusRequest {
        switch piece {
        case .command(let line, let text, let body):
            do throws(Problem) {
                return try request(text, body, BusCommand(line: line), peer)
            } catch {
                return .refused(BusCommand(line: line).error(error))
            }
        case .refused(let line, .lineTooLong):
            return .refused(
                BusCommand(line: line).error(
                    Problem(
                        .contentTooLarge,
                        "line_too_long",
                        "A line may have at most \(lineLimit) bytes; send longer content with 'put'."
                    )
                )
            )
        case .refused(let line, .bodyTooLarge):
            return .refused(BusCommand(line: line).error(.batchTooLarge(settings.limits)))
        case .refused(let line, .announced(let problem)):
            return .refused(BusCommand(line: line).error(problem))
        case .refused(let line, .unfinished):
            return .refused(BusCommand(line: line).error(Self.unfinished))
        case .lost(let line):
            return .ended(BusCommand(line: line).error(Self.wrongPut))
        case .records(let line):
            return .ended(BusCommand(line: line).error(Self.notForWebServers))
        }
    }

    /// The problem with the line of a `put`, as far as the line reveals it: rights, channel and options. The body that
    /// follows is not stored for a client that may not publish it.
    package func problem(with line: [UInt8], from peer: LocalPeer) -> Problem? {
        do throws(Problem) {
            _ = try announced(Self.firstWord(line[...]).rest, peer)
            return nil
        } catch {
            return error
        }
    }

    /// The last answer to a client whose command, begun in this line, has been arriving for too long.
    package func outOfTime(_ line: Int) -> BusRequest {
        .ended(BusCommand(line: line).error(.requestTimeout(settings.limits)))
    }

    /// The same if unfinished commands together use too much memory, and this one has been arriving longest.
    package func tooSlow(_ line: Int) -> BusRequest {
        .ended(BusCommand(line: line).error(.tooSlow))
    }

    /// The answer to a client that has connected to the socket for web servers instead.
    package static let notHere = BusCommand(line: 0).error(
        .badRequest(
            "not_the_bus_socket",
            "This socket is for web servers, and speaks FastCGI; send commands to the socket that [bus] in the ini file "
                + "names."
        )
    )

    /// The answer to a client above the bound.
    package static func tooManyClients(_ limits: LimitSettings) -> [UInt8] {
        BusCommand(line: 0).error(
            Problem(
                .unavailable,
                "too_many_clients",
                "At most \(limits.busClients) clients at a time; see bus_clients in the ini file."
            )
        )
    }

    private static let unfinished = Problem.badRequest(
        "unfinished_command",
        "The connection ended before this command did: the end of a line, or part of a body, is missing. The command was not "
            + "carried out."
    )

    private static let notForWebServers = Problem.badRequest(
        "not_the_fastcgi_socket",
        "This is the bus socket, which takes lines of text; a web server needs the socket that 'listen' in [fastcgi] of "
            + "the ini file names."
    )

    private static let wrongPut = Problem.badRequest(
        "invalid_length",
        "Write put CHANNEL LENGTH and the options, then LENGTH bytes; the connection is closed, because the start of the "
            + "next command is unknown."
    )

    private func request(
        _ text: [UInt8],
        _ body: [UInt8]?,
        _ command: BusCommand,
        _ peer: LocalPeer
    ) throws(Problem) -> BusRequest {
        let (word, rest) = Self.firstWord(text[...])
        switch String(decoding: word, as: UTF8.self) {
        case "publish":
            let (channel, text) = try channel(in: rest)
            return try publish([try .text(text)], PublishOptions(), channel, command, peer)
        case "json":
            let (channel, value) = try channel(in: rest)
            return try publish([try .json(value)], PublishOptions(), channel, command, peer)
        case "put":
            return try put(rest, body ?? [], command, peer)
        case "delete":
            let names = try channels(Self.words(rest))
            try rights.check(names, .publish, peer)
            return .publish(
                BusPublish(
                    publication: Publication(
                        dropping: names,
                        publisher: peer.publisher,
                        quota: settings.quota(ofLocal: peer.publisher)
                    ),
                    command: command
                )
            )
        case "subscribe": return try subscribe(Self.words(rest), command, peer)
        case "message":
            let words = Self.words(rest)
            guard words.count == 1, let id = Cursor(words[0]) else {
                throw .badRequest("invalid_id", "Write message ID, with the id of a message.")
            }
            return .message(BusMessage(id, command, rights, peer))
        case "channels": return try list(Self.words(rest), command, peer)
        case "status":
            try Self.expectNothing(rest)
            // Over HTTP, this is for operators.
            guard peer.isOwner else {
                throw Problem(
                    .forbidden,
                    "operator_only",
                    "The status is for root and Holdfast's own user, and over HTTP for operators; not for user "
                        + "\(peer.user)."
                )
            }
            return .status(command)
        case "ping":
            try Self.expectNothing(rest)
            return .answer(jsonLine("pong"))
        case "help":
            try Self.expectNothing(rest)
            return .answer(command.help)
        default:
            throw .badRequest(
                "unknown_command",
                "The commands are \(BusCommand.names.joined(separator: ", ")); 'help' shows their forms."
            )
        }
    }

    // MARK: Commands

    /// What the line of a `put` says about the body that follows.
    private struct Announced {
        let channel: ChannelName
        let contentType: String?
        let splitsLines: Bool
        let options: PublishOptions
    }

    private func announced(
        _ rest: ArraySlice<UInt8>,
        _ peer: LocalPeer
    ) throws(Problem) -> Announced {
        guard String(validating: rest, as: UTF8.self) != nil else { throw .notUTF8 }
        let words = Self.words(rest)
        // The reader has checked channel and length.
        guard words.count >= 2 else { throw Self.wrongPut }
        let channel = try ChannelName(requested: words[0])
        try rights.check([channel], .publish, peer)
        var options: [String: String] = [:]
        for word in words.dropFirst(2) {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard parts.count == 2,
                ["content-type", "type", "ttl", "topic", "key", "split"].contains(name),
                options[name] == nil
            else {
                throw .badRequest(
                    "invalid_option",
                    "The options of 'put' are content-type=, type=, ttl=, topic=, key= and split=lines, each at most once; write a "
                        + "blank in a value as %20."
                )
            }
            let value = String(parts[1]).utf8Span.span
            guard let text = String(validating: URLDecoding.escapes(value), as: UTF8.self) else {
                throw .badRequest("invalid_option", "The value of \(name)= must be UTF-8.")
            }
            options[name] = text
        }
        guard options["split"] == nil || options["split"] == "lines" else {
            throw .badRequest("invalid_option", "The option 'split' allows 'lines' only.")
        }
        guard options["split"] == nil || options["content-type"] == nil else {
            throw .badRequest("invalid_option", "split=lines makes texts; omit content-type=.")
        }
        return Announced(
            channel: channel,
            contentType: options["content-type"],
            splitsLines: options["split"] != nil,
            options: try PublishOptions(
                timeToLive: options["ttl"],
                topic: options["topic"],
                type: options["type"],
                key: options["key"]
            )
        )
    }

    private func put(
        _ rest: ArraySlice<UInt8>,
        _ body: [UInt8],
        _ command: BusCommand,
        _ peer: LocalPeer
    ) throws(Problem) -> BusRequest {
        // Checked again: the rules may have changed while the body arrived.
        let announced = try announced(rest, peer)
        let content =
            announced.splitsLines
            ? try PublishedContent.textLines(body, settings.limits)
            : try PublishedContent.messages(
                in: body,
                contentType: announced.contentType,
                contentEncoding: nil,
                limits: settings.limits
            )
        return try publish(content, announced.options, announced.channel, command, peer)
    }

    private func publish(
        _ content: [PublishedContent],
        _ options: PublishOptions,
        _ channel: ChannelName,
        _ command: BusCommand,
        _ peer: LocalPeer
    ) throws(Problem) -> BusRequest {
        try rights.check([channel], .publish, peer)
        guard content.count > 1 || (content.first?.body.count ?? 0) <= settings.limits.messageBytes
        else { throw .messageTooLarge(settings.limits) }
        return .publish(
            BusPublish(
                publication: Publication(
                    drafts: options.drafts(content, to: [channel]),
                    publisher: peer.publisher,
                    idempotencyKey: options.key,
                    quota: settings.quota(ofLocal: peer.publisher)
                ),
                command: command
            )
        )
    }

    private func subscribe(
        _ words: [String],
        _ command: BusCommand,
        _ peer: LocalPeer
    ) throws(Problem) -> BusRequest {
        var words = words
        var start = PollStart.now
        // No channel has such a name.
        let option = "line_limit="
        let lineLimit = try StreamSubscription.lineLimit(
            words.last.flatMap { $0.hasPrefix(option) ? String($0.dropFirst(option.count)) : nil }
        )
        if lineLimit != nil { words.removeLast() }
        if words.count >= 3, words[words.count - 2] == "since" {
            start = try PollStart(since: words[words.count - 1], waits: true)
            words.removeLast(2)
        } else if words.dropFirst().contains("since") {
            // An empty variable of a shell, say: "since" would be a channel, and the subscription begin now.
            throw .badRequest(
                "invalid_since",
                "Write subscribe CHANNEL … since POSITION: one position after 'since', and no channel behind it."
            )
        }
        let names = try channels(words)
        try rights.check(names, .read, peer)
        return .subscribe(
            StreamSubscription(
                channels: names.sorted { $0.text < $1.text },
                form: .lines,
                lineLimit: lineLimit
            ),
            start,
            command
        )
    }

    private func list(
        _ words: [String],
        _ command: BusCommand,
        _ peer: LocalPeer
    ) throws(Problem) -> BusRequest {
        guard words.count <= 1 else {
            throw .badRequest("invalid_channel", "Write channels, or channels AFTER.")
        }
        let after = try words.first.map { text throws(Problem) in try ChannelName(requested: text) }
        return .channels(BusListing(after, command, rights, peer))
    }

    // MARK: Words

    private static func firstWord(
        _ text: ArraySlice<UInt8>
    ) -> (word: ArraySlice<UInt8>, rest: ArraySlice<UInt8>) {
        guard let blank = text.firstIndex(of: UInt8(ascii: " ")) else { return (text, []) }
        return (text[..<blank], text[(blank + 1)...])
    }

    private static func words(_ text: ArraySlice<UInt8>) -> [String] {
        text.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func expectNothing(_ rest: ArraySlice<UInt8>) throws(Problem) {
        guard rest.allSatisfy(\.isBlank) else {
            throw .badRequest("too_many_words", "This command takes no arguments.")
        }
    }

    /// The channel, and the text after the blank that follows it.
    private func channel(
        in rest: ArraySlice<UInt8>
    ) throws(Problem) -> (ChannelName, ArraySlice<UInt8>) {
        let (word, text) = Self.firstWord(rest)
        return (try ChannelName(requested: String(decoding: word, as: UTF8.self)), text)
    }

    private func channels(_ words: [String]) throws(Problem) -> [ChannelName] {
        guard !words.isEmpty else {
            throw .badRequest("no_channel", "Name one or more channels, separated by blanks.")
        }
        let limit = settings.limits.channelsPerRequest
        guard words.count <= limit else {
            throw .badRequest("too_many_channels", "A command may name at most \(limit) channels.")
        }
        return try [ChannelName](requested: words)
    }
}

extension Settings {
    /// The quota of a publisher on the bus socket: only a section of its own counts, because `*` is about the web.
    fileprivate func quota(ofLocal publisher: String) -> QuotaLimits? {
        ownQuota(of: publisher)
    }
}
