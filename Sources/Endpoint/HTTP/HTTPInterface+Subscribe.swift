internal import Channels
internal import Configuration
internal import Liveness
internal import Text

/// GET on channels, and on a fixed endpoint that subscribes.
extension HTTPInterface {
    func subscribe(
        _ channels: [ChannelName],
        _ query: Query,
        _ endpoint: BoundEndpoint?,
        _ request: borrowing CGIRequest,
        _ shape: Shape,
        _ random: UInt32
    ) throws(Problem) -> Intent {
        let fixed = endpoint?.settings
        if let wish = try StreamWish(
            query.stream,
            fixed?.format == .bare ? .json : request.acceptance
        ) {
            guard fixed?.cursor != .cookie else {
                throw Problem(
                    .notAcceptable,
                    "no_stream_here",
                    "This endpoint keeps the cursor in a cookie, which a stream cannot change; poll it."
                )
            }
            return try stream(wish, channels, query, request, shape)
        }
        let form = try Self.form(query.format) ?? (fixed?.format == .bare ? .bare : .json)
        let limit = try messageLimit(query.limit)
        let onGap = try Self.onGap(query.onGap)
        let shown = try shown(by: request, query, channels)
        var origin = try origin(request.own ?? query.own, channels, request, showing: shown)
        let wait = try waitSeconds(query.wait, request.preferredWait, fixed)
        let start = try start(query, endpoint, request, waits: wait.seconds > 0)
        let basis = try readers(of: channels, shown, request)
        origin.right = basis.right(at: request.clock)

        var cookie: Subscription.CursorCookie?
        if let endpoint, endpoint.settings.cursor == .cookie {
            cookie = Self.cookie(endpoint, request)
        }
        let onTimeout = fixed?.onTimeout ?? .answer
        let waitSeconds = shape.headOnly ? 0 : wait.seconds
        let subscription = Subscription(
            channels: channels.count > 1 ? channels.sorted { $0.text < $1.text } : channels,
            form: form,
            messageLimit: form == .bare ? 1 : limit,
            onGap: onGap,
            onTimeout: onTimeout,
            shape: shape,
            link: query.isInBody || query.link.count > Subscription.linkLimitBytes
                ? nil : query.link,
            preferredWaitSeconds: wait.isPreference ? wait.seconds : nil,
            cookie: cookie
        )
        return .subscribe(
            Poll(
                subscription: subscription,
                start: start,
                waitSeconds: waitSeconds,
                waitMilliseconds: holdMilliseconds(waitSeconds, basis, random),
                ifNoneMatch: request.ifNoneMatch,
                origin: origin,
                isRevalidating: wait.seconds == 0 && cookie == nil && start.isHistory
                    && !query.isInBody,
                cacheSeconds: wait.seconds == 0 && cookie == nil && start.isCursor
                    && !query.isInBody && channels.allSatisfy(isOpenToEveryone)
                    ? settings.hold.cacheHistorySeconds : 0
            )
        )
    }

    // MARK: Form

    static func form(_ format: String?) throws(Problem) -> Subscription.Form? {
        switch format {
        case nil: return nil
        case "json": return .json
        case "bare": return .bare
        default:
            throw .badRequest("invalid_format", "The parameter 'format' allows 'json' and 'bare'.")
        }
    }

    // MARK: Origin

    func origin(
        _ own: OwnParameters,
        _ channels: [ChannelName],
        _ request: borrowing CGIRequest,
        showing shown: Shown
    ) throws(Problem) -> RequestOrigin {
        var origin = RequestOrigin()
        origin.subscriber = try own.subscriber?.value()
        origin.address = request.remoteAddress.map { FNV1a<UInt64>.mixed($0) }
        origin.frontEnd = FrontEnd(
            software: request.serverSoftware ?? "",
            isForwarded: request.isForwarded
        )
        origin.wish = ProbePolicy.Wish(
            probe: request.probe.map(Self.isYes),
            headers: request.earlyHeaders.map(Self.isYes)
        )
        if channels.contains(where: { settings.presence(on: $0) != nil }) {
            origin.member = try member(own.name, request, shown)
        }
        return origin
    }

    /// The user takes precedence, but not if a page of another site made the visitor's browser ask: nobody is made
    /// present without wanting it.
    private func member(
        _ name: String?,
        _ request: borrowing CGIRequest,
        _ shown: Shown
    ) throws(Problem) -> Member? {
        let isFromElsewhere = crossOrigin.isFromElsewhere(request)
        if !isFromElsewhere, let user = try user(request) {
            return Member(name: user, isVerified: true)
        }
        if let user = try shown.named(toOthers: isFromElsewhere) {
            return Member(name: user, isVerified: true)
        }
        guard let name else { return nil }
        guard name.utf8.count <= Member.nameByteLimit, name.isShownName else {
            throw .badRequest(
                "invalid_name",
                "The parameter 'name' must be at most \(Member.nameByteLimit) bytes of text without control characters, and not blank."
            )
        }
        return Member(name: name, isVerified: false)
    }

    /// Whether a parameter of the web server switches something on.
    private static func isYes(_ said: String) -> Bool {
        !["0", "off", "no", "false"].contains { said.equalsIgnoringCase($0) }
    }

    // MARK: Parameters

    private func messageLimit(_ limit: String?) throws(Problem) -> Int {
        let most = settings.limits.answerMessages
        guard let limit else { return most }
        guard let number = limit.wholeNumber, number > 0 else {
            throw .badRequest(
                "invalid_limit",
                "The parameter 'limit' must be a whole number from 1 to \(most)."
            )
        }
        return min(number, most)
    }

    private static func onGap(_ onGap: String?) throws(Problem) -> Subscription.OnGap {
        switch onGap {
        case nil, "report": return .report
        case "fail": return .fail
        default:
            throw .badRequest(
                "invalid_on_gap",
                "The parameter 'on_gap' allows 'report' and 'fail'."
            )
        }
    }

    /// The parameter, or else the preference, or else the endpoint's own wait; never above what the ini file allows.
    private func waitSeconds(
        _ parameter: String?,
        _ preferred: Int?,
        _ fixed: FixedEndpoint?
    ) throws(Problem) -> (seconds: Int, isPreference: Bool) {
        let most = max(settings.hold.maxWaitSeconds, fixed?.waitSeconds ?? 0)
        if let parameter {
            guard let seconds = parameter.wholeNumber else {
                throw .badRequest(
                    "invalid_wait",
                    "The parameter 'wait' must be a whole number of seconds; the longest wait is \(most) s."
                )
            }
            return (min(seconds, most), false)
        }
        if let seconds = preferred { return (min(seconds, most), true) }
        return (fixed?.waitSeconds ?? 0, false)
    }

    /// How long to hold a poll that asks for so many seconds; 0: not at all.
    func holdMilliseconds(
        _ seconds: Int,
        _ basis: ChannelRights.Basis,
        _ random: UInt32
    ) -> Int {
        seconds > 0 ? holdMilliseconds(bounded(seconds, basis), random) : 0
    }

    /// The length of a hold, shortened by a random part of up to `jitterPercent`, so that clients that started together
    /// do not come back together.
    package func holdMilliseconds(_ seconds: Int, _ random: UInt32) -> Int {
        let most = seconds * 1000
        let jitter = most * settings.hold.jitterPercent / 100
        return max(1, most - Int((UInt64(jitter) * UInt64(random)) >> 32))
    }

    // MARK: Start

    private func start(
        _ query: Query,
        _ endpoint: BoundEndpoint?,
        _ request: borrowing CGIRequest,
        waits: Bool
    ) throws(Problem) -> PollStart {
        if let start = try PollStart(query, waits: waits) { return start }
        guard let endpoint, endpoint.settings.cursor == .cookie else {
            return waits ? .now : .history(.newest)
        }
        return Self.cursor(endpoint, request).map { .cursor($0) } ?? .now
    }

    /// The cursor in the endpoint's cookie; nil without one. An old page cannot repair a broken one, and was given another:
    /// what it missed since is reported as a gap, and the answer replaces the cookie. Another cookie of the name, such as
    /// one of a shorter path, may come first and is not replaced: the first one that is a cursor counts.
    private static func cursor(
        _ endpoint: BoundEndpoint,
        _ request: borrowing CGIRequest
    ) -> Cursor? {
        let values = cookieValues(endpoint.cookieName, in: request.cookie)
        for value in values { if let cursor = Cursor(value) { return cursor } }
        return values.contains { !$0.isEmpty } ? .ofNoLog : nil
    }

    private static func cookie(
        _ endpoint: BoundEndpoint,
        _ request: borrowing CGIRequest
    ) -> Subscription.CursorCookie {
        var path: [UInt8] = []
        path.append(urlBytes: endpoint.path.span, 0..<endpoint.path.count)
        let isUsable = cursor(endpoint, request).map { $0 != .ofNoLog } ?? false
        return Subscription.CursorCookie(
            name: endpoint.cookieName,
            path: path,
            secure: request.isSecure == true,
            // It matters only there, and elsewhere answers can be shared.
            isFirst: endpoint.settings.onTimeout == .close && !isUsable
        )
    }
}

extension String {
    /// Whether it is a name that others can see: not blank, and with every character visible as it is.
    package var isShownName: Bool {
        unicodeScalars.allSatisfy(\.isShown)
            && unicodeScalars.contains { !$0.properties.isWhitespace }
    }
}

extension Unicode.Scalar {
    /// Neither a control character nor one that changes the direction of the surrounding text.
    fileprivate var isShown: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: false
        default: !(0x202A...0x202E).contains(value) && !(0x2066...0x2069).contains(value)
        }
    }
}

extension PollStart {
    fileprivate var isHistory: Bool {
        if case .history = self { true } else { false }
    }

    fileprivate var isCursor: Bool {
        if case .cursor = self { true } else { false }
    }
}
