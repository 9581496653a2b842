internal import Configuration

/// The action that an `[allow]` rule is about.
enum ChannelAction: Sendable {
    case read, publish

    /// The key of `[allow]`.
    var key: String { self == .read ? "read" : "publish" }
    /// The web server's parameter for it.
    var parameter: String { self == .read ? "HOLDFAST_READ" : "HOLDFAST_WRITE" }
}

extension AllowRule {
    func who(may action: ChannelAction) -> Who? { action == .read ? read : publish }
}
