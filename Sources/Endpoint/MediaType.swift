/// A `Content-Type` as it was said, with what Holdfast looks at (RFC 9110 §8.3.1).
struct MediaType {
    let text: String
    /// `type/subtype` in lower case, without parameters.
    let essence: String
    let hasCharset: Bool

    init(_ text: String) {
        self.text = text
        let source = text.utf8Span.span
        let end = source.first(UInt8(ascii: ";"), in: 0..<source.count) ?? source.count
        essence = source.text(source.trimmed(0..<end)).lowercased()
        var hasCharset = false
        var start = end + 1
        while start < source.count {
            let next = source.first(UInt8(ascii: ";"), in: start..<source.count) ?? source.count
            let equals = source.first(UInt8(ascii: "="), in: start..<next) ?? next
            if source.text(source.trimmed(start..<equals)).equalsIgnoringCase("charset") {
                hasCharset = true
            }
            start = next + 1
        }
        self.hasCharset = hasCharset
    }

    /// Whether the text can be kept and given out in a header field again: `type/subtype`, at most 255 bytes, no control
    /// character.
    var isUsable: Bool {
        text.utf8.count <= 255 && text.utf8.allSatisfy { isVisibleASCII($0) || $0 == 0x20 }
            && essence.utf8.filter { $0 == UInt8(ascii: "/") }.count == 1
            && !essence.utf8.contains(0x20) && essence.utf8.first != UInt8(ascii: "/")
            && essence.utf8.last != UInt8(ascii: "/")
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
                if type == "text/event-stream" || type == "application/x-ndjson" { stream = type }
            }
            start = end + 1
        }
        if let stream { self = .streamOnly(stream) }
    }
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
