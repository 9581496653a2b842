internal import Channels
internal import Text

/// The query parameters that Holdfast knows; others are ignored. Of a repeated parameter the last counts, except that
/// every `channel` does. An empty value counts as absent.
struct Query {
    var channels: [String] = []
    var since: String?
    /// The cursor that `since` is; nil if it is none.
    private(set) var cursor: Cursor?
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
        switch Parameter(source, name) {
        case .channel: channels.append(text(source, value) ?? "")
        case .since:
            since = text(source, value)
            cursor = since.flatMap { Cursor($0) }
            isLinked = false
        case .lastEventID:
            // A stream's client cannot repair it: a malformed value becomes a position of no log instead of an error.
            lastEventID = value.isEmpty ? nil : URLDecoding.formText(source, value) ?? "?"
            isLinked = false
        case .wait: wait = text(source, value)
        case .limit: limit = text(source, value)
        case .subscriber:
            subscriber = text(source, value)
            isLinked = false
        case .name:
            self.name = text(source, value)
            isLinked = false
        case .onGap: onGap = text(source, value)
        case .format: format = text(source, value)
        case .stream: stream = text(source, value)
        case .lineLimit: lineLimit = text(source, value)
        case .operation: operation = text(source, value)
        case .after: after = text(source, value)
        case .signature: signature = text(source, value)
        case .expires: expires = text(source, value)
        case .rights: rights = text(source, value)
        case .user: user = text(source, value)
        case .key: key = text(source, value)
        case .token, .cacheBreaker: isLinked = false
        case nil: break
        }
        if isLinked {
            link.append(urlBytes: source, piece)
            link.append(UInt8(ascii: "&"))
        }
    }

    private enum Parameter {
        case channel, since, lastEventID, wait, limit, subscriber, name, onGap, format, stream
        case lineLimit, operation, after, signature, expires, rights, user, key
        /// Read where tokens are; it stands in no link.
        case token
        /// jQuery's `_`
        case cacheBreaker

        /// Nil for a name that means nothing here.
        init?(_ source: Span<UInt8>, _ name: Range<Int>) {
            for at in name
            where source[at] == UInt8(ascii: "%") || source[at] == UInt8(ascii: "+") {
                let decoded = URLDecoding.form(source, name)
                self.init(plain: decoded.span, 0..<decoded.count)
                return
            }
            self.init(plain: source, name)
        }

        private init?(plain source: Span<UInt8>, _ name: Range<Int>) {
            func spells(_ text: StaticString) -> Bool { source.equals(text, in: name) }
            if spells("since") {
                self = .since
            } else if spells("wait") {
                self = .wait
            } else if spells("channel") {
                self = .channel
            } else if spells("subscriber") {
                self = .subscriber
            } else if spells("lastEventId") || spells("evs_last_event_id")
                || spells("Last-Event-ID")
            {
                self = .lastEventID
            } else if spells("limit") {
                self = .limit
            } else if spells("name") {
                self = .name
            } else if spells("on_gap") {
                self = .onGap
            } else if spells("format") {
                self = .format
            } else if spells("stream") {
                self = .stream
            } else if spells("line_limit") {
                self = .lineLimit
            } else if spells("op") {
                self = .operation
            } else if spells("after") {
                self = .after
            } else if spells("signature") {
                self = .signature
            } else if spells("expires") {
                self = .expires
            } else if spells("rights") {
                self = .rights
            } else if spells("user") {
                self = .user
            } else if spells("key") {
                self = .key
            } else if spells("access_token") || spells("authorization") {
                self = .token
            } else if spells("_") {
                self = .cacheBreaker
            } else {
                return nil
            }
        }
    }

    /// Whether a parameter of this name is a token: by RFC 6750 §2.3, or as Mercure calls it.
    static func isTokenName(_ source: Span<UInt8>, _ name: Range<Int>) -> Bool {
        Parameter(source, name) == .token
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
