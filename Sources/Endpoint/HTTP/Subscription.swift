package import Channels
package import Configuration
package import Liveness

/// Everything that determines the bytes of a subscriber's answer except messages, cursor and gap: equal subscriptions
/// get equal bytes, which are therefore made once.
package struct Subscription: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        case json
        /// The first message itself.
        case bare
    }

    package enum OnGap: Hashable, Sendable {
        case report, fail
    }

    /// A cookie that carries the cursor for pages that know nothing of cursors.
    package struct CursorCookie: Hashable, Sendable {
        let name: String
        /// As a URL path, safe in a header field.
        let path: [UInt8]
        let secure: Bool
        /// The client has no usable cursor yet, and must not be left without one, for example by a closed connection.
        let isFirst: Bool
    }

    /// Ascending and distinct.
    package private(set) var channels: [ChannelName]
    package let form: Form
    /// The most messages in the answer; 1 for the bare form.
    package let messageLimit: Int
    package let onGap: OnGap
    package let onTimeout: FixedEndpoint.OnTimeout
    package let shape: Shape
    /// The request's own query without `since`, `subscriber`, `name` and `_`; each piece is followed by `&`. Nil if it
    /// is too long.
    let link: [UInt8]?
    /// The `wait` preference (RFC 7240) that was applied.
    let preferredWaitSeconds: Int?
    let cookie: CursorCookie?
    /// Whether the headers of a hold were sent at once.
    package private(set) var startsEarly = false
    /// A gap that was known before the hold and is reported when it ends.
    package private(set) var owedGap: GapReason?

    /// By what subscriptions differ in, as a rule. The query in one piece: an array is hashed byte by byte.
    package func hash(into hasher: inout Hasher) {
        for channel in channels { hasher.combine(channel) }
        if let link { unsafe link.withUnsafeBytes { unsafe hasher.combine(bytes: $0) } }
        hasher.combine(startsEarly)
    }

    /// Web servers store an answer's header in a buffer of 4 kB (nginx: `fastcgi_buffer_size`) and answer an error if
    /// it is longer; the rest of the header needs less than half of that.
    static let linkLimitBytes = 2048

    /// The same for a hold that begins with its headers; nil if the status is known only at the end (bare answers, and
    /// those that fail on a gap), or if the cursor goes into a cookie.
    package func startingEarly() -> Subscription? {
        guard form == .json, cookie == nil, onTimeout == .answer, onGap == .report else {
            return nil
        }
        var copy = self
        copy.startsEarly = true
        return copy
    }

    /// The same with an equal list of channels, to save memory.
    package func sharing(_ channels: [ChannelName]) -> Subscription {
        var copy = self
        copy.channels = channels
        return copy
    }

    /// The same, but reporting this gap when the hold ends.
    package func owing(_ gap: GapReason) -> Subscription {
        var copy = self
        copy.owedGap = gap
        return copy
    }
}

/// A subscribe request.
package struct Poll: Sendable {
    package let subscription: Subscription
    package let start: PollStart
    /// How long was asked for, within what the ini file allows; 0: answer at once.
    let waitSeconds: Int
    /// How long to hold while there is no message, bounded by the right to read and with jitter; 0: answer at once.
    package let waitMilliseconds: Int
    package let ifNoneMatch: String?
    package var origin: RequestOrigin
    /// Whether it is an immediate poll without a cursor of its own: the same request may be repeated to ask whether
    /// anything changed (ETag).
    package let isRevalidating: Bool
    /// How long caches may keep its answer if that is a full page, which new messages do not change; 0: not at all.
    let cacheSeconds: Int
}
