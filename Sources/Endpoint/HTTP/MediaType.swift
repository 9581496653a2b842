/// A `Content-Type` by the grammar of RFC 9110 §8.3.1, with what Holdfast looks at.
///
/// Whatever is not by the grammar is none: browsers cut such a field at commas and take the last part that is a
/// type, so that `text/plain;a=,text/html` would be a page to them and plain text to us.
struct MediaType {
    /// As it was said; visible ASCII and spaces, so that it can be given out in a header field again.
    let text: String
    /// `type/subtype` in lower case, without parameters.
    let essence: String
    private let hasCharset: Bool

    /// NDJSON: a JSON value in each line.
    static let lines = "application/x-ndjson"
    static let form = "application/x-www-form-urlencoded"

    /// - Returns: nil on what is not by the grammar, has over 255 bytes, or more than visible ASCII and spaces.
    init?(_ field: String) {
        let source = field.utf8Span.span
        guard source.count <= 255 else { return nil }
        let whole = source.trimmed(0..<source.count)
        for at in whole where !isVisibleASCII(source[at]) && source[at] != 0x20 { return nil }
        let slash = source.endOfToken(whole)
        guard slash > whole.lowerBound, slash < whole.upperBound,
            source[slash] == UInt8(ascii: "/")
        else { return nil }
        var at = source.endOfToken(slash + 1..<whole.upperBound)
        guard at > slash + 1 else { return nil }
        text = source.text(whole)
        essence = source.text(whole.lowerBound..<at).lowercased()
        var hasCharset = false
        while at < whole.upperBound {
            let semicolon = source.endOfBlanks(at..<whole.upperBound)
            guard semicolon < whole.upperBound, source[semicolon] == UInt8(ascii: ";") else {
                return nil
            }
            let name = source.endOfBlanks(semicolon + 1..<whole.upperBound)
            let equals = source.endOfToken(name..<whole.upperBound)
            at = equals
            // A parameter may be missing, as in `text/plain;`.
            if equals == name { continue }
            guard equals < whole.upperBound, source[equals] == UInt8(ascii: "="),
                let end = source.endOfParameterValue(equals + 1..<whole.upperBound)
            else { return nil }
            at = end
            if source.text(name..<equals).equalsIgnoringCase("charset") { hasCharset = true }
        }
        self.hasCharset = hasCharset
    }

    /// The type of a text that is UTF-8.
    var withCharset: String {
        if hasCharset { return text }
        let end = text.utf8.lastIndex { $0 != UInt8(ascii: ";") && $0 != 0x20 }
        return (end.map { String(text[...$0]) } ?? text) + "; charset=utf-8"
    }
}

extension Span<UInt8> {
    fileprivate func endOfToken(_ range: Range<Int>) -> Int {
        for at in range where !isTokenByte(self[at]) { return at }
        return range.upperBound
    }

    fileprivate func endOfBlanks(_ range: Range<Int>) -> Int {
        for at in range where !isBlank(self[at]) { return at }
        return range.upperBound
    }

    /// Behind a token or a quoted string (RFC 9110 §5.6.4); nil where there is neither.
    fileprivate func endOfParameterValue(_ range: Range<Int>) -> Int? {
        guard !range.isEmpty, self[range.lowerBound] == UInt8(ascii: "\"") else {
            let end = endOfToken(range)
            return end > range.lowerBound ? end : nil
        }
        var at = range.lowerBound + 1
        while at < range.upperBound {
            switch self[at] {
            case UInt8(ascii: "\""): return at + 1
            case UInt8(ascii: "\\"): at += 2
            default: at += 1
            }
        }
        return nil
    }
}

/// What an `Accept` field leaves to us.
enum Acceptance {
    case json
    /// Only a stream is accepted, of this media type.
    case streamOnly(String)

    /// JSON unless the client asks for a stream and neither for JSON nor for anything: a browser's address line,
    /// say, gets JSON although it asks for HTML.
    init(_ accept: String?) {
        self = .json
        guard let accept else { return }
        let source = accept.utf8Span.span
        var stream: String?
        var start = 0
        while start < source.count {
            let end = source.first(UInt8(ascii: ","), in: start..<source.count) ?? source.count
            let cut = source.first(UInt8(ascii: ";"), in: start..<end) ?? end
            let range = source.trimmed(start..<cut)
            if source.equals("*/*", in: range) || source.equals("application/json", in: range) {
                return
            }
            if range.count == 17 || range.count == 20 {
                let type = source.text(range).lowercased()
                if type == "text/event-stream" || type == MediaType.lines { stream = type }
            }
            start = end + 1
        }
        if let stream { self = .streamOnly(stream) }
    }
}

/// Whether an `Accept` field asks for a page to look at, as a browser's address line does, and not for JSON.
func asksForPage(_ accept: String?) -> Bool {
    guard let accept else { return false }
    let source = accept.utf8Span.span
    var isPage = false
    var start = 0
    while start < source.count {
        let end = source.first(UInt8(ascii: ","), in: start..<source.count) ?? source.count
        let cut = source.first(UInt8(ascii: ";"), in: start..<end) ?? end
        let range = source.trimmed(start..<cut)
        if source.equals("application/json", in: range) { return false }
        if source.equals("text/html", in: range) { isPage = true }
        start = end + 1
    }
    return isPage
}

/// The `wait` of a `Prefer` field (RFC 7240 §4.3) in seconds; what is malformed is ignored, as the RFC asks.
func preferredWait(_ prefer: String?) -> Int? {
    guard let prefer else { return nil }
    let source = prefer.utf8Span.span
    var start = 0
    while start < source.count {
        let end = source.first(UInt8(ascii: ","), in: start..<source.count) ?? source.count
        let cut = source.first(UInt8(ascii: ";"), in: start..<end) ?? end
        if let equals = source.first(UInt8(ascii: "="), in: start..<cut),
            source.text(source.trimmed(start..<equals)).equalsIgnoringCase("wait")
        {
            var value = source.trimmed(equals + 1..<cut)
            if value.count > 2, source[value.lowerBound] == UInt8(ascii: "\""),
                source[value.upperBound - 1] == UInt8(ascii: "\"")
            {
                value = value.lowerBound + 1..<value.upperBound - 1
            }
            return source.text(value).wholeNumber
        }
        start = end + 1
    }
    return nil
}

/// The value of the first cookie of this name.
func cookieValue(_ name: String, in field: String?) -> String? {
    guard let field else { return nil }
    let source = field.utf8Span.span
    var start = 0
    while start < source.count {
        let end = source.first(UInt8(ascii: ";"), in: start..<source.count) ?? source.count
        if let equals = source.first(UInt8(ascii: "="), in: start..<end),
            source.text(source.trimmed(start..<equals)) == name
        {
            return source.text(source.trimmed(equals + 1..<end))
        }
        start = end + 1
    }
    return nil
}
