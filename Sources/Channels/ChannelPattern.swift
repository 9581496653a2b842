/// A pattern over channel names: `*` stands for one whole segment, `**` for any number of them (also none).
///
/// Everything else is compared as it is: `news/*` matches `news/sport`, not `news` nor `news/a/b`;
/// `news/**` matches all three; `**` matches every channel.
package struct ChannelPattern: Hashable, Sendable, CustomStringConvertible {
    private enum Segment: Hashable {
        case literal(String), one, any
    }

    package let text: String
    private let segments: [Segment]

    /// Nil where the text is empty, has an empty segment, `*` inside a segment, or a byte no name has.
    package init?(_ text: some StringProtocol) {
        let text = String(text)
        var segments: [Segment] = []
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            switch part {
            case "": return nil
            case "*": segments.append(.one)
            case "**": if segments.last != .any { segments.append(.any) }
            default:
                guard part.utf8.allSatisfy(ChannelName.isNameByte) else { return nil }
                segments.append(.literal(String(part)))
            }
        }
        guard !segments.isEmpty else { return nil }
        self.text = text
        self.segments = segments
    }

    package var description: String { text }

    /// `**`: every channel.
    package static let any = ChannelPattern(text: "**", segments: [.any])

    private init(text: String, segments: [Segment]) {
        self.text = text
        self.segments = segments
    }

    /// Whether the pattern names the channel.
    ///
    /// Remembers only the last `**` to come back to, so the cost is at most pattern × name segments.
    package func matches(_ name: ChannelName) -> Bool {
        let parts = name.text.split(separator: "/")
        var (at, part) = (0, 0)
        var resume: (segment: Int, part: Int)?
        while part < parts.count {
            if at < segments.count {
                switch segments[at] {
                case .any:
                    resume = (at, part)
                    at += 1
                    continue
                case .one:
                    (at, part) = (at + 1, part + 1)
                    continue
                case .literal(let text) where text == parts[part]:
                    (at, part) = (at + 1, part + 1)
                    continue
                case .literal:
                    break
                }
            }
            guard let back = resume else { return false }
            resume = (back.segment, back.part + 1)
            (at, part) = (back.segment + 1, back.part + 1)
        }
        return segments[at...].allSatisfy { $0 == .any }
    }
}
