internal import Channels

/// A member of a channel, by the name that others see.
package struct Member: Hashable, Sendable {
    private let exactName: ExactText
    /// Whether the web server vouches for the name (HOLDFAST_USER, or REMOTE_USER where that is believed); otherwise
    /// the client chose it. The same name, verified and not, is two members.
    package let isVerified: Bool

    /// At most `nameByteLimit` bytes, without control characters.
    package var name: String { exactName.text }

    package static let nameByteLimit = 128

    package init(name: String, isVerified: Bool) {
        exactName = ExactText(name)
        self.isVerified = isVerified
    }

    /// Both properties as one text, the topic by which the log replaces a member's earlier event with its newer one.
    package var topic: String { (isVerified ? "user " : "name ") + name }

    /// Nil if it is not such a topic.
    package init?(topic: String) {
        // Compared by bytes: a name may begin with a scalar that combines with the blank before it.
        let isVerified = topic.utf8.starts(with: "user ".utf8)
        guard isVerified || topic.utf8.starts(with: "name ".utf8) else { return nil }
        self.init(
            name: String(topic[topic.utf8.index(topic.startIndex, offsetBy: 5)...]),
            isVerified: isVerified
        )
    }
}
