package import Channels
internal import Configuration

/// What one request may do with channels: what the ini file opens to everyone, and what the web server grants.
///
/// Closed by default. A rule says what holds without a word from the web server; the parameter can only add.
package struct ChannelRights: Sendable {
    enum Action: Sendable {
        case read, publish

        var parameter: String { self == .read ? "HOLDFAST_READ" : "HOLDFAST_WRITE" }
    }

    private let rules: [AllowRule]
    private let action: Action
    /// Patterns separated by blanks or commas.
    private let granted: String?

    init(rules: [AllowRule], action: Action, granted: String?) {
        self.rules = rules
        self.action = action
        self.granted = granted
    }

    package func cover(_ channel: ChannelName) -> Bool {
        isOpenToEveryone(channel) || grants.contains { $0.matches(channel) }
    }

    func check(_ channels: [ChannelName]) throws(Problem) {
        if channels.allSatisfy(isOpenToEveryone) { return }
        let grants = grants
        for channel in channels where !isOpenToEveryone(channel) {
            if !grants.contains(where: { $0.matches(channel) }) { throw refusal(channel) }
        }
    }

    /// The first rule that matches and says anything about this action decides.
    private func isOpenToEveryone(_ channel: ChannelName) -> Bool {
        for rule in rules {
            guard let who = action == .read ? rule.read : rule.publish,
                rule.pattern.matches(channel)
            else { continue }
            return who == .everyone
        }
        return false
    }

    private var words: [Substring] {
        granted?.split { $0 == " " || $0 == "," || $0 == "\t" } ?? []
    }

    /// What can't be read as a pattern grants nothing.
    private var grants: [ChannelPattern] {
        words.compactMap { ChannelPattern($0) }
    }

    func refusal(_ channel: ChannelName) -> Problem {
        let key = action == .read ? "read" : "publish"
        var problem = Problem(
            .forbidden,
            action == .read ? "read_forbidden" : "publish_forbidden",
            "The channel '\(channel)' is not open to this request: it needs \(action.parameter) from the web "
                + "server, or '\(key) = everyone' in an [allow] section of the ini file."
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

extension CGIRequest {
    /// Only a clear yes counts: a variable of the web server's that came out otherwise than meant grants nothing.
    var isOperator: Bool {
        guard let value = self.operator else { return false }
        return ["1", "on", "yes", "true"].contains { value.equalsIgnoringCase($0) }
    }

    /// Who publishes, as far as idempotency is concerned.
    var publisherName: String { remoteUser ?? publisher ?? "" }
}
