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
    var own = OwnParameters()
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
    /// The query as sent, without positions and what is one client's own; each piece is followed by `&`. Safe in a
    /// header field.
    var link: [UInt8] = []
    private var hasMalformedValue = false
    /// Whether parts are in the body, so that no link repeats them.
    private(set) var isInBody = false

    /// Whether a value that counts was not UTF-8.
    var isMalformed: Bool { hasMalformedValue || own.isMalformed }

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
        let parameter = Parameter(source, name)
        if let parameter, parameter.isOwn { return own.take(parameter, source, value) }
        switch parameter {
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
        case .subscriber, .name, .token, .cacheBreaker, nil: break
        }
        if isLinked {
            link.append(urlBytes: source, piece)
            link.append(UInt8(ascii: "&"))
        }
    }

    enum Parameter {
        case channel, since, lastEventID, wait, limit, subscriber, name, onGap, format, stream
        case lineLimit, operation, after, signature, expires, rights, user, key
        case token
        /// jQuery's `_`
        case cacheBreaker

        /// Whether it is one of `OwnParameters`.
        var isOwn: Bool {
            switch self {
            case .subscriber, .name, .token, .cacheBreaker: true
            default: false
            }
        }

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

        /// The same for a name without escapes.
        init?(plain source: Span<UInt8>, _ name: Range<Int>) {
            @inline(__always) func spells(_ text: StaticString) -> Bool {
                source.equals(text, in: name)
            }
            let parameter: Parameter? =
                switch name.count {
                case 1: spells("_") ? .cacheBreaker : nil
                case 2: spells("op") ? .operation : nil
                case 3: spells("key") ? .key : nil
                case 4:
                    spells("wait") ? .wait : spells("name") ? .name : spells("user") ? .user : nil
                case 5:
                    spells("since")
                        ? .since : spells("limit") ? .limit : spells("after") ? .after : nil
                case 6:
                    spells("on_gap")
                        ? .onGap
                        : spells("format")
                            ? .format
                            : spells("stream") ? .stream : spells("rights") ? .rights : nil
                case 7: spells("channel") ? .channel : spells("expires") ? .expires : nil
                case 9: spells("signature") ? .signature : nil
                case 10:
                    spells("subscriber")
                        ? .subscriber : spells("line_limit") ? .lineLimit : nil
                case 11: spells("lastEventId") ? .lastEventID : nil
                case 12: spells("access_token") ? .token : nil
                case 13:
                    spells("authorization")
                        ? .token : spells("Last-Event-ID") ? .lastEventID : nil
                case 17: spells("evs_last_event_id") ? .lastEventID : nil
                default: nil
                }
            guard let parameter else { return nil }
            self = parameter
        }
    }

    /// Whether a parameter of this name is a token: by RFC 6750 §2.3, or as Mercure calls it.
    static func isTokenName(_ source: Span<UInt8>, _ name: Range<Int>) -> Bool {
        Parameter(source, name) == .token
    }

    private mutating func text(_ source: Span<UInt8>, _ range: Range<Int>) -> String? {
        if range.isEmpty { return nil }
        guard let text = URLDecoding.formText(source, range) else {
            hasMalformedValue = true
            return nil
        }
        return text
    }
}
