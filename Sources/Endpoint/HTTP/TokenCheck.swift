package import Configuration
package import Identity
internal import Text

/// The time on two clocks.
package struct Clock: Equatable, Sendable {
    /// Milliseconds since 1970.
    package let wallMilliseconds: Int64
    package let monotonicMilliseconds: Int64

    package init(wallMilliseconds: Int64 = 0, monotonicMilliseconds: Int64 = 0) {
        self.wallMilliseconds = wallMilliseconds
        self.monotonicMilliseconds = monotonicMilliseconds
    }

    /// The monotonic time at which the wall clock shows this, unless it is set meanwhile.
    func monotonic(of wall: Int64) -> Int64 {
        monotonicMilliseconds + min(max(wall - wallMilliseconds, 0), 1 << 40)
    }

    /// The time when the monotonic clock shows this.
    package func at(monotonic: Int64) -> Clock {
        Clock(
            wallMilliseconds: wallMilliseconds + monotonic - monotonicMilliseconds,
            monotonicMilliseconds: monotonic
        )
    }
}

/// What was found of the token with which a request comes.
package enum TokenVerdict: Equatable, Sendable {
    /// There is none.
    case none
    case good(Visa, TokenSource)
    case bad(Refusal, TokenSource)
}

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

    /// Does nothing without keys.
    package mutating func judge(_ request: inout CGIRequest) {
        guard !ring.isEmpty, let (token, source) = token(of: request) else { return }
        do throws(Refusal) {
            let visa = try memory.visa(
                forToken: token,
                from: source,
                in: ring,
                now: request.clock.wallMilliseconds
            )
            request.token = .good(visa, source)
        } catch {
            request.token = .bad(error, source)
        }
    }

    /// The one that was sent with the most intent.
    private func token(
        of request: borrowing CGIRequest
    ) -> (text: [UInt8], source: TokenSource)? {
        if let text = Self.bearer(request.authorization) { return (text, .sent) }
        if let text = Self.parameter(of: request) { return (text, .sent) }
        for name in ring.cookies {
            guard let text = cookieValue(name, in: request.cookie), !text.isEmpty else { continue }
            return (Array(text.utf8), .cookie(name))
        }
        return nil
    }

    /// RFC 6750 §2.1; nil for other schemes, such as the web server's own.
    private static func bearer(_ field: String?) -> [UInt8]? {
        guard let field, String(field.prefix(7)).equalsIgnoringCase("bearer ") else { return nil }
        let token = field.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") }
        return token.isEmpty ? nil : Array(token)
    }

    /// RFC 6750 §2.3, and the name that Mercure uses.
    private static func parameter(of request: borrowing CGIRequest) -> [UInt8]? {
        if let query = request.queryString { return parameter(in: query.utf8Span.span) }
        guard let uri = request.requestURI else { return nil }
        let source = uri.utf8Span.span
        guard let mark = source.first(UInt8(ascii: "?"), in: 0..<source.count) else { return nil }
        return parameter(in: source.extracting(mark + 1..<source.count))
    }

    private static func parameter(in query: Span<UInt8>) -> [UInt8]? {
        var token: [UInt8]?
        URLDecoding.forEachField(query) { _, name, value in
            guard !value.isEmpty,
                query.equals("access_token", in: name) || query.equals("authorization", in: name)
            else { return }
            token = URLDecoding.form(query, value)
        }
        return token
    }
}
