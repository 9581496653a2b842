/// The query parameters that Holdfast knows; others are ignored. Of one given twice, the last counts, but every
/// `channel` does. An empty value counts as absent.
struct Query {
    var channels: [String] = []
    var since: String?
    var wait: String?
    var limit: String?
    var subscriber: String?
    /// By which others see the subscriber.
    var name: String?
    var onGap: String?
    var format: String?
    var stream: String?
    var lineLimit: String?
    var operation: String?
    var after: String?
    /// The query as it came, without `since`, `subscriber`, `name` and jQuery's `_`; each piece is followed by `&`.
    /// Safe in a header field.
    var link: [UInt8] = []
    /// Some of it stands in the body, so that no link repeats it.
    private(set) var isInBody = false

    init(_ source: Span<UInt8>) {
        link.reserveCapacity(source.count)
        take(source)
    }

    /// Takes in a form body, whose values count more.
    mutating func take(body: Span<UInt8>) {
        isInBody = true
        take(body)
    }

    private mutating func take(_ source: Span<UInt8>) {
        Decoding.forEachField(source) { piece, name, value in take(source, piece, name, value) }
    }

    init() {}

    private mutating func take(
        _ source: Span<UInt8>,
        _ piece: Range<Int>,
        _ name: Range<Int>,
        _ value: Range<Int>
    ) {
        var isLinked = true
        switch Decoding.formText(source, name) {
        case "channel": channels.append(Decoding.formText(source, value))
        case "since":
            since = text(source, value)
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
        case "_": isLinked = false
        default: break
        }
        if isLinked {
            link.append(urlBytes: source, piece)
            link.append(UInt8(ascii: "&"))
        }
    }

    private func text(_ source: Span<UInt8>, _ range: Range<Int>) -> String? {
        range.isEmpty ? nil : Decoding.formText(source, range)
    }
}
