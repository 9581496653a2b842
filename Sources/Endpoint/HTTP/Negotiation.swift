internal import Text

// Header fields by which a client states its wishes: lists, whose elements may contain quoted strings.

/// The form of the answer that an `Accept` field allows.
enum Acceptance {
    case json
    /// Only a stream is accepted, of this media type.
    case streamOnly(String)

    /// JSON, unless the client asks for a stream and accepts neither JSON nor anything else: a browser's address line,
    /// for example, gets JSON although it asks for HTML.
    init(_ accept: String?) {
        self = .json
        // Most pages send this.
        guard let accept, accept != "*/*" else { return }
        // The most specific of these counts.
        var (json, application, anything): (Int?, Int?, Int?)
        var stream: (type: String, weight: Int)?
        forEachWish(in: accept) { type, weight in
            switch type {
            case "application/json": json = weight
            case "application/*": application = weight
            case "*/*": anything = weight
            case "text/event-stream", MediaType.lines:
                if weight > 0, weight >= stream?.weight ?? 0 { stream = (type, weight) }
            default: break
            }
        }
        guard let stream, json ?? application ?? anything ?? 0 == 0 else { return }
        self = .streamOnly(stream.type)
    }
}

/// Whether an `Accept` field asks for a page, as a browser's address line does, and not for JSON.
func asksForPage(_ accept: String?) -> Bool {
    guard let accept else { return false }
    var (page, json) = (0, 0)
    forEachWish(in: accept) { type, weight in
        if type == "text/html" { page = weight }
        if type == "application/json" { json = weight }
    }
    return page > 0 && json == 0
}

/// Whether an `Accept` field asks for OpenMetrics at least as much as for plain text.
func asksForOpenMetrics(_ accept: String?) -> Bool {
    guard let accept else { return false }
    var (openMetrics, plain) = (0, 0)
    forEachWish(in: accept) { type, weight in
        // One type may stand several times, with different versions.
        if type == "application/openmetrics-text" { openMetrics = max(openMetrics, weight) }
        if type == "text/plain" { plain = max(plain, weight) }
    }
    return openMetrics > 0 && openMetrics >= plain
}

/// Whether an `Accept-Encoding` field accepts a body compressed with gzip.
func acceptsGzip(_ acceptEncoding: String?) -> Bool {
    guard let acceptEncoding else { return false }
    var (gzip, anything): (Int?, Int?)
    forEachWish(in: acceptEncoding) { coding, weight in
        if coding == "gzip" || coding == "x-gzip" { gzip = weight }
        if coding == "*" { anything = weight }
    }
    return gzip ?? anything ?? 0 > 0
}

/// The `wait` of a `Prefer` field (RFC 7240 §4.3) in seconds; malformed preferences are ignored, as the RFC requires.
func preferredWait(_ prefer: String?) -> Int? {
    guard let prefer else { return nil }
    let source = prefer.utf8Span.span
    var preferences = ListElements(of: 0..<source.count, separator: ",")
    while let preference = preferences.next(in: source) {
        var parameters = ListElements(of: preference, separator: ";")
        guard let first = parameters.next(in: source),
            let (name, value) = source.pair(first),
            source.text(name).equalsIgnoringCase("wait")
        else { continue }
        return source.text(source.unquoted(value)).wholeNumber
    }
    return nil
}

/// Whether `If-None-Match` (RFC 9110 §13.1.2) names this entity tag; compared weakly, as the RFC requires.
func entityTag(_ tag: [UInt8], isNamedBy field: String?) -> Bool {
    guard let field else { return false }
    let source = field.utf8Span.span
    // In a tag a backslash is an ordinary character.
    var tags = ListElements(of: 0..<source.count, separator: ",", quoting: .plain)
    while var entry = tags.next(in: source) {
        if source.equals("*", in: entry) { return true }
        if entry.count > 2, source.equals("W/", in: entry.lowerBound..<entry.lowerBound + 2) {
            entry = entry.lowerBound + 2..<entry.upperBound
        }
        if entry.count == tag.count,
            tag.indices.allSatisfy({ tag[$0] == source[entry.lowerBound + $0] })
        {
            return true
        }
    }
    return false
}

/// The values of all cookies of this name, in the order of the field.
func cookieValues(_ name: String, in field: String?) -> [String] {
    guard let field else { return [] }
    let source = field.utf8Span.span
    var cookies = ListElements(of: 0..<source.count, separator: ";", quoting: .none)
    var values: [String] = []
    while let cookie = cookies.next(in: source) {
        if let (found, value) = source.pair(cookie), source.text(found) == name {
            values.append(source.text(value))
        }
    }
    return values
}

/// Visits the wishes of a field such as `Accept`, in lower case, with their weights (RFC 9110 §12.4.2) in thousandths;
/// 0: not wanted.
private func forEachWish(in field: String, _ body: (_ name: String, _ weight: Int) -> Void) {
    let source = field.utf8Span.span
    var wishes = ListElements(of: 0..<source.count, separator: ",")
    while let wish = wishes.next(in: source) {
        var parameters = ListElements(of: wish, separator: ";")
        guard let name = parameters.next(in: source) else { continue }
        var weight = 1000
        while let parameter = parameters.next(in: source) {
            if let (name, value) = source.pair(parameter), source.text(name).equalsIgnoringCase("q")
            {
                weight = source.thousandths(value) ?? weight
            }
        }
        body(source.text(name).lowercased(), weight)
    }
}

extension Span<UInt8> {
    /// The parts before and after the first `=`, without blanks around them; nil if there is none.
    fileprivate func pair(_ range: Range<Int>) -> (name: Range<Int>, value: Range<Int>)? {
        guard let equals = first(UInt8(ascii: "="), in: range) else { return nil }
        return (
            trimmed(range.lowerBound..<equals), trimmed(equals + 1..<range.upperBound)
        )
    }

    fileprivate func unquoted(_ range: Range<Int>) -> Range<Int> {
        guard range.count > 2, self[range.lowerBound] == UInt8(ascii: "\""),
            self[range.upperBound - 1] == UInt8(ascii: "\"")
        else { return range }
        return range.lowerBound + 1..<range.upperBound - 1
    }

    /// A weight, such as `0`, `1`, `0.5` or `0.333`; nil if it is not one.
    fileprivate func thousandths(_ range: Range<Int>) -> Int? {
        let point = range.lowerBound + 1
        guard (1...5).contains(range.count), range.count == 1 || self[point] == UInt8(ascii: ".")
        else { return nil }
        var (value, unit) = (0, 1000)
        for at in range where at != point {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self[at]) else { return nil }
            value += Int(self[at] - UInt8(ascii: "0")) * unit
            unit /= 10
        }
        return min(value, 1000)
    }
}
