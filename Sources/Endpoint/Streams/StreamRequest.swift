internal import Channels
internal import Configuration
internal import Liveness

/// A subscribe request that wants a stream.
package struct StreamRequest: Sendable {
    package let stream: StreamSubscription
    package let start: PollStart
    package var origin: Poll.Origin
    /// After which it ends at the latest, and its client comes back; before jitter.
    package let lifeSeconds: Int
    let shape: Shape

    /// The header block before the first word. Nothing on the way may keep, change or gather what follows.
    package var head: [UInt8] {
        var document = CGIDocument(.ok, shape)
        switch stream.form {
        case .events: document.line("Content-Type: text/event-stream; charset=utf-8\r\n")
        case .ndjson, .lines: document.line("Content-Type: application/x-ndjson; charset=utf-8\r\n")
        }
        document.line("Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n")
        return document.openEnded()
    }

    /// Nothing can be streamed now. A browser's EventSource gives up for good on any status but 200, so that it is told
    /// by a stream that ends at once and says when to come back.
    package func notNow(_ reason: StreamEnd, retryAfterSeconds: Int) -> Answer {
        guard case .events = stream.form else {
            return shape.answer(reason == .unavailable ? .unavailable : .busy)
        }
        let start: Cursor? = if case .cursor(let cursor) = self.start { cursor } else { nil }
        return Answer(
            head,
            .ok,
            body: stream.bye(reason, at: start, retryAfterSeconds: retryAfterSeconds)
        )
    }

    /// HEAD: what a stream would begin with.
    package var headOnly: Answer? { shape.headOnly ? Answer(head, .ok) : nil }
}

/// What a client asks for by `stream=` or `Accept`.
enum StreamWish: Sendable {
    case events, ndjson

    /// Nil where it wants an answer that ends.
    init?(_ query: Query, _ accept: String?) throws(Problem) {
        switch query.stream {
        case "sse", "events": self = .events
        case "ndjson": self = .ndjson
        case nil:
            guard case .streamOnly(let type) = Acceptance(accept) else { return nil }
            self = type == MediaType.lines ? .ndjson : .events
        default:
            throw .badRequest(
                "invalid_stream",
                "The parameter 'stream' allows 'sse' and 'ndjson'."
            )
        }
    }

    func form(bare: Bool) -> StreamSubscription.Form {
        switch self {
        case .events: .events(bare: bare)
        case .ndjson: .ndjson
        }
    }
}

extension HTTPInterface {
    /// Of the service's own figures.
    func statusStream(
        _ wish: StreamWish,
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> StreamRequest {
        StreamRequest(
            stream: StreamSubscription(channels: [.status], form: wish.form(bare: false)),
            start: .now,
            origin: try origin(Query(), [], request),
            // Nobody but the web server says who is an operator.
            lifeSeconds: min(settings.hold.streamSeconds, settings.hold.grantedSeconds),
            shape: shape
        )
    }

    func stream(
        _ wish: StreamWish,
        _ channels: [ChannelName],
        _ query: Query,
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> Intent {
        let bare = try Self.form(query.format) == .bare
        let lineLimit = try StreamSubscription.lineLimit(query.lineLimit)
        guard lineLimit == nil || !bare else {
            throw .badRequest(
                "invalid_line_limit",
                "With format=bare an event is the text of the message; leave 'line_limit' out."
            )
        }
        let origin = try origin(query, channels, request)
        var start = PollStart.now
        if let last = request.lastEventID ?? query.lastEventID {
            // A browser can't mend it, and would give up for good on an error: what is not ours is a cursor of a log
            // that is not here, which is told as a gap.
            start = .cursor(Cursor(last) ?? .ofNoLog)
        } else if let since = query.since {
            start = try PollStart(since: since, waits: true)
        }
        try ChannelRights(settings: settings, action: .read, granted: request.read)
            .check(channels)
        return .stream(
            StreamRequest(
                stream: StreamSubscription(
                    channels: channels.sorted { $0.text < $1.text },
                    form: wish.form(bare: bare),
                    lineLimit: lineLimit
                ),
                start: start,
                origin: origin,
                lifeSeconds: bounded(settings.hold.streamSeconds, channels),
                shape: shape
            )
        )
    }
}

extension Cursor {
    /// No epoch is called so.
    fileprivate static let ofNoLog = Cursor(epoch: .ofNoLog, offset: .start)
}
