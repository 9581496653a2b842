/// The name of a channel: 1 to 128 ASCII bytes, segments of `A-Z a-z 0-9 . _ - ~` separated by `/`.
///
/// No segment is empty, `.` or `..`. The first is not `-` (the service's own paths) and does not begin with `~`: only
/// Holdfast itself writes to such channels, of which there is one kind so far, `~presence/NAME`, for joins and leaves
/// on NAME.
package struct ChannelName: Hashable, Sendable, CustomStringConvertible {
    package static let byteLimit = 128

    package static let presencePrefix = "~presence/"

    package let text: String

    /// Checks the rules above; the error says which one is broken.
    package init(_ text: some StringProtocol) throws(ChannelNameError) {
        try self.init(String(text))
    }

    /// The same; not generic, since every request names channels.
    package init(_ text: String) throws(ChannelNameError) {
        if let problem = Self.problem(in: text.utf8Span.span) { throw problem }
        self.text = text
    }

    package var description: String { text }

    /// The channel that reports the presence on this one; nil for one that is such a channel itself.
    package var presence: ChannelName? {
        isOwn ? nil : ChannelName(unchecked: Self.presencePrefix + text)
    }

    /// Whether only Holdfast publishes here.
    package var isOwn: Bool { text.utf8.first == UInt8(ascii: "~") }

    /// The channel whose rules apply to this one: itself, except for a channel that reports on another.
    package var subject: ChannelName {
        guard isOwn, text.hasPrefix(Self.presencePrefix) else { return self }
        return ChannelName(unchecked: String(text.dropFirst(Self.presencePrefix.count)))
    }

    /// The channel for which streams of the service's status wait. No request can name it, and nothing is kept of it.
    package static let status = ChannelName(unchecked: "~status")

    private init(unchecked text: String) { self.text = text }

    private static func problem(in bytes: Span<UInt8>) -> ChannelNameError? {
        let prefix = presencePrefix.utf8.count
        if bytes.count > prefix, bytes[0] == UInt8(ascii: "~"),
            presencePrefix.utf8.enumerated().allSatisfy({ bytes[$0] == $1 })
        {
            return problem(ofPlain: bytes.extracting(prefix..<bytes.count))
        }
        return problem(ofPlain: bytes)
    }

    /// A single pass over the bytes, because every request names channels.
    private static func problem(ofPlain bytes: Span<UInt8>) -> ChannelNameError? {
        if bytes.isEmpty { return .empty }
        if bytes.count > byteLimit { return .tooLong }
        for at in bytes.indices where !isNameByte(bytes[at]) && bytes[at] != UInt8(ascii: "/") {
            return .forbiddenCharacter
        }
        let dot = UInt8(ascii: ".")
        var start = 0
        for at in 0...bytes.count where at == bytes.count || bytes[at] == UInt8(ascii: "/") {
            switch at - start {
            case 0: return .emptySegment
            case 1 where bytes[start] == dot: return .dotSegment
            case 2 where bytes[start] == dot && bytes[start + 1] == dot: return .dotSegment
            case 1 where start == 0 && bytes[0] == UInt8(ascii: "-"): return .reserved
            default: start = at + 1
            }
        }
        return bytes[0] == UInt8(ascii: "~") ? .reserved : nil
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "~"):
            true
        default:
            false
        }
    }
}

/// Why a text is not a channel name; `description` is a sentence for its author.
package enum ChannelNameError: Error, Equatable, CustomStringConvertible {
    case empty, tooLong, forbiddenCharacter, emptySegment, dotSegment, reserved

    package var description: String {
        switch self {
        case .empty: "a channel name must not be empty"
        case .tooLong: "a channel name has at most \(ChannelName.byteLimit) characters"
        case .forbiddenCharacter:
            "a channel name is made of ASCII letters, digits, '.', '_', '-', '~' and '/'"
        case .emptySegment: "a channel name must not begin or end with '/' or contain '//'"
        case .dotSegment: "a channel name must not contain the segments '.' or '..'"
        case .reserved: "channel names that begin with '-/' or '~' are reserved"
        }
    }
}
