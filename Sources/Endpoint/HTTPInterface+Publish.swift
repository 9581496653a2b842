internal import Channels
internal import Configuration

/// POST and DELETE on channels, or POST on a fixed endpoint that publishes. Cross-site writes were refused before.
extension HTTPInterface {
    func publish(
        _ channels: [ChannelName],
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        base: [UInt8]
    ) throws(Problem) -> Intent {
        try ChannelRights(rules: settings.allow, action: .publish, granted: request.write)
            .check(channels)
        if request.bodyDropped {
            let isBatch = request.contentType.flatMap { MediaType($0) }?.essence == MediaType.lines
            throw isBatch ? .batchTooLarge(settings.limits) : .messageTooLarge(settings.limits)
        }
        let timeToLive = try Self.timeToLive(request.timeToLive)
        let topic = try Self.topic(request.topic)
        let type = try Self.type(request.holdfastType)
        let key = try Self.key(request.idempotencyKey)
        let messages = try PublishedContent.messages(
            in: request.body,
            contentType: request.contentType,
            contentEncoding: request.contentEncoding,
            limits: settings.limits
        )
        guard messages.count * channels.count <= settings.limits.batchMessages else {
            throw .batchTooLarge(settings.limits)
        }
        var mounted: [UInt8] = []
        mounted.append(urlBytes: base.span, 0..<base.count)
        return .publish(
            Publication(
                drafts: messages.flatMap { content in
                    channels.map { channel in
                        Draft(
                            channel: channel,
                            kind: content.kind,
                            contentType: content.contentType,
                            body: content.body,
                            type: type,
                            timeToLiveSeconds: timeToLive,
                            topic: topic
                        )
                    }
                },
                publisher: request.publisherName,
                idempotencyKey: key,
                quota: settings.quota(of: request.publisherName),
                shape: shape,
                base: mounted
            )
        )
    }

    /// DELETE: whoever may publish to a channel may drop what was published there.
    func drop(
        _ channels: [ChannelName],
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> Intent {
        try ChannelRights(rules: settings.allow, action: .publish, granted: request.write)
            .check(channels)
        return .publish(
            Publication(
                dropping: channels,
                publisher: request.publisherName,
                idempotencyKey: try Self.key(request.idempotencyKey),
                quota: settings.quota(of: request.publisherName),
                shape: shape
            )
        )
    }

    private static func timeToLive(_ field: String?) throws(Problem) -> Int? {
        guard let field else { return nil }
        guard let seconds = field.wholeNumber, seconds > 0 else {
            throw .badRequest(
                "invalid_ttl",
                "The field TTL is a whole number of seconds, at least 1."
            )
        }
        return seconds
    }

    private static func topic(_ field: String?) throws(Problem) -> String? {
        guard let field else { return nil }
        guard field.utf8.count <= 64, field.utf8.allSatisfy(isTokenByte) else {
            throw .badRequest(
                "invalid_topic",
                "The field Topic has at most 64 characters, ASCII letters, digits and !#$%&'*+-.^_`|~."
            )
        }
        return field
    }

    private static func type(_ field: String?) throws(Problem) -> String? {
        guard let field else { return nil }
        let hasControls = field.unicodeScalars.contains {
            $0.value < 0x20 || (0x7F..<0xA0).contains($0.value)
        }
        guard field.utf8.count <= 64, !hasControls else {
            throw .badRequest(
                "invalid_type",
                "The field Holdfast-Type has at most 64 bytes and no control characters."
            )
        }
        switch field {
        case "error", "open", "hello", "gap", "bye":
            throw .badRequest(
                "reserved_type",
                "This Holdfast-Type is reserved; choose another name."
            )
        default: return field
        }
    }

    private static func key(_ field: String?) throws(Problem) -> String? {
        guard let field else { return nil }
        guard field.utf8.count <= 255, field.utf8.allSatisfy(isVisibleASCII) else {
            throw .badRequest(
                "invalid_idempotency_key",
                "The field Idempotency-Key has 1 to 255 visible ASCII characters."
            )
        }
        return field
    }
}
