package import Channels
internal import Configuration
package import Liveness
internal import Text

/// `GET …/-/presence/{channel}`: the members, with the cursor from which `~presence/{channel}` reports changes.
package struct PresenceRequest: Sendable {
    package let channel: ChannelName
    package let shape: Shape

    /// - Parameter members: with the time, in milliseconds since 1970, at which each joined.
    package func answer(
        _ members: [(member: Member, sinceMilliseconds: Int64)],
        at cursor: Cursor
    ) -> Answer {
        var body: [UInt8] = []
        body.reserveCapacity(128 + members.count * 96)
        body.openObject()
        body.append(member: "channel", text: channel.text)
        body.append(member: "cursor", cursor)
        body.append(member: "members")
        body.openArray()
        for (member, since) in members {
            body.beginElement()
            body.openObject()
            body.append(membersOf: member)
            body.append(member: "since", timeMilliseconds: since)
            body.closeObject()
        }
        body.closeArray()
        body.closeObjectAndLine()
        return shape.plain("application/json; charset=utf-8", body)
    }

    package func unavailable() -> Answer { shape.answer(.unavailable) }
}

extension [UInt8] {
    /// `"name":…,"verified":…`
    mutating func append(membersOf member: Member) {
        append(member: "name", text: member.name)
        append(member: "verified", member.isVerified)
    }
}

extension HTTPInterface {
    func presence(
        _ name: String,
        _ query: Query,
        _ request: borrowing CGIRequest,
        _ shape: Shape
    ) throws(Problem) -> PresenceRequest {
        let channel = try ChannelName(requested: name)
        _ = try readers(of: [channel], shown(by: request, query, [channel]), request)
        guard settings.presence(on: channel) != nil else {
            throw Problem(
                .notFound,
                "presence_off",
                "Presence on '\(channel)' is off: it requires a [presence] section in the ini file."
            )
        }
        return PresenceRequest(channel: channel, shape: shape)
    }

    /// `POST …/-/leave` with `subscriber=ID`; suits `navigator.sendBeacon`, which sends a string as text/plain.
    func leave(_ request: borrowing CGIRequest, _ shape: Shape) throws(Problem) -> Intent {
        switch request.method ?? "GET" {
        case "POST": break
        case "OPTIONS": return options("POST, OPTIONS", request, shape)
        default: throw .methodNotAllowed("POST, OPTIONS")
        }
        _ = try crossOrigin.standing(of: request, to: "end requests")
        try PublishedContent.requireNoEncoding(request.contentEncoding)
        if request.awaitsBody { return .awaitBody }
        if request.isCutOff { throw .incompleteBody }
        var query = try Self.query(of: request)
        let body = request.body
        try query.take(body: body.span)
        guard let subscriber = try query.own.subscriber?.value() else {
            throw .badRequest(
                "no_subscriber",
                "Send subscriber=ID, with the id of the subscriptions."
            )
        }
        return .leave(subscriber: subscriber, shape)
    }
}
