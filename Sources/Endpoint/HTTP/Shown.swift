package import Channels
internal import Configuration
internal import Identity
package import Liveness

/// What a request shows to be let in: a signed link, or else a token.
struct Shown {
    var visa: Visa?
    /// The browser shows it by itself, whatever page asks.
    var isAmbient = false
    /// A token that is no good: counts where nothing else lets the request in. A page can do little about its cookie, and
    /// `Authorization` may be meant for the web server.
    var refusal: Refusal?

    init(visa: Visa? = nil, isAmbient: Bool = false) {
        self.visa = visa
        self.isAmbient = isAmbient
    }

    /// Of a token that is no good.
    init(_ refusal: Refusal, _ source: TokenSource) throws(Problem) {
        if refusal.isFinal(source) { throw Problem(refusal) }
        isAmbient = source != .sent
        self.refusal = refusal
    }

    /// The name of the user that shows it.
    ///
    /// - Parameter toOthers: a page of another origin asks, which may not act in the name of a visitor.
    func named(toOthers: Bool) throws(Problem) -> String? {
        guard let name = visa?.name, !(toOthers && isAmbient) else { return nil }
        guard name.utf8.count <= Member.nameByteLimit, name.isShownName else {
            throw .badRequest(
                "invalid_user",
                "The name in the token ('sub') or link ('user') must be at most \(Member.nameByteLimit) bytes of text "
                    + "without control characters, and not blank."
            )
        }
        return name
    }

    /// The refusal of a channel that keys open; nil if none does and nothing was shown.
    func refusal(
        of action: ChannelAction,
        _ channel: ChannelName,
        _ rules: [AllowRule]
    ) -> Problem? {
        let keys = rules.keys(opening: channel, for: action)
        if let visa {
            let reason =
                keys.contains(visa.keyName)
                ? "gives no right to \(action.key) it"
                : "was signed with a key that does not open it"
            var problem = Problem.forbidden(
                action,
                "The channel '\(channel)' is not open to this request: its token or link \(reason)."
            )
            problem.challenge = "Bearer realm=\"holdfast\", error=\"insufficient_scope\""
            return problem
        }
        guard !keys.isEmpty else { return nil }
        if let refusal { return Problem(refusal) }
        var problem = Problem(
            .unauthorized,
            "credentials_required",
            "The channel '\(channel)' needs a signed link or a token that gives the right to \(action.key) it."
        )
        // RFC 6750 §3.1: without an error, since nothing was shown.
        problem.challenge = "Bearer realm=\"holdfast\""
        return problem
    }
}

extension [AllowRule] {
    /// The keys that open a channel.
    func keys(opening channel: ChannelName, for action: ChannelAction) -> [String] {
        if case .local(_, let keys) = who(may: action, channel) { keys } else { [] }
    }
}

extension Problem {
    init(_ refusal: Refusal) {
        self.init(.unauthorized, refusal.code, refusal.sentence)
        challenge = "Bearer realm=\"holdfast\", error=\"invalid_token\""
    }
}

extension HTTPInterface {
    /// What the request shows, but for links, which are about channels.
    func shown(by request: borrowing CGIRequest) throws(Problem) -> Shown {
        switch request.token {
        case .none: return Shown()
        case .good(let visa, let source):
            // It was judged when the request came, which may have queued since.
            if let refusal = ring.refusal(of: visa, at: request.clock.wallMilliseconds) {
                return try Shown(refusal, source)
            }
            return Shown(visa: visa, isAmbient: source != .sent)
        case .bad(let refusal, let source): return try Shown(refusal, source)
        }
    }

    /// What the request shows. A signed link for these channels takes precedence, because it is about nothing else.
    func shown(
        by request: borrowing CGIRequest,
        _ query: Query,
        _ channels: [ChannelName]
    ) throws(Problem) -> Shown {
        guard !ring.isEmpty else { return Shown() }
        guard let signature = query.signature else { return try shown(by: request) }
        let link = SignedLink(
            channels: channels,
            expires: query.expires ?? "",
            rights: query.rights,
            user: query.user
        )
        do throws(Refusal) {
            let visa = try ring.visa(
                for: link,
                keyName: query.key,
                signature: signature,
                now: request.clock.wallMilliseconds
            )
            // Once for a request that is judged before its body and after it.
            if !request.awaitsBody { links.verified() }
            return Shown(visa: visa)
        } catch {
            links.refused(error)
            throw Problem(error)
        }
    }

    /// Whether a right that a held request rests on stands under these settings.
    package func upholds(_ right: Right, on channels: [ChannelName]) -> Bool {
        guard let key = ring.name(of: KeyFingerprint(value: right.key)) else { return false }
        return channels.allSatisfy { channel in
            isOpenToEveryone(channel)
                || settings.allow.keys(opening: channel, for: .read).contains(key)
        }
    }
}

extension Subscription {
    /// The answer to a held request whose right has ended; nil if its headers were sent long ago.
    package func expired() -> Answer? {
        startsEarly ? nil : shape.answer(Problem(.expired))
    }
}
