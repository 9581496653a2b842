internal import Channels
package import Configuration
package import Identity
internal import Text

/// The HTTP interface: what a request asks for, as far as request and settings determine it. Pure.
///
/// Made once from the settings, and again when they are reloaded; a class, so that no request copies the settings. The path
/// of a request: `CGIRequest` → `intent(of:)` → either an `Answer` at once, or a `Poll`, `Publication`, … that makes the
/// answer when the outcome is known.
package final class HTTPInterface: Sendable {
    let settings: Settings
    let crossOrigin: CrossOrigin
    private let base: [UInt8]
    private let endpoints: [BoundEndpoint]
    /// Empty unless the ini file has [key] sections.
    package let ring: KeyRing
    package let links: LinkTally

    /// A fixed endpoint, ready for comparison.
    struct BoundEndpoint: Sendable {
        let path: [UInt8]
        let settings: FixedEndpoint
        let cookieName: String
    }

    /// - Parameter links: that of the interface whose place this one takes.
    package init(settings: Settings, links: LinkTally = LinkTally()) {
        self.settings = settings
        self.links = links
        crossOrigin = CrossOrigin(settings.cors)
        ring = KeyRing(settings.keys)
        base = Self.normalized(settings.fastcgi.base)
        endpoints = settings.endpoints.map { endpoint in
            let hash = FNV1a<UInt64>.mixed(endpoint.path)
            return BoundEndpoint(
                path: Array(endpoint.path.utf8),
                settings: endpoint,
                cookieName: "holdfast_" + String(hash >> 32, radix: 16)
            )
        }
    }

    /// - Parameter random: determines how much earlier than asked a hold ends.
    package func intent(of request: borrowing CGIRequest, random: UInt32) -> Intent {
        let shape = Shape(
            origin: crossOrigin.decision(on: request.origin),
            headOnly: request.method == "HEAD"
        )
        do throws(Problem) {
            return try route(request, shape, random)
        } catch {
            return .answer(shape.answer(error))
        }
    }

    /// The handling of a body that has not arrived yet. A body that is not needed is not stored, and a request whose
    /// variables are enough to refuse it is answered before it has cost anything.
    package func verdict(onHead request: borrowing CGIRequest) -> HeadVerdict {
        switch intent(of: request, random: 0) {
        case .awaitBody: .keep
        case .answer(let answer) where answer.status >= 400: .refuse(answer)
        default: .drop
        }
    }

    package enum HeadVerdict: Sendable {
        case keep
        case drop
        case refuse(Answer)
    }

    /// Whether its Content-Length alone exceeds what any body may have.
    func announcesTooMuch(_ request: borrowing CGIRequest) -> Bool {
        (request.contentLength?.wholeNumber ?? 0)
            > max(settings.limits.messageBytes, settings.limits.batchBytes)
    }

    /// The answer to an unfinished request whose memory others needed.
    package func tooSlow() -> Answer {
        Shape(origin: .silent, headOnly: false).answer(.tooSlow)
    }

    /// The answer to a request that was refused unread: its variables are too many or too long.
    package func headersTooLarge() -> Answer {
        Shape(origin: .silent, headOnly: false).answer(.headersTooLarge)
    }

    // MARK: Routing

    private func route(
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32
    ) throws(Problem) -> Intent {
        let path = try Self.path(of: request)
        if let endpoint = endpoints.first(where: { $0.path == path }) {
            return try fixed(endpoint, request, shape, random)
        }
        var mounted = base
        if let said = request.base { mounted = Self.normalized(said) }
        guard path.starts(with: mounted) else {
            // `/push?channel=…` is equivalent to `/push/?channel=…`.
            guard path.count == mounted.count - 1, mounted.starts(with: path) else {
                throw .notBelowBase
            }
            return try channels([], request, shape, random, base: mounted)
        }
        let rest = path[mounted.count...]
        if rest.isEmpty, try isPageWanted(request) {
            return .page(PageRequest(name: "/", request, shape))
        }
        if rest.first == UInt8(ascii: "-"),
            rest.count == 1 || rest[rest.startIndex + 1] == UInt8(ascii: "/")
        {
            return try service(
                String(decoding: rest.dropFirst(2), as: UTF8.self),
                request,
                shape,
                random
            )
        }
        return try channels(rest, request, shape, random, base: mounted)
    }

    /// Whether a browser's address line asks, without naming a channel.
    private func isPageWanted(_ request: borrowing CGIRequest) throws(Problem) -> Bool {
        let isReading = request.method == nil || request.method == "GET" || request.method == "HEAD"
        guard isReading, asksForPage(request.accept) else { return false }
        return try Self.query(of: request).channels.isEmpty
    }

    private func fixed(
        _ endpoint: BoundEndpoint,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32
    ) throws(Problem) -> Intent {
        switch (endpoint.settings.action, request.method ?? "GET") {
        case (.publish, "OPTIONS"): return options("POST, OPTIONS", request, shape)
        case (.publish, "POST"):
            return try publish(
                endpoint.settings.channels,
                ring.isEmpty ? Query() : Self.query(of: request),
                request,
                shape,
                base: mount(request)
            )
        case (.publish, _): throw .methodNotAllowed("POST, OPTIONS")
        case (_, "OPTIONS"): return options("GET, HEAD, OPTIONS", request, shape)
        case (.held, "GET"), (.held, "HEAD"): return .held(shape)
        case (.subscribe, "GET"), (.subscribe, "HEAD"):
            return try subscribe(
                endpoint.settings.channels,
                Self.query(of: request),
                endpoint,
                request,
                shape,
                random
            )
        case (_, _): throw .methodNotAllowed("GET, HEAD, OPTIONS")
        }
    }

    private func mount(_ request: borrowing CGIRequest) -> [UInt8] {
        guard let said = request.base else { return base }
        return Self.normalized(said)
    }

    private func channels(
        _ list: ArraySlice<UInt8>,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32,
        base: [UInt8]
    ) throws(Problem) -> Intent {
        switch request.method ?? "GET" {
        case "GET", "HEAD":
            // A query is large: the one that has been read is lent, not copied. What is the client's own is not in it.
            guard let fields = request.fields else {
                return try read(list, Self.query(of: request), request, shape, random)
            }
            if fields.query.isMalformed || request.own?.isMalformed == true {
                throw .malformedPath
            }
            return try read(list, fields.query, request, shape, random)
        case "POST":
            let query = try Self.query(of: request)
            if let operation = query.operation {
                guard operation == "read" else {
                    throw .badRequest("unknown_operation", "The parameter 'op' allows 'read' only.")
                }
                return try readByBody(list, query, request, shape, random)
            }
            return try publish(names(list, query.channels), query, request, shape, base: base)
        case "DELETE":
            let query = try Self.query(of: request)
            return try drop(names(list, query.channels), query, request, shape)
        case "QUERY":
            return try readByBody(list, Self.query(of: request), request, shape, random)
        case "OPTIONS": return options(Self.channelMethods, request, shape, acceptsQuery: true)
        default: throw .methodNotAllowed(Self.channelMethods)
        }
    }

    private static let channelMethods: StaticString = "GET, HEAD, QUERY, POST, DELETE, OPTIONS"

    private func read(
        _ list: ArraySlice<UInt8>,
        _ query: Query,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32
    ) throws(Problem) -> Intent {
        try subscribe(names(list, query.channels), query, nil, request, shape, random)
    }

    /// `QUERY` (RFC 10008), and `POST …?op=read` for clients and servers that do not know it: a poll with its parameters in
    /// the body, for lists of channels too long for a URL. It changes nothing, so a page of another origin may send it
    /// just as a GET.
    private func readByBody(
        _ list: ArraySlice<UInt8>,
        _ query: Query,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32
    ) throws(Problem) -> Intent {
        guard request.sentContentType.flatMap({ MediaType($0) })?.essence == MediaType.form else {
            var problem = Problem(
                .unsupportedMediaType,
                "unsupported_media_type",
                "Send the parameters of the read as application/x-www-form-urlencoded."
            )
            problem.acceptQuery = "application/x-www-form-urlencoded"
            throw problem
        }
        try PublishedContent.requireNoEncoding(request.contentEncoding)
        if request.bodyDropped || announcesTooMuch(request) {
            throw .batchTooLarge(settings.limits)
        }
        if request.awaitsBody { return .awaitBody }
        if request.isCutOff { throw .incompleteBody }
        var query = query
        let body = request.body
        try query.take(body: body.span)
        return try subscribe(names(list, query.channels), query, nil, request, shape, random)
    }

    /// OPTIONS, and a browser's preflight. Answered without authentication, because preflights carry none.
    func options(
        _ methods: StaticString,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        acceptsQuery: Bool = false
    ) -> Intent {
        var document = CGIDocument(.noContent, shape)
        document.line("Cache-Control: no-store\r\n")
        document.field("Allow: ", methods)
        if acceptsQuery { document.line("Accept-Query: application/x-www-form-urlencoded\r\n") }
        if shape.origin != .silent, request.accessControlRequestMethod != nil {
            document.field("Access-Control-Allow-Methods: ", methods)
            document.line(
                """
                Access-Control-Allow-Headers: Authorization, Content-Type, Prefer, If-None-Match, \
                Last-Event-ID, Idempotency-Key, TTL, Topic, Holdfast-Type, X-Requested-With\r\n
                """
            )
            document.field("Access-Control-Max-Age: ", decimal: crossOrigin.maxAgeSeconds)
        }
        return .answer(document.answerWithoutBody())
    }

    // MARK: Channels

    /// The channels of the path, separated by commas, and those of `?channel=`; in order, without duplicates.
    private func names(
        _ list: ArraySlice<UInt8>,
        _ exact: [String]
    ) throws(Problem) -> [ChannelName] {
        if exact.isEmpty, !list.isEmpty, !list.contains(UInt8(ascii: ",")) {
            return [try ChannelName(requested: String(decoding: list, as: UTF8.self))]
        }
        let limit = settings.limits.channelsPerRequest
        var texts: [String] = []
        if !list.isEmpty {
            for part in list.split(
                separator: UInt8(ascii: ","),
                maxSplits: limit,
                omittingEmptySubsequences: false
            ) {
                texts.append(String(decoding: part, as: UTF8.self))
            }
        }
        texts.append(contentsOf: exact)
        guard texts.count <= limit else {
            throw .badRequest("too_many_channels", "A request may name at most \(limit) channels.")
        }
        guard !texts.isEmpty else {
            throw .badRequest(
                "no_channel",
                "Name a channel, as in …/news, or several, as in …/news,sport."
            )
        }
        return try [ChannelName](requested: texts)
    }
}
