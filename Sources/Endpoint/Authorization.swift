package import Channels
internal import Configuration
internal import Identity
internal import Liveness
internal import Text

extension [AllowRule] {
    /// The first rule that matches and covers the action; it decides.
    func deciding(_ action: ChannelAction, _ channel: ChannelName) -> AllowRule? {
        place(deciding: action, channel).map { self[$0] }
    }

    /// Where that is. No rule is copied to find it, because every request asks.
    private func place(deciding action: ChannelAction, _ channel: ChannelName) -> Int? {
        let channel = channel.subject
        return indices.first {
            self[$0].who(may: action) != nil && self[$0].pattern.matches(channel)
        }
    }

    /// Who may do it; nobody if no rule covers it.
    func who(may action: ChannelAction, _ channel: ChannelName) -> AllowRule.Who {
        place(deciding: action, channel).flatMap { self[$0].who(may: action) } ?? .nobody
    }

    /// Why a channel is closed, as a clause for the client.
    func reason(_ action: ChannelAction, _ channel: ChannelName) -> String {
        guard let rule = deciding(action, channel) else {
            return "no [allow] section with '\(action.key)' matches it"
        }
        return rule.who(may: action) == .nobody
            ? "[allow \(rule.pattern)] says \(action.key) = nobody"
            : "[allow \(rule.pattern)] opens it only to others"
    }
}

/// What one request may do with channels: what the ini file opens to everyone, what the web server grants, and what a
/// token or a signed link permits.
///
/// Closed by default. A rule opens a channel without a grant of the web server; the parameter can only add rights. A token
/// or a link counts where the rule names its key.
package struct ChannelRights: Sendable {
    private let rules: [AllowRule]
    private let action: ChannelAction
    /// Patterns separated by blanks or commas.
    private let granted: String?
    private let shown: Shown
    /// A page of another origin asks, for which grants of the web server do not count.
    private let isOfOtherOrigin: Bool
    /// The ini file, for the log.
    private let file: String?

    init(
        settings: Settings,
        action: ChannelAction,
        granted: String?,
        shown: Shown,
        isOfOtherOrigin: Bool = false
    ) {
        rules = settings.allow
        file = settings.file
        self.action = action
        self.granted = isOfOtherOrigin ? nil : granted
        self.shown = isOfOtherOrigin && shown.isAmbient ? Shown() : shown
        self.isOfOtherOrigin = isOfOtherOrigin
    }

    package func cover(_ channel: ChannelName) -> Bool {
        isOpenToEveryone(channel) || grants.contains { $0.matches(channel.subject) }
            || isOpenToVisa(channel)
    }

    /// - Returns: what the right rests on.
    func check(_ channels: [ChannelName]) throws(Problem) -> Basis {
        if action == .publish { try refuseOwn(channels) }
        var basis = Basis()
        if channels.allSatisfy(isOpenToEveryone) { return basis }
        let grants = grants
        for channel in channels where !isOpenToEveryone(channel) {
            if grants.contains(where: { $0.matches(channel.subject) }) {
                basis.hasGrant = true
            } else if isOpenToVisa(channel) {
                basis.visa = shown.visa
            } else {
                throw refusal(channel)
            }
        }
        return basis
    }

    /// What a right rests on, apart from what is open to everyone.
    struct Basis {
        var hasGrant = false
        var visa: Visa?

        func right(at clock: Clock) -> Right? {
            visa.map { Right(key: $0.key.value, endsAt: clock.monotonic(of: $0.expires)) }
        }
    }

    private func isOpenToVisa(_ channel: ChannelName) -> Bool {
        guard let visa = shown.visa,
            rules.keys(opening: channel, for: action).contains(visa.keyName)
        else { return false }
        let patterns = action == .read ? visa.read : visa.publish
        return patterns.contains { $0.matches(channel.subject) }
    }

    private func isOpenToEveryone(_ channel: ChannelName) -> Bool {
        rules.who(may: action, channel) == .everyone
    }

    private var words: [Substring] {
        granted?.split { $0 == " " || $0 == "," || $0 == "\t" } ?? []
    }

    /// A word that is not a pattern grants nothing.
    private var grants: [ChannelPattern] {
        words.compactMap { ChannelPattern($0) }
    }

    func refusal(_ channel: ChannelName) -> Problem {
        if let problem = shown.refusal(of: action, channel, rules) { return problem }
        let reason = rules.reason(action, channel)
        let needed = "'\(action.key) = everyone' in an [allow] section of the ini file"
        var problem = Problem.forbidden(
            action,
            isOfOtherOrigin
                ? "The channel '\(channel)' is not open to pages of other origins: \(reason). It needs \(needed), or "
                    + "the page's origin under [cors]."
                : "The channel '\(channel)' is not open to this request: \(reason). It needs \(action.parameter) "
                    + "from the web server, or \(needed)."
        )
        let line = rules.deciding(action, channel)?.line.map(String.init)
        let place = [file, line].compactMap { $0 }.joined(separator: ":")
        problem.decision = Remark(
            "\(action.key) by \(line ?? "no section")",
            "refused: \(action.key) of \(channel): \(reason)" + (place.isEmpty ? "" : " (\(place))")
        )
        if let bad = words.first(where: { ChannelPattern($0) == nil }) {
            let shown = String(
                bad.unicodeScalars.prefix(80).map {
                    $0.isASCII && $0.value > 0x20 && $0.value != 0x7F ? Character($0) : "?"
                }
            )
            problem.note = Remark(
                action.parameter,
                "\(action.parameter) contains '\(shown)', which is not a channel pattern and grants nothing"
            )
        }
        return problem
    }
}

extension HTTPInterface {
    /// Whether a channel may be read without a grant of the web server.
    package func isOpenToEveryone(_ channel: ChannelName) -> Bool {
        settings.allow.who(may: .read, channel) == .everyone
    }

    /// Limits how long a request may be answered by the rights that it had when it arrived. The web server is not asked
    /// again meanwhile, so its grant holds for a limited time.
    func bounded(_ seconds: Int, _ basis: ChannelRights.Basis) -> Int {
        basis.hasGrant ? min(seconds, settings.hold.grantedSeconds) : seconds
    }

    /// Refuses a request that may not read the channels.
    func readers(
        of channels: [ChannelName],
        _ shown: Shown,
        _ request: borrowing CGIRequest
    ) throws(Problem) -> ChannelRights.Basis {
        if channels.allSatisfy(isOpenToEveryone) { return ChannelRights.Basis() }
        return try reader(request, shown).check(channels)
    }

    /// What a request may read.
    func reader(_ request: borrowing CGIRequest, _ shown: Shown) -> ChannelRights {
        ChannelRights(
            settings: settings,
            action: .read,
            granted: request.read,
            shown: shown,
            isOfOtherOrigin: crossOrigin.opensToAnyone(request)
        )
    }
}

/// Refuses to publish on the channels that only Holdfast itself writes, whatever the publisher's other rights.
func refuseOwn(_ channels: [ChannelName]) throws(Problem) {
    guard let channel = channels.first(where: \.isOwn) else { return }
    throw Problem(
        .forbidden,
        "reserved_channel",
        "Only Holdfast publishes on the channel '\(channel)'; it may be read."
    )
}

extension Problem {
    static func forbidden(_ action: ChannelAction, _ detail: String) -> Problem {
        Problem(
            .forbidden,
            action == .read ? "read_forbidden" : "publish_forbidden",
            detail
        )
    }
}

extension CGIRequest {
    /// Only a clear yes counts: a parameter of the web server with an unintended value grants nothing.
    var isOperator: Bool {
        guard let value = self.operator else { return false }
        return ["1", "on", "yes", "true"].contains { value.equalsIgnoringCase($0) }
    }
}

extension HTTPInterface {
    /// The user that the web server vouches for: by a parameter that only a deliberate line sets, or by REMOTE_USER if
    /// the ini file believes it, because some servers set that to what the client claims. Nil if the web server names
    /// none.
    ///
    /// The name is accepted whole or not at all: truncation or repair could turn two users into one.
    func user(_ request: borrowing CGIRequest) throws(Problem) -> String? {
        if let user = request.user {
            return try Self.vouched(user, "HOLDFAST_USER", !request.malformed.contains(.user))
        }
        guard settings.fastcgi.remoteUser == .believed, let user = request.remoteUser else {
            return nil
        }
        return try Self.vouched(user, "REMOTE_USER", !request.malformed.contains(.remoteUser))
    }

    static func vouched(
        _ name: String,
        _ parameter: String,
        _ isUTF8: Bool
    ) throws(Problem) -> String {
        guard isUTF8, name.utf8.count <= Member.nameByteLimit,
            name.isShownName
        else {
            var problem = Problem.badRequest(
                "invalid_user",
                "The web server's parameter \(parameter) must be at most \(Member.nameByteLimit) bytes of UTF-8 text "
                    + "without control characters, and not blank."
            )
            problem.note = Remark(
                parameter,
                "a request was refused: its \(parameter) is blank, too long, or not plain UTF-8 text"
            )
            throw problem
        }
        return name
    }

    /// The publisher of a request. Refuses pages of other origins, unless they may do what everyone may.
    ///
    /// - Parameter verb: the action, for the refusal.
    func author(
        of request: borrowing CGIRequest,
        showing shown: Shown,
        to verb: StaticString
    ) throws(Problem) -> Author {
        let isOfOtherOrigin = try crossOrigin.standing(of: request, to: verb) == .anyone
        var user: String?
        if !isOfOtherOrigin { user = try self.user(request) }
        if user == nil { user = try shown.named(toOthers: isOfOtherOrigin) }
        var name = user ?? ""
        if user == nil, let publisher = request.publisher {
            let isUTF8 = !request.malformed.contains(.publisher)
            name = try Self.vouched(publisher, "HOLDFAST_PUBLISHER", isUTF8)
        }
        let space = user != nil ? "user" : isOfOtherOrigin ? "page" : "web"
        return Author(
            scope: "\(space):\(name)",
            quota: settings.quota(of: name),
            rights: ChannelRights(
                settings: settings,
                action: .publish,
                granted: request.write,
                shown: shown,
                isOfOtherOrigin: isOfOtherOrigin
            )
        )
    }
}

/// A publisher over HTTP.
struct Author {
    /// The owner of the idempotency keys and the quota that its messages use: a user, `user:…`; or all clients for
    /// which the web server sets the same HOLDFAST_PUBLISHER, `web:…`; or pages of other origins among these, `page:…`,
    /// which therefore can neither use up nor repeat what is the visitor's own. It never equals a publisher on this
    /// machine, `unix:…` or `pipe:…`.
    let scope: String
    let quota: QuotaLimits?
    let rights: ChannelRights
}
