package import Channels
internal import Text

/// The content of a token (RFC 7519 §4), whatever key it is signed with.
///
/// ```
/// {"exp": 1767225600, "nbf": …, "aud": "…", "sub": "ada",
///  "holdfast": {"read": ["news/**"], "publish": ["chat/*"], "name": "Ada"}}
/// ```
///
/// `mercure` with `subscribe` and `publish` counts as well: the claim of tokens for a Mercure hub.
package struct Claims: Equatable, Sendable {
    /// Milliseconds since 1970.
    package let expires: Int64
    package let notBefore: Int64?
    /// Nil if the token names none.
    package let audience: [String]?
    package let name: String?
    package let read: [ChannelPattern]
    package let publish: [ChannelPattern]
    /// Selectors of Mercure that are not patterns of channels, and grant nothing.
    package let foreignSelectors: [String]

    init(_ payload: [UInt8]) throws(Refusal) {
        let claims = try JSONObject(payload, "payload")
        guard let expires = try Self.time("exp", in: claims) else {
            throw .unusableClaim("'exp' is missing, so it would be valid for ever")
        }
        self.expires = expires
        notBefore = try Self.time("nbf", in: claims)
        audience = try claims["aud"].map { value throws(Refusal) in
            if let one = value.string { return [one] }
            return try Self.strings(value, "'aud'")
        }
        var name = try Self.string(claims["sub"], "'sub'")
        var (read, publish): ([ChannelPattern], [ChannelPattern]) = ([], [])
        if let own = try Self.object(claims["holdfast"], "'holdfast'") {
            read = try Self.patterns(own["read"], "'holdfast.read'")
            publish = try Self.patterns(own["publish"], "'holdfast.publish'")
            name = try Self.string(own["name"], "'holdfast.name'") ?? name
        }
        var foreign: [String] = []
        if let mercure = try Self.object(claims["mercure"], "'mercure'") {
            read += try Self.selected(mercure["subscribe"], "'mercure.subscribe'", &foreign)
            publish += try Self.selected(mercure["publish"], "'mercure.publish'", &foreign)
        }
        (self.name, self.read, self.publish) = (name, read, publish)
        foreignSelectors = foreign
    }

    // MARK: Values

    /// NumericDate: seconds since 1970, perhaps with a fraction (RFC 7519 §2).
    private static func time(_ name: String, in claims: JSONObject) throws(Refusal) -> Int64? {
        guard let value = claims[name] else { return nil }
        let text = String(decoding: value.bytes, as: UTF8.self)
        // Up to the year 9999.
        guard let seconds = Double(text), (0...253_402_300_799).contains(seconds) else {
            throw .unusableClaim("'\(name)' is not a number of seconds since 1970")
        }
        return Int64(seconds * 1000)
    }

    private static func string(_ value: JSONValue?, _ name: String) throws(Refusal) -> String? {
        guard let value else { return nil }
        guard let text = value.string else { throw .unusableClaim("\(name) is not a string") }
        return text
    }

    private static func strings(_ value: JSONValue, _ name: String) throws(Refusal) -> [String] {
        guard let elements = value.elements else {
            throw .unusableClaim("\(name) is not an array of strings")
        }
        var strings: [String] = []
        for element in elements {
            guard let text = element.string else {
                throw .unusableClaim("\(name) has an element that is not a string")
            }
            strings.append(text)
        }
        return strings
    }

    private static func object(
        _ value: JSONValue?,
        _ name: String
    ) throws(Refusal) -> [String: JSONValue]? {
        guard let value else { return nil }
        guard let members = value.members else { throw .unusableClaim("\(name) is not an object") }
        // The names are distinct.
        return Dictionary(uniqueKeysWithValues: members.map { ($0.name, $0.value) })
    }

    /// An array of patterns, or a string with patterns separated by blanks or commas.
    private static func patterns(
        _ value: JSONValue?,
        _ name: String
    ) throws(Refusal) -> [ChannelPattern] {
        guard let value else { return [] }
        let texts: [String]
        if let text = value.string {
            texts = text.split { $0 == " " || $0 == "," || $0 == "\t" }.map(String.init)
        } else {
            texts = try strings(value, name)
        }
        var patterns: [ChannelPattern] = []
        for text in texts {
            guard let pattern = ChannelPattern(text) else {
                throw .unusableClaim("\(name) has an element that is not a pattern of channels")
            }
            patterns.append(pattern)
        }
        return patterns
    }

    private static func selected(
        _ value: JSONValue?,
        _ name: String,
        _ foreign: inout [String]
    ) throws(Refusal) -> [ChannelPattern] {
        guard let value else { return [] }
        var patterns: [ChannelPattern] = []
        for selector in try strings(value, name) {
            if let pattern = MercureSelector.pattern(selector) {
                patterns.append(pattern)
            } else {
                foreign.append(selector)
            }
        }
        return patterns
    }
}

/// A token's header and claims, none of them verified.
package struct TokenContents: Sendable {
    package let algorithm: String
    package let keyName: String?
    package let claims: Claims
}

/// Topic selectors of the Mercure protocol, as far as they select channels: `*` (every topic), the name of a channel, and
/// URI templates in which an expression such as `{id}` is a whole segment (RFC 6570 §3.2.2: it stands for no `/`).
///
/// Not supported, so that they grant nothing: URLs (`https://…` has `:` and `//`, which no channel has), other
/// expressions (`{+path}`, `{/path*}`, `{?query}`), and expressions within a segment (`book-{id}`).
enum MercureSelector {
    static func pattern(_ selector: String) -> ChannelPattern? {
        if selector == "*" { return .any }
        var segments: [Substring] = []
        for segment in selector.split(separator: "/", omittingEmptySubsequences: false) {
            // In a selector, a star has a meaning only by itself.
            if segment.contains("*") { return nil }
            segments.append(isExpression(segment) ? "*" : segment)
        }
        return ChannelPattern(segments.joined(separator: "/"))
    }

    private static func isExpression(_ segment: Substring) -> Bool {
        guard segment.count > 2, segment.first == "{", segment.last == "}" else { return false }
        return segment.dropFirst().dropLast().utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}
