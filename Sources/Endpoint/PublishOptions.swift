internal import Channels
internal import Text

/// What a publisher may set for a message besides its content, by header fields or by options of a line.
struct PublishOptions {
    private(set) var timeToLiveSeconds: Int?
    private(set) var topic: String?
    private(set) var type: String?
    private(set) var key: String?

    /// Parses the values given; nil for an absent one.
    init(
        timeToLive: String? = nil,
        topic: String? = nil,
        type: String? = nil,
        key: String? = nil
    ) throws(Problem) {
        timeToLiveSeconds = try Self.timeToLive(timeToLive)
        self.topic = try Self.topic(topic)
        self.type = try Self.type(type)
        self.key = try Self.key(key)
    }

    /// A draft of each message for each channel, message by message.
    func drafts(_ messages: [PublishedContent], to channels: [ChannelName]) -> [Draft] {
        messages.flatMap { content in
            channels.map { channel in
                Draft(
                    channel: channel,
                    kind: content.kind,
                    contentType: content.contentType,
                    body: content.body,
                    type: type,
                    timeToLiveSeconds: timeToLiveSeconds,
                    topic: topic
                )
            }
        }
    }

    private static func timeToLive(_ text: String?) throws(Problem) -> Int? {
        guard let text else { return nil }
        guard let seconds = text.wholeNumber, seconds > 0 else {
            throw .badRequest("invalid_ttl", "TTL must be a whole number of seconds, at least 1.")
        }
        return seconds
    }

    private static func topic(_ text: String?) throws(Problem) -> String? {
        guard let text else { return nil }
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(\.isTokenByte) else {
            throw .badRequest(
                "invalid_topic",
                "A topic must have 1 to 64 characters: ASCII letters, digits and !#$%&'*+-.^_`|~."
            )
        }
        return text
    }

    static let invalidType = Problem.badRequest(
        "invalid_type",
        "An event type must have 1 to 64 bytes of UTF-8 and no control characters."
    )

    private static func type(_ text: String?) throws(Problem) -> String? {
        guard let text else { return nil }
        let hasControls = text.unicodeScalars.contains {
            $0.value < 0x20 || (0x7F..<0xA0).contains($0.value)
        }
        guard (1...64).contains(text.utf8.count), !hasControls else { throw invalidType }
        switch text {
        case "error", "open", "hello", "gap", "bye":
            throw .badRequest("reserved_type", "This event type is reserved; choose another name.")
        default: return text
        }
    }

    private static func key(_ text: String?) throws(Problem) -> String? {
        guard let text else { return nil }
        guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy(\.isVisibleASCII) else {
            throw .badRequest(
                "invalid_idempotency_key",
                "An idempotency key must have 1 to 255 visible ASCII characters."
            )
        }
        return text
    }
}
