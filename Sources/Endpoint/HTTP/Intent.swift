package import Channels

/// What a request wants, after everything the request itself can be refused for.
package enum Intent: Sendable {
    /// Decided here: errors, preflights.
    case answer(Answer)
    case subscribe(Poll)
    case stream(StreamRequest)
    case publish(PublishRequest)
    case message(MessageRequest)
    case channels(ChannelsRequest)
    case presence(PresenceRequest)
    /// Whoever has this id goes.
    case leave(subscriber: UInt64, Shape)
    case page(PageRequest)
    /// How many are held, for old clients: `polling = N`.
    case held(Shape)
    case live(Shape)
    case ready(Shape)
    case metrics(Shape)
    case status(Shape)
    /// The same, each second anew.
    case statusStream(StreamRequest)
    /// Of a request whose body has not come: it may come.
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

    /// - Parameter message: nil if there is none of this id. Whether the requester may read its channel is checked
    ///   here; where not, nothing tells that there is one.
    package func answer(_ message: Message?) -> Answer {
        guard let message, rights.cover(message.channel) else {
            return shape.answer(.messageNotFound)
        }
        var document = CGIDocument(.ok, shape)
        document.line("Cache-Control: no-store\r\n")
        switch form {
        case .json:
            document.line("Content-Type: application/json; charset=utf-8\r\n")
            return document.answer(body: MessageEncoder.json(message) + [0x0A])
        case .bare:
            message.contentFields(&document)
            return document.answer(body: message.body)
        }
    }

    package func unavailable() -> Answer { shape.answer(.unavailable) }
}

/// A page of our own or what belongs to one, if there is any of this name: `-/chat`, `-/chat.js`, …
package struct PageRequest: Sendable {
    /// What stands behind `-/`: ASCII letters, digits, `.` and `-`.
    package let name: String
    package let ifNoneMatch: String?
    package let shape: Shape

    /// - Parameter etag: an entity tag with or without its quotes.
    package func answer(body: [UInt8], contentType: String, etag: String) -> Answer {
        let tag = Array((etag.hasPrefix("\"") ? etag : "\"" + etag + "\"").utf8)
        let isKnown = entityTag(tag, isNamedBy: ifNoneMatch)
        var document = CGIDocument(isKnown ? .notModified : .ok, shape)
        document.line("Cache-Control: no-cache\r\n")
        document.field("ETag: ", safe: String(decoding: tag, as: UTF8.self))
        if isKnown { return document.answerWithoutBody() }
        document.field("Content-Type: ", safe: contentType)
        // Our pages load nothing but their own script and style, so nothing else may run in them.
        document.line("Content-Security-Policy: default-src 'self'; frame-ancestors 'self'\r\n")
        return document.answer(body: body)
    }

    package func notFound() -> Answer { shape.answer(.notFound) }
}
