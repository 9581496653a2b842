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

    /// Why it matches no channel that can have rules of its own, as the end of a sentence; nil if it matches one.
    package var reasonForMatchingNothing: String? {
        func reason(_ segments: ArraySlice<Segment>, behind start: String) -> String? {
            let texts = segments.compactMap { segment in
                switch segment {
                case .literal(let text): text
                case .one: "x"
                case .any: nil
                }
            }
            do throws(ChannelNameError) {
                let name = try ChannelName(start + texts.joined(separator: "/"))
                return name.isOwn
                    ? "channels of presence have no rules of their own"
                    : nil
            } catch {
                return error.description
            }
        }
        guard segments != [.any] else { return nil }
        let shortest = reason(segments[...], behind: "")
        // Only the beginning of a name can be reserved.
        return segments[0] == .any && shortest != nil
            ? reason(segments[1...], behind: "x/").flatMap { _ in shortest } : shortest
    }

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
        let bytes = name.text.utf8Span.span
        // Of the pattern, and where the part of the name that is compared with it begins.
        var (at, start) = (0, 0)
        var resume: (segment: Int, start: Int)?
        while start < bytes.count {
            if at < segments.count {
                let end = Self.endOfPart(bytes, start)
                switch segments[at] {
                case .any:
                    // Nothing stands behind it that the rest would have to match.
                    if at + 1 == segments.count { return true }
                    resume = (at, start)
                    at += 1
                    continue
                case .one:
                    (at, start) = (at + 1, end + 1)
                    continue
                case .literal(let text) where Self.equal(text.utf8Span.span, bytes, start..<end):
                    (at, start) = (at + 1, end + 1)
                    continue
                case .literal:
                    break
                }
            }
            guard let back = resume else { return false }
            let next = Self.endOfPart(bytes, back.start) + 1
            resume = (back.segment, next)
            (at, start) = (back.segment + 1, next)
        }
        return segments[at...].allSatisfy { $0 == .any }
    }

    private static func endOfPart(_ bytes: Span<UInt8>, _ start: Int) -> Int {
        var end = start
        while end < bytes.count, bytes[end] != UInt8(ascii: "/") { end += 1 }
        return end
    }

    private static func equal(_ text: Span<UInt8>, _ bytes: Span<UInt8>, _ range: Range<Int>)
        -> Bool
    {
        guard text.count == range.count else { return false }
        for at in text.indices where text[at] != bytes[range.lowerBound + at] { return false }
        return true
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
