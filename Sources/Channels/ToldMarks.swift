/// Which trim marks a reader has been told of, channel by channel, as far as they lie beyond what he has read.
///
/// Whoever reads forwards in pieces meets a mark that lies beyond the next piece again with each of them, and is told of it
/// once. A mark belongs to its channel: that of one channel, however far it goes, says nothing of what another has lost.
package struct ToldMarks: Sendable {
    private var through: [ChannelName: Offset] = [:]

    package init() {}

    /// A piece without what lies before a channel's mark: of a channel whose newest few messages were asked for, a piece that
    /// follows another one's has older ones, too.
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

    /// Takes a piece's marks for told.
    ///
    /// - Returns: what is to be told with this piece: the reason of the farthest mark that is new; nil where none is.
    package mutating func take(_ reading: HistoryReading) -> GapReason? {
        var newest: TrimMark?
        for mark in reading.marks where mark.through > through[mark.channel] ?? .start {
            if mark.through > newest?.through ?? .start { newest = mark }
            through[mark.channel] = mark.through
        }
        // No later piece meets these.
        if !through.isEmpty { through = through.filter { $0.value > reading.scanned } }
        // Where a reading begins with what is there, what was there before is no gap.
        return reading.gap == nil ? nil : newest?.reason
    }
}
