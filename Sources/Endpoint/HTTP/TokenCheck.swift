package import Configuration
package import Identity
internal import Text

/// Judges the tokens with which requests come, before their intent is asked: the only part that sees them, and that
/// remembers. Does nothing without [key] sections.
package struct TokenCheck: Sendable {
    private var ring: KeyRing
    private var settings: [KeySettings]
    package private(set) var memory: TokenMemory

    package init(_ settings: Settings) {
        self.settings = settings.keys
        ring = KeyRing(settings.keys)
        memory = TokenMemory(byteLimit: settings.limits.tokenMemoryBytes)
    }

    package mutating func reload(_ new: Settings) {
        if memory.byteLimit != new.limits.tokenMemoryBytes {
            memory.byteLimit = new.limits.tokenMemoryBytes
        }
        guard settings != new.keys else { return }
        settings = new.keys
        ring = KeyRing(settings)
        memory.forgetAll()
    }

    /// The first good token counts, of those that were sent with intent before those in cookies; if none is good, the
    /// first of them. Does nothing without keys.
    package mutating func judge(_ request: inout CGIRequest) {
        guard !ring.isEmpty else { return }
        var found: Found?
        if let text = Self.bearer(request.authorization) { judge(text, .sent, &found, request) }
        if Self.isOpen(found), let text = Self.parameter(of: request) {
            judge(text, .sent, &found, request)
        }
        if Self.isOpen(found), request.cookie != nil {
            for (text, source) in cookies(of: request) where Self.isOpen(found) {
                judge(text, source, &found, request)
            }
        }
        guard let (judgement, source) = found else { return }
        // What was passed over has neither let the request in nor kept it out.
        memory.count(judgement)
        request.token =
            switch judgement.verdict {
            case .success(let visa): .good(visa, source)
            case .failure(let refusal): .bad(refusal, source)
            }
    }

    private typealias Found = (judgement: TokenMemory.Judgement, source: TokenSource)

    private mutating func judge(
        _ text: [UInt8],
        _ source: TokenSource,
        _ found: inout Found?,
        _ request: borrowing CGIRequest
    ) {
        let judgement = memory.judgement(
            onToken: text,
            from: source,
            in: ring,
            now: request.clock.wallMilliseconds
        )
        if found == nil || !Self.isOpen((judgement, source)) { found = (judgement, source) }
    }

    /// Whether another token could decide.
    private static func isOpen(_ found: Found?) -> Bool {
        guard let found else { return true }
        return switch found.judgement.verdict {
        case .success: false
        case .failure(let refusal): !refusal.isFinal(found.source)
        }
    }

    /// A browser may send several cookies of one name, and under the names of old keys as long as it keeps them. Each may
    /// cost signatures, so not all count.
    private func cookies(
        of request: borrowing CGIRequest
    ) -> some Sequence<(text: [UInt8], source: TokenSource)> {
        var found: [(text: [UInt8], source: TokenSource)] = []
        for name in ring.cookies {
            for text in cookieValues(name, in: request.cookie) where !text.isEmpty {
                found.append((Array(text.utf8), .cookie(name)))
            }
        }
        return found.prefix(Self.cookieLimit)
    }

    package static let cookieLimit = 8

    /// RFC 6750 §2.1; nil for other schemes, such as the web server's own.
    private static func bearer(_ field: String?) -> [UInt8]? {
        guard let field, String(field.prefix(7)).equalsIgnoringCase("bearer ") else { return nil }
        let token = field.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") }
        return token.isEmpty ? nil : Array(token)
    }

    /// RFC 6750 §2.3, and the name that Mercure uses.
    private static func parameter(of request: borrowing CGIRequest) -> [UInt8]? {
        // All tokens are in it, where it stands apart.
        if let own = request.own { return own.token }
        if let query = request.queryString { return parameter(in: query.utf8Span.span) }
        guard let uri = request.requestURI else { return nil }
        let source = uri.utf8Span.span
        guard let mark = source.first(UInt8(ascii: "?"), in: 0..<source.count) else { return nil }
        return parameter(in: source.extracting(mark + 1..<source.count))
    }

    private static func parameter(in query: Span<UInt8>) -> [UInt8]? {
        var token: [UInt8]?
        URLDecoding.forEachField(query) { _, name, value in
            guard !value.isEmpty, Query.isTokenName(query, name) else { return }
            token = URLDecoding.form(query, value)
        }
        return token
    }
}
