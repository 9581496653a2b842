package import Channels
package import Configuration

/// Everything the bytes of a subscriber's answer depend on except messages, cursor and gap: equal subscriptions
/// get equal bytes, which are therefore made once. Later forms (SSE, NDJSON) join `Form`.
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
    }

    /// Ascending and distinct.
    package let channels: [ChannelName]
    package let form: Form
    /// At most so many messages in the answer; 1 for the bare form.
    package let messageLimit: Int
    package let onGap: OnGap
    package let onTimeout: FixedEndpoint.OnTimeout
    package let shape: Shape
    /// The request's own query without `since`, `subscriber` and `_`; each piece is followed by `&`.
    /// Nil where it is too long.
    let link: [UInt8]?
    /// The `wait` preference (RFC 7240) that was followed.
    let preferredWaitSeconds: Int?
    let cookie: CursorCookie?
    /// The headers of a hold go out at once.
    let startsEarly: Bool
    /// A gap that was known before the hold and is told when it ends.
    package private(set) var owedGap: GapReason?

    /// Web servers keep an answer's header in a buffer of 4 kB (nginx: `fastcgi_buffer_size`) and make an error of
    /// what is longer; the rest of it needs less than half.
    static let linkLimitBytes = 2048

    /// The same, which tells this gap when the hold ends.
    package func owing(_ gap: GapReason) -> Subscription {
        var copy = self
        copy.owedGap = gap
        return copy
    }
}

/// A subscribe request.
package struct Poll: Sendable {
    package private(set) var subscription: Subscription
    package let start: PollStart
    /// How long to hold while there is nothing, after clamp and jitter; 0: answer at once.
    package let waitMilliseconds: Int
    package let ifNoneMatch: String?
    /// Of the client's secret id, the same in every process; nil without one.
    package let subscriberHash: UInt64?
    /// An immediate poll without a cursor of its own: the same request may come again, and asks whether
    /// anything changed (ETag).
    package let isRevalidating: Bool

    /// The same, whose held answer tells this gap.
    package func owing(_ gap: GapReason) -> Poll {
        var copy = self
        copy.subscription = subscription.owing(gap)
        return copy
    }
}
