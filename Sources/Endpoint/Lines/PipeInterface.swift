package import Channels
package import Configuration
internal import Text

/// The meaning of the lines of a named pipe. Pure.
///
/// A pipe that is bound to a channel takes whole lines, as texts or as JSON values. Otherwise each line names its
/// channel:
/// ```
/// CHANNEL<TAB>TEXT
/// {"channel":…,"data":…,"key":…,"type":…,"ttl":…,"topic":…}
/// ```
/// `key` makes a repeated line harmless (idempotency); all members except `channel` and `data` are optional.
package struct PipeInterface: Sendable {
    /// The first part of the pipe's content; `byteCount` bytes are to be removed when it has been handled.
    package enum Portion: Sendable {
        /// Lines that go into the log together.
        case lines(Publication, count: Int, byteCount: Int)
        /// A line that cannot be published.
        case bad(sentence: String, beginning: String, byteCount: Int)
        /// Empty lines.
        case nothing(byteCount: Int)
        /// A line without its end.
        case incomplete
        /// A line that is too long, up to its end or the end of the available bytes.
        case overlong(beginning: String, byteCount: Int, isWhole: Bool)
    }

    private let pipe: PipeSettings
    private let limits: LimitSettings
    /// The longest line, without its end.
    package let lineLimit: Int

    /// - Parameter capacity: the number of bytes that are certain to fit into the pipe; a longer line could never be
    ///   read.
    package init(_ pipe: PipeSettings, limits: LimitSettings, capacity: Int) {
        self.pipe = pipe
        self.limits = limits
        lineLimit = min(limits.messageBytes + 1024, capacity)
    }

    /// The most lines that are appended together.
    package static let lineCount = 64

    /// - Parameters:
    ///   - bytes: from the start of the pipe.
    ///   - isFull: whether the pipe is full, so that nothing can follow them.
    ///   - lineCount: the most lines to return.
    package func portion(
        _ bytes: ArraySlice<UInt8>,
        isFull: Bool,
        lineCount: Int = lineCount
    ) -> Portion {
        var publication = Publication(publisher: "pipe:\(pipe.path)")
        var at = bytes.startIndex
        var count = 0
        func lines() -> Portion {
            let byteCount = at - bytes.startIndex
            return count > 0
                ? .lines(publication, count: count, byteCount: byteCount)
                : .nothing(byteCount: byteCount)
        }
        while count < lineCount {
            guard let end = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) else {
                if at > bytes.startIndex { return lines() }
                guard isFull || bytes.count > lineLimit else { return .incomplete }
                return .overlong(
                    beginning: Self.beginning(bytes),
                    byteCount: bytes.count,
                    isWhole: false
                )
            }
            var line = bytes[at..<end]
            let next = end + 1
            if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
            if line.isEmpty {
                at = next
                continue
            }
            do throws(Problem) {
                guard line.count <= lineLimit else {
                    if at > bytes.startIndex { return lines() }
                    return .overlong(
                        beginning: Self.beginning(line),
                        byteCount: next - at,
                        isWhole: true
                    )
                }
                let (draft, key) = try read(line)
                // A line with a key is a request by itself.
                if key != nil, count > 0 { return lines() }
                publication.drafts.append(draft)
                (count, at) = (count + 1, next)
                if let key {
                    publication.idempotencyKey = key
                    return lines()
                }
            } catch {
                if at > bytes.startIndex { return lines() }
                return .bad(
                    sentence: error.detail,
                    beginning: Self.beginning(line),
                    byteCount: next - at
                )
            }
        }
        return lines()
    }

    /// The part of a line that is logged: its first 80 characters.
    private static func beginning(_ line: ArraySlice<UInt8>) -> String {
        let text = String(decoding: line.prefix(324), as: UTF8.self)
        return text.count > 80 || line.count > 324 ? text.prefix(80) + "…" : text
    }

    private func read(_ line: ArraySlice<UInt8>) throws(Problem) -> (Draft, key: String?) {
        if let channel = pipe.channel {
            let content: PublishedContent =
                switch pipe.format {
                case .text: try .text(line)
                case .json: try .json(line)
                }
            return (try draft(content, PublishOptions(), channel), nil)
        }
        if line.first == UInt8(ascii: "{") { return try readObject(line) }
        guard let tab = line.firstIndex(of: UInt8(ascii: "\t")) else {
            throw .badRequest(
                "invalid_line",
                "A line must be CHANNEL, a tab and the text, or a JSON object with 'channel' and 'data'."
            )
        }
        let channel = try channel(String(decoding: line[..<tab], as: UTF8.self))
        return (try draft(try .text(line[(tab + 1)...]), PublishOptions(), channel), nil)
    }

    private func readObject(_ line: ArraySlice<UInt8>) throws(Problem) -> (Draft, key: String?) {
        let text = try PublishedContent.compacted(Array(line))
        var strings: [String: String] = [:]
        var data: ArraySlice<UInt8>?
        for (name, value) in JSONMembers.of(text) ?? [] {
            switch name {
            case "data": data = text[value]
            case "channel", "key", "type", "topic":
                guard let string = JSONMembers.string(text, at: value) else {
                    throw .badRequest("invalid_line", "The member '\(name)' must be a string.")
                }
                strings[name] = string
            case "ttl": strings[name] = String(decoding: text[value], as: UTF8.self)
            default:
                throw .badRequest(
                    "invalid_line",
                    "The members are 'channel', 'data', 'key', 'type', 'ttl' and 'topic'."
                )
            }
        }
        guard let name = strings["channel"], let data else {
            throw .badRequest("invalid_line", "The object lacks 'channel' or 'data'.")
        }
        let options = try PublishOptions(
            timeToLive: strings["ttl"],
            topic: strings["topic"],
            type: strings["type"],
            key: strings["key"]
        )
        return (try draft(try .json(data), options, try channel(name)), options.key)
    }

    private func channel(_ text: String) throws(Problem) -> ChannelName {
        let channel = try ChannelName(requested: text)
        try refuseOwn([channel])
        guard pipe.channels.contains(where: { $0.matches(channel) }) else {
            throw .forbidden(
                .publish,
                "The channel '\(channel)' is not among those that 'channels' of this [pipe] allows."
            )
        }
        return channel
    }

    private func draft(
        _ content: PublishedContent,
        _ options: PublishOptions,
        _ channel: ChannelName
    ) throws(Problem) -> Draft {
        guard content.body.count <= limits.messageBytes else { throw .messageTooLarge(limits) }
        return options.drafts([content], to: [channel])[0]
    }
}
