/// The trim marks that a reader has been told of, for each channel, as far as they lie after what it has read.
///
/// A reader that reads in pieces meets a mark that lies after the next piece again with each of them, but is told of it
/// once. Each mark belongs to its channel: the mark of one channel, however far it reaches, says nothing about losses
/// of another.
package struct ToldMarks: Sendable {
    private var through: [ChannelName: Offset] = [:]

    package init() {}

    /// A piece without the messages before a channel's reported mark: if only the newest messages of a channel were
    /// asked for, a piece that follows another channel's messages includes older ones, too.
    package func withoutPassed(_ reading: HistoryReading) -> HistoryReading {
        func isPassed(_ message: Message) -> Bool {
            through[message.channel].map { message.offset <= $0 } ?? false
        }
        guard !through.isEmpty, reading.messages.contains(where: isPassed) else { return reading }
        return HistoryReading(
            messages: reading.messages.filter { !isPassed($0) },
            scanned: reading.scanned,
            more: reading.more,
            gap: reading.gap,
            marks: reading.marks,
            newest: reading.newest
        )
    }

    /// Records the marks of a piece as reported.
    ///
    /// - Returns: the gap to report with this piece: the reason of the farthest new mark, or nil if no mark is new.
    package mutating func take(_ reading: HistoryReading) -> GapReason? {
        var newest: TrimMark?
        for mark in reading.marks where mark.through > through[mark.channel] ?? .start {
            if mark.through > newest?.through ?? .start { newest = mark }
            through[mark.channel] = mark.through
        }
        // No later piece meets these marks.
        if !through.isEmpty { through = through.filter { $0.value > reading.scanned } }
        // If a reading starts with what is there, what was there before is not a gap.
        return reading.gap == nil ? nil : newest?.reason
    }
}
