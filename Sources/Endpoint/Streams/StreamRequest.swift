internal import Channels
internal import Configuration
package import Liveness

/// A subscribe request that asks for a stream.
package struct StreamRequest: Sendable {
    package let stream: StreamSubscription
    package let start: PollStart
    package var origin: RequestOrigin
    /// The longest life of the stream, before jitter; then its client comes back.
    package let lifeSeconds: Int
    let shape: Shape

    /// The header block before the first event. Nothing on the way may store, change or buffer what follows.
    package var head: [UInt8] {
        var document = CGIDocument(.ok, shape)
        switch stream.form {
        case .events: document.line("Content-Type: text/event-stream; charset=utf-8\r\n")
        case .ndjson, .lines: document.line("Content-Type: application/x-ndjson; charset=utf-8\r\n")
        }
        document.line("Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n")
        document.line(CGIDocument.incremental)
        return document.openEnded()
    }

    /// The answer if nothing can be streamed now. A browser's EventSource gives up for good on any status but 200, so
    /// it gets a stream that ends at once and says when to come back.
    package func unavailable(retryAfterSeconds: Int) -> Answer {
        guard case .events = stream.form else { return shape.answer(.unavailable) }
        let start: Cursor? = if case .cursor(let cursor) = self.start { cursor } else { nil }
        return Answer(
            head,
            .ok,
            body: stream.bye(.unavailable, at: start, retryAfterSeconds: retryAfterSeconds)
        )
    }

    /// HEAD: the headers with which a stream would begin.
    package var headOnly: Answer? { shape.headOnly ? Answer(head, .ok) : nil }
}

/// The kind of stream that a client asks for by `stream=` or `Accept`.
enum StreamWish: Sendable {
    case events, ndjson

    /// Nil if it asks for an answer that ends.
    ///
    /// - Parameter stream: the parameter.
    init?(_ stream: String?, _ acceptance: Acceptance) throws(Problem) {
        switch stream {
        case "sse", "events": self = .events
        case "ndjson": self = .ndjson
        case nil:
            guard case .streamOnly(let type) = acceptance else { return nil }
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
    /// The stream of the service's status.
    func statusStream(
        _ wish: StreamWish,
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> StreamRequest {
        StreamRequest(
            stream: StreamSubscription(channels: [.status], form: wish.form(bare: false)),
            start: .now,
            origin: try origin(OwnParameters(), [], request, showing: Shown()),
            // Only the web server says who is an operator.
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
                "With format=bare an event is the text of the message; omit 'line_limit'."
            )
        }
        let shown = try shown(by: request, query, channels)
        var origin = try origin(request.own ?? query.own, channels, request, showing: shown)
        var start = PollStart.now
        if let last = request.lastEventID ?? query.lastEventID {
            // A browser cannot repair it, and would give up for good on an error.
            start = .cursor(Cursor(last) ?? .ofNoLog)
        } else {
            start = try PollStart(query, waits: true) ?? .now
        }
        let basis = try readers(of: channels, shown, request)
        origin.right = basis.right(at: request.clock)
        return .stream(
            StreamRequest(
                stream: StreamSubscription(
                    channels: channels.sorted { $0.text < $1.text },
                    form: wish.form(bare: bare),
                    lineLimit: lineLimit
                ),
                start: start,
                origin: origin,
                lifeSeconds: bounded(settings.hold.streamSeconds, basis),
                shape: shape
            )
        )
    }
}
