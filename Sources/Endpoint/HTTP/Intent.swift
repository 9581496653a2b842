package import Channels

/// What a request asks for, after everything for which the request itself can be refused.
package enum Intent: Sendable {
    /// Already decided: errors, preflights.
    case answer(Answer)
    case subscribe(Poll)
    case stream(StreamRequest)
    case publish(PublishRequest)
    case message(MessageRequest)
    case channels(ChannelsRequest)
    case presence(PresenceRequest)
    /// All requests with this id are ended.
    case leave(subscriber: UInt64, Shape)
    case page(PageRequest)
    /// The number of held requests, for old clients: `polling = N`.
    case held(Shape)
    case live(Shape)
    case ready(Shape)
    case metrics(MetricsFormat, Shape)
    case status(Shape)
    /// The same, anew each second.
    case statusStream(StreamRequest)
    /// The request needs its body, which has not arrived yet and may be sent.
    case awaitBody

    /// Whether it needs HOLDFAST_OPERATOR.
    var isForOperators: Bool {
        switch self {
        case .metrics, .status, .statusStream, .channels: true
        case .answer, .subscribe, .stream, .publish, .message, .presence, .leave, .page, .held,
            .live,
            .ready, .awaitBody:
            false
        }
    }
}

/// `GET …/-/messages/{id}`
package struct MessageRequest: Sendable {
    package let id: Cursor
    let form: Subscription.Form
    let rights: ChannelRights
    let shape: Shape

    /// - Parameter message: nil if there is none with this id. The right to read its channel is checked here; without
    ///   it, the answer does not reveal that the message exists.
    package func answer(_ message: Message?) -> Answer {
        guard let message, rights.cover(message.channel) else {
            return shape.answer(.messageNotFound)
        }
        var document = CGIDocument(.ok, shape)
        document.line("Cache-Control: no-store\r\n")
        switch form {
        case .json:
            document.line("Content-Type: application/json; charset=utf-8\r\n")
            shape.keepFromOthers(&document)
            return document.answer(body: MessageEncoder.json(message) + [0x0A])
        case .bare:
            message.contentFields(&document, for: shape)
            return document.answer(body: message.body)
        }
    }

    package func unavailable() -> Answer { shape.answer(.unavailable) }
}

/// A page of Holdfast's own or a part of one, if there is any of this name: `-/chat`, `-/chat.js`, …
package struct PageRequest: Sendable {
    /// What follows `-/`: ASCII letters, digits, `.` and `-`; `/` for the base path, and empty for `-/`.
    package let name: String
    package let ifNoneMatch: String?
    /// Whether the client accepts a body compressed with gzip.
    package let takesGzip: Bool
    package let shape: Shape

    init(name: String, _ request: borrowing CGIRequest, _ shape: Shape) {
        self.name = name
        self.shape = shape
        ifNoneMatch = request.ifNoneMatch
        takesGzip = acceptsGzip(request.acceptEncoding)
    }

    /// - Parameters:
    ///   - etag: the entity tag of the uncompressed body, with or without its quotes.
    ///   - gzipped: the body compressed; nil if that saves nothing.
    package func answer(
        body: [UInt8],
        gzipped: [UInt8]? = nil,
        contentType: String,
        etag: String
    ) -> Answer {
        let compressed = takesGzip ? gzipped : nil
        // Different bytes need a different tag (RFC 9110 §8.8.3.3).
        let text = etag.split(separator: "\"").joined() + (compressed == nil ? "" : "-gzip")
        let tag = Array("\"\(text)\"".utf8)
        let isKnown = entityTag(tag, isNamedBy: ifNoneMatch)
        var document = CGIDocument(
            isKnown ? .notModified : .ok,
            shape,
            vary: "Accept, Accept-Encoding, Origin"
        )
        document.line("Cache-Control: no-cache\r\n")
        document.field("ETag: ", safe: String(decoding: tag, as: UTF8.self))
        if isKnown { return document.answerWithoutBody() }
        document.field("Content-Type: ", safe: contentType)
        if compressed != nil { document.line("Content-Encoding: gzip\r\n") }
        // Holdfast's pages load only their own script and style, so nothing else may run in them.
        document.line("Content-Security-Policy: default-src 'self'; frame-ancestors 'self'\r\n")
        return document.answer(body: compressed ?? body)
    }

    package func notFound() -> Answer { shape.answer(.notFound) }
}
