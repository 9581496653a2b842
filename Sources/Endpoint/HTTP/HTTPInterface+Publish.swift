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
        if request.bodyDropped || announcesTooMuch(request) {
            let isBatch = request.contentType.flatMap { MediaType($0) }?.essence == MediaType.lines
            throw isBatch ? .batchTooLarge(settings.limits) : .messageTooLarge(settings.limits)
        }
        if request.awaitsBody { return .awaitBody }
        if request.isCutOff { throw .incompleteBody }
        let options = try PublishOptions(
            timeToLive: request.timeToLive,
            topic: request.topic,
            type: request.holdfastType,
            key: request.idempotencyKey
        )
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
            PublishRequest(
                publication: Publication(
                    drafts: options.drafts(messages, to: channels),
                    publisher: request.publisherScope,
                    idempotencyKey: options.key,
                    quota: settings.quota(of: request.publisherName)
                ),
                shape: shape,
                base: mounted,
                locationIsFirst: request.serverSoftware?.hasPrefix("HAProxy") == true
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
            PublishRequest(
                publication: Publication(
                    dropping: channels,
                    publisher: request.publisherScope,
                    idempotencyKey: try PublishOptions(key: request.idempotencyKey).key,
                    quota: settings.quota(of: request.publisherName)
                ),
                shape: shape,
                base: []
            )
        )
    }
}
