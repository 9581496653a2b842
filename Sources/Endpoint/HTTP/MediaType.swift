internal import Text

/// A `Content-Type` by the grammar of RFC 9110 §8.3.1, as far as Holdfast uses it.
///
/// A field that violates the grammar is refused: browsers split such a field at commas and take the last part that is a
/// type, so that `text/plain;a=,text/html` would be a page to them and plain text to us.
struct MediaType {
    /// The field as sent; visible ASCII and spaces, so that it can be repeated in a header field.
    let text: String
    /// `type/subtype` in lower case, without parameters.
    let essence: String
    /// The character set, in lower case, if the type gives one; the first counts, and an empty one counts as absent.
    let charset: String?
    /// The ranges of `text` that are parameters with an empty character set.
    private let emptyCharsets: [Range<Int>]

    /// NDJSON: a JSON value in each line.
    static let lines = "application/x-ndjson"
    static let form = "application/x-www-form-urlencoded"

    /// - Returns: nil if the field violates the grammar, exceeds 255 bytes, or contains other than visible ASCII and
    ///   spaces.
    init?(_ field: String) {
        let source = field.utf8Span.span
        guard source.count <= 255 else { return nil }
        let whole = source.trimmed(0..<source.count)
        for at in whole where !source[at].isVisibleASCII && source[at] != 0x20 { return nil }
        let slash = source.endOfToken(whole)
        guard slash > whole.lowerBound, slash < whole.upperBound,
            source[slash] == UInt8(ascii: "/")
        else { return nil }
        var at = source.endOfToken(slash + 1..<whole.upperBound)
        guard at > slash + 1 else { return nil }
        text = source.text(whole)
        essence = source.text(whole.lowerBound..<at).lowercased()
        var charset: String?
        var emptyCharsets: [Range<Int>] = []
        while at < whole.upperBound {
            let semicolon = source.endOfBlanks(at..<whole.upperBound)
            guard semicolon < whole.upperBound, source[semicolon] == UInt8(ascii: ";") else {
                return nil
            }
            let name = source.endOfBlanks(semicolon + 1..<whole.upperBound)
            let equals = source.endOfToken(name..<whole.upperBound)
            let begin = at
            at = equals
            // A parameter may be empty, as in `text/plain;`.
            if equals == name { continue }
            guard equals < whole.upperBound, source[equals] == UInt8(ascii: "="),
                let end = source.endOfParameterValue(equals + 1..<whole.upperBound)
            else { return nil }
            at = end
            if charset == nil, source.text(name..<equals).equalsIgnoringCase("charset") {
                let value = source.parameterValue(equals + 1..<end).lowercased()
                if value.isEmpty {
                    emptyCharsets.append(begin - whole.lowerBound..<end - whole.lowerBound)
                } else {
                    charset = value
                }
            }
        }
        self.charset = charset
        self.emptyCharsets = emptyCharsets
    }

    /// The type with a character set, for text that is UTF-8.
    var withCharset: String {
        var bytes = Array(self.text.utf8)
        // Of two the first counts; to browsers an empty one counts, too.
        for range in emptyCharsets.reversed() { bytes.removeSubrange(range) }
        let text = String(decoding: bytes, as: UTF8.self)
        if charset != nil { return text }
        let end = text.utf8.lastIndex { $0 != UInt8(ascii: ";") && $0 != 0x20 }
        return (end.map { String(text[...$0]) } ?? text) + "; charset=utf-8"
    }

    /// Whether these bytes are UTF-8 according to the type, too: if it declares another character set, they are if they
    /// are ASCII and that set includes ASCII.
    func isUTF8(_ bytes: some Collection<UInt8>) -> Bool {
        if saysUTF8 { return String(validating: bytes, as: UTF8.self) != nil }
        return Self.setsWithASCII.contains { charset?.hasPrefix($0) == true }
            && bytes.allSatisfy { $0 < 0x80 }
    }

    /// Whether the type declares UTF-8 or no character set.
    var saysUTF8: Bool { charset == nil || charset == "utf-8" || charset == "utf8" }

    private static let setsWithASCII = [
        "us-ascii", "ascii", "iso-8859-", "iso8859-", "iso_8859-", "latin", "windows-125", "cp125",
        "koi8-",
    ]

    /// Whether browsers execute content of this type, or apply it to pages, rather than show or play it: scripts,
    /// styles, pages and all of XML, which may contain scripts, and types made of parts with types of their own.
    var isActive: Bool {
        if Self.activeTypes.contains(essence) { return true }
        let parts = essence.split(separator: "/", maxSplits: 1)
        if parts[0] == "multipart" || parts[0] == "message" { return true }
        let subtype = parts[1]
        // application/javascript, text/javascript1.5, text/jscript, text/vbscript, application/x-ecmascript, …
        return subtype.includes("script") || subtype.includes("html")
            || subtype == "xml" || subtype.hasPrefix("xml-") || subtype.hasSuffix("+xml")
            || subtype == "css" || subtype.hasSuffix("+css")
    }

    private static let activeTypes: Set<String> = [
        "text/xsl", "text/x-component", "text/vtt", "text/cache-manifest", "text/event-stream",
        "application/wasm", "application/manifest+json", "application/x-web-app-manifest+json",
        "application/importmap+json", "application/speculationrules+json",
        "application/signed-exchange", "application/webbundle", "application/x-shockwave-flash",
        "application/futuresplash", "application/java-archive", "application/x-java-applet",
        "application/x-java-archive", "application/x-xpinstall", "application/x-chrome-extension",
        "application/x-ns-proxy-autoconfig", "application/x-x509-ca-cert",
        "application/x-x509-user-cert", "application/x-x509-email-cert",
    ]
}

extension Span<UInt8> {
    fileprivate func endOfToken(_ range: Range<Int>) -> Int {
        for at in range where !self[at].isTokenByte { return at }
        return range.upperBound
    }

    fileprivate func endOfBlanks(_ range: Range<Int>) -> Int {
        for at in range where !self[at].isBlank { return at }
        return range.upperBound
    }

    /// The end of a token or a quoted string (RFC 9110 §5.6.4); nil if there is neither.
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

    /// The value of a token, or the unescaped content of a quoted string.
    fileprivate func parameterValue(_ range: Range<Int>) -> String {
        guard self[range.lowerBound] == UInt8(ascii: "\"") else { return text(range) }
        var bytes: [UInt8] = []
        var at = range.lowerBound + 1
        while at < range.upperBound - 1 {
            if self[at] == UInt8(ascii: "\\") { at += 1 }
            bytes.append(self[at])
            at += 1
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
