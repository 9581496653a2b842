internal import Channels
internal import Text

/// The statuses that Holdfast answers with; `phrase` follows the number in `Status:`.
package enum HTTPStatus: Int, Sendable, CaseIterable {
    case ok = 200
    case created = 201
    case noContent = 204
    case notModified = 304
    case badRequest = 400
    case unauthorized = 401
    case forbidden = 403
    case notFound = 404
    case methodNotAllowed = 405
    case notAcceptable = 406
    case gone = 410
    case contentTooLarge = 413
    case unsupportedMediaType = 415
    case unprocessableContent = 422
    case tooManyRequests = 429
    case headersTooLarge = 431
    case internalError = 500
    case notImplemented = 501
    case unavailable = 503
    case insufficientStorage = 507

    var phrase: StaticString {
        switch self {
        case .ok: "OK"
        case .created: "Created"
        case .noContent: "No Content"
        case .notModified: "Not Modified"
        case .badRequest: "Bad Request"
        case .unauthorized: "Unauthorized"
        case .forbidden: "Forbidden"
        case .notFound: "Not Found"
        case .methodNotAllowed: "Method Not Allowed"
        case .notAcceptable: "Not Acceptable"
        case .gone: "Gone"
        case .contentTooLarge: "Content Too Large"
        case .unsupportedMediaType: "Unsupported Media Type"
        case .unprocessableContent: "Unprocessable Content"
        case .tooManyRequests: "Too Many Requests"
        case .headersTooLarge: "Request Header Fields Too Large"
        case .internalError: "Internal Server Error"
        case .notImplemented: "Not Implemented"
        case .unavailable: "Service Unavailable"
        case .insufficientStorage: "Insufficient Storage"
        }
    }
}

/// Why a request is refused, for `application/problem+json` (RFC 9457).
///
/// `code` never changes once published; `detail` is a sentence that says what to change, and reveals nothing of the
/// server's internals.
package struct Problem: Error, Sendable {
    package var status: HTTPStatus
    package var code: StaticString
    package var detail: String
    package var retryAfterSeconds: Int?
    /// The methods for the `Allow` field of a 405.
    var allow: StaticString?
    /// The media type for the `Accept-Query` field of a 415.
    var acceptQuery: StaticString?
    /// The value of `WWW-Authenticate` (RFC 6750 §3).
    var challenge: StaticString?
    /// Where a subscriber continues after a gap, for a 410.
    var restart: (cursor: Cursor, reason: GapReason)?
    /// For the log, not for the client.
    var note: Remark?
    /// The deciding setting of the ini file, also for the log.
    var decision: Remark?

    package init(
        _ status: HTTPStatus,
        _ code: StaticString,
        _ detail: String,
        retryAfterSeconds: Int? = nil
    ) {
        self.status = status
        self.code = code
        self.detail = detail
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// `{"type":"about:blank","title":…,"status":…,"code":…,"detail":…}`
    ///
    /// - Parameter name: of the request, if the document is to tell it.
    func json(named name: RequestName? = nil) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(160 + detail.utf8.count)
        body.openObject()
        body.append(member: "type", word: "about:blank")
        body.append(member: "title", word: status.phrase)
        body.append(member: "status", status.rawValue)
        body.append(member: "code", word: code)
        body.append(member: "detail", text: detail)
        if let restart {
            body.append(member: "reason", text: restart.reason.rawValue)
            body.append(member: "cursor", restart.cursor)
        }
        if let name { body.append(member: "request", text: name.text) }
        body.closeObjectAndLine()
        return body
    }
}

extension ChannelName {
    /// The channel that a request names.
    init(requested text: String) throws(Problem) {
        do throws(ChannelNameError) {
            self = try ChannelName(text)
        } catch {
            let clause = error.description
            throw .badRequest(
                "invalid_channel",
                clause.prefix(1).uppercased() + clause.dropFirst() + "."
            )
        }
    }
}

extension [ChannelName] {
    /// The channels that a request names, in its order, each once.
    init(requested texts: [String]) throws(Problem) {
        self = []
        var seen: Set<ChannelName> = []
        reserveCapacity(texts.count)
        for text in texts {
            let name = try ChannelName(requested: text)
            if seen.insert(name).inserted { append(name) }
        }
    }
}

extension Problem {
    static func badRequest(_ code: StaticString, _ detail: String) -> Problem {
        Problem(.badRequest, code, detail)
    }

    static func methodNotAllowed(_ allow: StaticString) -> Problem {
        var problem = Problem(
            .methodNotAllowed,
            "method_not_allowed",
            "This path allows \(allow) only."
        )
        problem.allow = allow
        return problem
    }

    static func gap(_ reason: GapReason, restart: Cursor) -> Problem {
        var problem = Problem(
            .gone,
            "gap",
            "Messages after this cursor are no longer available; reload the state and continue from 'cursor'."
        )
        problem.restart = (restart, reason)
        return problem
    }

    /// Below the base path and `-/`.
    static let notFound = Problem(
        .notFound,
        "not_found",
        "Nothing of this name is served below '-/'; holdfast-http(7) lists what is."
    )

    static let notBelowBase = Problem(
        .notFound,
        "not_found",
        "Nothing is served at this path; check the base path (HOLDFAST_BASE, or base in the ini file)."
    )

    static let messageNotFound = Problem(
        .notFound,
        "message_not_found",
        "There is no message with this id, it is no longer kept, or this request may not read its channel."
    )

    static let channelNotFound = Problem(
        .notFound,
        "channel_not_found",
        "The log remembers no channel of this name."
    )

    static let malformedPath = badRequest(
        "malformed_path",
        "The path and the query must be valid percent-encoded UTF-8 without NUL."
    )

    /// Less of the body arrived than was announced.
    static let incompleteBody = badRequest(
        "incomplete_body",
        "The body was shorter than its Content-Length, so it was discarded."
    )

    /// The variables are too many or too long.
    static let headersTooLarge = Problem(
        .headersTooLarge,
        "headers_too_large",
        "The request's header fields are too large; a long list of channels must be split."
    )

    /// The log cannot be read or written at present.
    static let unavailable = Problem(
        .unavailable,
        "log_unavailable",
        "The message log is not available; try again later.",
        retryAfterSeconds: 2
    )

    /// A publish got no answer from the log in time.
    static let outcomeUnknown = Problem(
        .unavailable,
        "outcome_unknown",
        "The log did not answer in time, so the message may or may not have been committed; "
            + "repeat the request with the same Idempotency-Key.",
        retryAfterSeconds: 2
    )

    /// Not a fault: how an endpoint with `on_timeout = 503` reports that there is no message.
    static let nothingNew = Problem(
        .unavailable,
        "nothing_new",
        "No message arrived while this request waited; ask again."
    )

    /// What ends a poll before the log has answered it.
    static let superseded = Problem(
        .unavailable,
        "superseded",
        "A newer request of the same subscriber ended this one before it was answered.",
        retryAfterSeconds: 1
    )
    static let left = Problem(
        .unavailable,
        "left",
        "The client announced that it leaves, which ended this request before it was answered.",
        retryAfterSeconds: 1
    )
    static let revoked = Problem(
        .unavailable,
        "revoked",
        "The rights changed before this request was answered; ask again.",
        retryAfterSeconds: 1
    )

    /// An incomplete request gives way to others.
    static let tooSlow = Problem(
        .unavailable,
        "too_many_uploads",
        "Too many uploads are in progress, and this one has been arriving longest; send it again later.",
        retryAfterSeconds: 5
    )

    /// The bound on waiting requests is reached.
    static let busy = Problem(
        .unavailable,
        "busy",
        "Too many requests are waiting; try again later.",
        retryAfterSeconds: 2
    )

    /// Another program has read the log for so long that its write-ahead log has reached its largest size.
    static let logBusy = Problem(
        .unavailable,
        "log_busy",
        "Another program has been reading the message log for too long; nothing can be published until it ends, "
            + "and Holdfast's own log names it.",
        retryAfterSeconds: 5
    )

    static let logFull = Problem(
        .insufficientStorage,
        "log_full",
        "The message log is full; try again when older messages have been removed.",
        retryAfterSeconds: 60
    )

    package static let noMoreChannels = Problem(
        .insufficientStorage,
        "no_more_channels",
        "The log has reached its limit of channels; publish to an existing one, or raise 'channels' in [limits].",
        retryAfterSeconds: 60
    )

    /// The publisher's quota is used up; nil: the request exceeds the whole quota.
    static func overQuota(retrySeconds: Int?) -> Problem {
        Problem(
            .tooManyRequests,
            "quota_exceeded",
            retrySeconds == nil
                ? "This request alone exceeds this publisher's whole quota; send fewer or shorter messages at once."
                : "This publisher has used up its quota; send again later.",
            retryAfterSeconds: retrySeconds
        )
    }

    static let idempotencyConflict = Problem(
        .unprocessableContent,
        "idempotency_conflict",
        "This Idempotency-Key was used for another message; use a new key for each message."
    )
}

extension Problem: Equatable {
    package static func == (one: Problem, other: Problem) -> Bool {
        one.status == other.status && one.code.description == other.code.description
            && one.detail == other.detail && one.retryAfterSeconds == other.retryAfterSeconds
    }
}
