internal import Text

/// The query parameters that Holdfast knows; others are ignored. Of a repeated parameter the last counts, except that
/// every `channel` does. An empty value counts as absent.
struct Query {
    var channels: [String] = []
    var since: String?
    /// `Last-Event-ID`, as sent by replacements for EventSource that cannot set header fields.
    var lastEventID: String?
    var wait: String?
    var limit: String?
    var subscriber: String?
    /// The name that others see.
    var name: String?
    var onGap: String?
    var format: String?
    var stream: String?
    var lineLimit: String?
    var operation: String?
    var after: String?
    /// Of a signed link, which stays in the link to the next answer.
    var signature: String?
    var expires: String?
    var rights: String?
    var user: String?
    var key: String?
    /// The query as sent, without positions, `subscriber`, `name`, tokens and jQuery's `_`; each piece is followed by
    /// `&`. Safe in a header field.
    var link: [UInt8] = []
    /// Whether a value that counts was not UTF-8.
    private(set) var isMalformed = false
    /// Whether parts are in the body, so that no link repeats them.
    private(set) var isInBody = false

    init(_ source: Span<UInt8>) {
        link.reserveCapacity(source.count)
        take(source)
    }

    /// Adds the fields of a form body, whose values take precedence.
    mutating func take(body: Span<UInt8>) throws(Problem) {
        isInBody = true
        take(body)
        if isMalformed { throw .notUTF8 }
    }

    private mutating func take(_ source: Span<UInt8>) {
        URLDecoding.forEachField(source) { piece, name, value in take(source, piece, name, value) }
    }

    init() {}

    private mutating func take(
        _ source: Span<UInt8>,
        _ piece: Range<Int>,
        _ name: Range<Int>,
        _ value: Range<Int>
    ) {
        var isLinked = true
        switch URLDecoding.formText(source, name) {
        case "channel": channels.append(text(source, value) ?? "")
        case "since":
            since = text(source, value)
            isLinked = false
        case "lastEventId", "evs_last_event_id", "Last-Event-ID":
            // A stream's client cannot repair it: a malformed value becomes a position of no log instead of an error.
            lastEventID = value.isEmpty ? nil : URLDecoding.formText(source, value) ?? "?"
            isLinked = false
        case "wait": wait = text(source, value)
        case "limit": limit = text(source, value)
        case "subscriber":
            subscriber = text(source, value)
            isLinked = false
        case "name":
            self.name = text(source, value)
            isLinked = false
        case "on_gap": onGap = text(source, value)
        case "format": format = text(source, value)
        case "stream": stream = text(source, value)
        case "line_limit": lineLimit = text(source, value)
        case "op": operation = text(source, value)
        case "after": after = text(source, value)
        case "signature": signature = text(source, value)
        case "expires": expires = text(source, value)
        case "rights": rights = text(source, value)
        case "user": user = text(source, value)
        case "key": key = text(source, value)
        case "_", "access_token", "authorization": isLinked = false
        default: break
        }
        if isLinked {
            link.append(urlBytes: source, piece)
            link.append(UInt8(ascii: "&"))
        }
    }

    private mutating func text(_ source: Span<UInt8>, _ range: Range<Int>) -> String? {
        if range.isEmpty { return nil }
        guard let text = URLDecoding.formText(source, range) else {
            isMalformed = true
            return nil
        }
        return text
    }
}
