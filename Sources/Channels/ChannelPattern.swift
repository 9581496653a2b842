/// A pattern over channel names: `*` stands for one whole segment, `**` for any number of them, including none.
///
/// Everything else is compared literally: `news/*` matches `news/sport`, but neither `news` nor `news/a/b`; `news/**`
/// matches all three; `**` matches every channel.
package struct ChannelPattern: Hashable, Sendable, CustomStringConvertible {
    enum Segment: Hashable {
        case literal(String), one, any

        var freedom: Int {
            switch self {
            case .literal: 0
            case .one: 1
            case .any: 2
            }
        }
    }

    package let text: String
    let segments: [Segment]

    /// Nil if the text is empty, or has an empty segment, `*` inside a segment, or a byte that no name has.
    package init?(_ text: some StringProtocol) {
        let text = String(text)
        var segments: [Segment] = []
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            switch part {
            case "": return nil
            // `**/*` is stored as `*/**`, so that equivalent patterns have equal segments.
            case "*": segments.insert(.one, at: segments.count - (segments.last == .any ? 1 : 0))
            case "**": if segments.last != .any { segments.append(.any) }
            default:
                guard part.utf8.allSatisfy(ChannelName.isNameByte) else { return nil }
                segments.append(.literal(String(part)))
            }
        }
        guard !segments.isEmpty else { return nil }
        // Every name has a segment.
        if segments == [.one, .any] { segments = [.any] }
        self.text = text
        self.segments = segments
    }

    package var description: String { text }

    /// Whether it matches only one name, its own text.
    package var isName: Bool { !segments.contains { $0.freedom > 0 } }

    /// `**`: every channel.
    package static let any = ChannelPattern(text: "**", segments: [.any])

    private init(text: String, segments: [Segment]) {
        self.text = text
        self.segments = segments
    }

    /// Whether the pattern matches the channel.
    ///
    /// Only the last `**` is remembered for backtracking, so the cost is at most pattern × name segments.
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

    /// Whether both match the same channels, however they are written: `**/*` and `**`.
    package func isEquivalent(to other: ChannelPattern) -> Bool { segments == other.segments }

    /// Whether this pattern takes precedence over the other one where both match a channel.
    ///
    /// More segments that are names; among equals more `*`; then fewer `**`; then the first difference from the left: a
    /// name before `*` before `**`. So a pattern always precedes every other one that matches all of its channels and
    /// more: that one has no more names, no more segments, and no less freedom.
    package func isMoreSpecific(than other: ChannelPattern) -> Bool {
        let (ours, theirs) = (counts, other.counts)
        if ours.names != theirs.names { return ours.names > theirs.names }
        if ours.ones != theirs.ones { return ours.ones > theirs.ones }
        if ours.anys != theirs.anys { return ours.anys < theirs.anys }
        for (our, their) in zip(segments, other.segments) where our.freedom != their.freedom {
            return our.freedom < their.freedom
        }
        return false
    }

    private var counts: (names: Int, ones: Int, anys: Int) {
        segments.reduce(into: (0, 0, 0)) { counts, segment in
            switch segment {
            case .literal: counts.0 += 1
            case .one: counts.1 += 1
            case .any: counts.2 += 1
            }
        }
    }
}
