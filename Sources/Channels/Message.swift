/// The kind of a message's body, which decides how it is written in a JSON answer.
package enum BodyKind: UInt8, Sendable {
    /// One JSON value, valid UTF-8, without line breaks outside strings.
    case json = 0
    /// Valid UTF-8.
    case text = 1
    case bytes = 2
}

/// A message as a publisher submits it; the log assigns its position and time.
package struct Draft: Sendable, Equatable {
    package var channel: ChannelName
    package var kind: BodyKind
    /// As the publisher declared it, for bare answers, such as `text/plain; charset=utf-8`.
    package var contentType: String
    package var body: [UInt8]
    /// The SSE event name, or nil.
    package var type: String?
    /// Seconds after which the message is no longer replayed, or nil if only the channel's retention applies.
    package var timeToLiveSeconds: Int?
    /// A new message replaces its channel's earlier one with the same topic.
    package var topic: String?

    package init(
        channel: ChannelName,
        kind: BodyKind,
        contentType: String,
        body: [UInt8],
        type: String? = nil,
        timeToLiveSeconds: Int? = nil,
        topic: String? = nil
    ) {
        self.channel = channel
        self.kind = kind
        self.contentType = contentType
        self.body = body
        self.type = type
        self.timeToLiveSeconds = timeToLiveSeconds
        self.topic = topic
    }
}

/// A committed message. A class, so that tail, batches and answers share one copy of the body.
package final class Message: Sendable {
    package let offset: Offset
    /// The epoch in which the message was committed; with the offset it is the message's id.
    package let epoch: Epoch
    package let channel: ChannelName
    /// Milliseconds since 1970 in UTC, by the wall clock of the process that committed it.
    package let timeMilliseconds: Int64
    package let kind: BodyKind
    package let contentType: String
    package let body: [UInt8]
    package let type: String?
    /// Milliseconds on the retention clock; nil if it has no expiry of its own.
    package let expiresMilliseconds: Int64?
    package let topic: String?

    package init(
        offset: Offset,
        epoch: Epoch,
        channel: ChannelName,
        timeMilliseconds: Int64,
        kind: BodyKind,
        contentType: String,
        body: [UInt8],
        type: String? = nil,
        expiresMilliseconds: Int64? = nil,
        topic: String? = nil
    ) {
        self.offset = offset
        self.epoch = epoch
        self.channel = channel
        self.timeMilliseconds = timeMilliseconds
        self.kind = kind
        self.contentType = contentType
        self.body = body
        self.type = type
        self.expiresMilliseconds = expiresMilliseconds
        self.topic = topic
    }

    package var id: Cursor { Cursor(epoch: epoch, offset: offset) }
}
