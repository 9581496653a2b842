/// The trim marks that a reader has been told of, for each channel, as far as they lie after what it has read.
///
/// A reader that reads in pieces meets a mark that lies after the next piece again with each of them, but is told of it
/// once. Each mark belongs to its channel: the mark of one channel, however far it reaches, says nothing about losses
/// of another.
package struct ToldMarks: Sendable {
    package private(set) var through: [ChannelName: Offset] = [:]

    package init() {}

    /// The marks that were reported, by channel.
    package init(through: [ChannelName: Offset]) { self.through = through }

    /// A piece without the messages before a channel's reported mark: if only the newest messages of a channel were
    /// asked for, a piece that follows another channel's messages includes older ones, too.
    package func withoutPassed(_ page: HistoryPage) -> HistoryPage {
        func isPassed(_ message: Message) -> Bool {
            through[message.channel].map { message.offset <= $0 } ?? false
        }
        guard !through.isEmpty, page.messages.contains(where: isPassed) else { return page }
        return HistoryPage(
            messages: page.messages.filter { !isPassed($0) },
            scanned: page.scanned,
            more: page.more,
            gap: page.gap,
            marks: page.marks,
            newest: page.newest
        )
    }

    /// Records the marks of a piece as reported.
    ///
    /// - Returns: the gap to report with this piece: the reason of the farthest new mark, or nil if no mark is new.
    package mutating func take(_ page: HistoryPage) -> GapReason? {
        var newest: TrimMark?
        for mark in page.marks where mark.through > through[mark.channel] ?? .start {
            if mark.through > newest?.through ?? .start { newest = mark }
            through[mark.channel] = mark.through
        }
        // No later piece meets these marks.
        if !through.isEmpty { through = through.filter { $0.value > page.scanned } }
        // If a page starts with what is there, what was there before is not a gap.
        return page.gap == nil ? nil : newest?.reason
    }
}
