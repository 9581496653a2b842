package import Channels
internal import Configuration

/// What an `[allow]` rule is about.
enum ChannelAction: Sendable {
    case read, publish

    /// The key of `[allow]`.
    var key: String { self == .read ? "read" : "publish" }
    /// The web server's word for it.
    var parameter: String { self == .read ? "HOLDFAST_READ" : "HOLDFAST_WRITE" }
}

extension [AllowRule] {
    /// The first rule that matches and says anything about the action decides; nobody where there is none.
    func who(may action: ChannelAction, _ channel: ChannelName) -> AllowRule.Who {
        let channel = channel.subject
        for rule in self {
            if let who = action == .read ? rule.read : rule.publish, rule.pattern.matches(channel) {
                return who
            }
        }
        return .nobody
    }
}

/// What one request may do with channels: what the ini file opens to everyone, and what the web server grants.
///
/// Closed by default. A rule says what holds without a word from the web server; the parameter can only add.
package struct ChannelRights: Sendable {
    private let rules: [AllowRule]
    private let action: ChannelAction
    /// Patterns separated by blanks or commas.
    private let granted: String?

    init(rules: [AllowRule], action: ChannelAction, granted: String?) {
        self.rules = rules
        self.action = action
        self.granted = granted
    }

    package func cover(_ channel: ChannelName) -> Bool {
        isOpenToEveryone(channel) || grants.contains { $0.matches(channel.subject) }
    }

    func check(_ channels: [ChannelName]) throws(Problem) {
        if action == .publish { try refuseOwn(channels) }
        if channels.allSatisfy(isOpenToEveryone) { return }
        let grants = grants
        for channel in channels where !isOpenToEveryone(channel) {
            if !grants.contains(where: { $0.matches(channel.subject) }) {
                throw refusal(channel)
            }
        }
    }

    private func isOpenToEveryone(_ channel: ChannelName) -> Bool {
        rules.who(may: action, channel) == .everyone
    }

    private var words: [Substring] {
        granted?.split { $0 == " " || $0 == "," || $0 == "\t" } ?? []
    }

    /// What can't be read as a pattern grants nothing.
    private var grants: [ChannelPattern] {
        words.compactMap { ChannelPattern($0) }
    }

    func refusal(_ channel: ChannelName) -> Problem {
        var problem = Problem.forbidden(
            action,
            "The channel '\(channel)' is not open to this request: it needs \(action.parameter) from the web "
                + "server, or '\(action.key) = everyone' in an [allow] section of the ini file."
        )
        if let bad = words.first(where: { ChannelPattern($0) == nil }) {
            let shown = String(
                bad.unicodeScalars.prefix(80).map {
                    $0.isASCII && $0.value > 0x20 && $0.value != 0x7F ? Character($0) : "?"
                }
            )
            problem.note =
                "\(action.parameter) holds '\(shown)', which is no channel pattern and grants nothing"
        }
        return problem
    }
}

extension HTTPInterface {
    /// Whether a channel may be read without a word from the web server.
    package func isOpenToEveryone(_ channel: ChannelName) -> Bool {
        settings.allow.who(may: .read, channel) == .everyone
    }

    /// How long a request may be answered for on what was known when it came. What the web server has said is not asked
    /// again meanwhile, so that it holds for a bounded time.
    func bounded(_ seconds: Int, _ channels: [ChannelName]) -> Int {
        channels.allSatisfy(isOpenToEveryone) ? seconds : min(seconds, settings.hold.grantedSeconds)
    }
}

/// Nobody publishes on the channels that Holdfast writes itself, whatever he may do elsewhere.
func refuseOwn(_ channels: [ChannelName]) throws(Problem) {
    guard let channel = channels.first(where: \.isOwn) else { return }
    throw Problem(
        .forbidden,
        "reserved_channel",
        "On the channel '\(channel)' Holdfast alone publishes; it may be read."
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
    /// Only a clear yes counts: a variable of the web server's that came out otherwise than meant grants nothing.
    var isOperator: Bool {
        guard let value = self.operator else { return false }
        return ["1", "on", "yes", "true"].contains { value.equalsIgnoringCase($0) }
    }

    /// Who publishes, as [quota] names it.
    var publisherName: String { remoteUser ?? publisher ?? "" }

    /// Whose keys and quota its messages use; nobody of this machine, who are `unix:` and `pipe:`.
    var publisherScope: String { "web:\(publisherName)" }
}
