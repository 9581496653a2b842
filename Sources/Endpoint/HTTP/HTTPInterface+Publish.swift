internal import Channels
internal import Configuration
internal import Text

/// POST and DELETE on channels, and POST on a fixed endpoint that publishes.
extension HTTPInterface {
    func publish(
        _ channels: [ChannelName],
        _ query: Query,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        base: [UInt8]
    ) throws(Problem) -> Intent {
        let shown = try shown(by: request, query, channels)
        let author = try author(of: request, showing: shown, to: "publish")
        _ = try author.rights.check(channels)
        if request.bodyDropped || announcesTooMuch(request) {
            let type = request.sentContentType.flatMap { MediaType($0) }
            let isBatch = type?.essence == MediaType.lines
            throw isBatch ? .batchTooLarge(settings.limits) : .messageTooLarge(settings.limits)
        }
        if request.awaitsBody { return .awaitBody }
        if request.isCutOff { throw .incompleteBody }
        if request.malformed.contains(.type) { throw PublishOptions.invalidType }
        let options = try PublishOptions(
            timeToLive: request.timeToLive,
            topic: request.topic,
            type: request.holdfastType,
            key: request.idempotencyKey
        )
        let messages = try PublishedContent.messages(
            in: request.body,
            contentType: request.sentContentType,
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
                    publisher: author.scope,
                    idempotencyKey: options.key,
                    quota: author.quota
                ),
                shape: shape,
                base: mounted,
                locationIsFirst: request.serverSoftware?.hasPrefix("HAProxy") == true
            )
        )
    }

    /// DELETE: a client that may publish to a channel may delete its messages.
    func drop(
        _ channels: [ChannelName],
        _ query: Query,
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> Intent {
        let shown = try shown(by: request, query, channels)
        let author = try author(of: request, showing: shown, to: "delete messages")
        _ = try author.rights.check(channels)
        return .publish(
            PublishRequest(
                publication: Publication(
                    dropping: channels,
                    publisher: author.scope,
                    idempotencyKey: try PublishOptions(key: request.idempotencyKey).key,
                    quota: author.quota
                ),
                shape: shape,
                base: []
            )
        )
    }
}
