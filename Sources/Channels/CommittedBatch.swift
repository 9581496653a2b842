/// Why some of the messages after a cursor are no longer in the log.
package enum GapReason: String, Sendable {
    /// Retention removed them.
    case trimmed
    /// A publisher deleted the channel's messages.
    case deleted
    /// The log was replaced, or lost its newest part.
    case restarted
    /// This log never issued the cursor.
    case future
}

/// The channel keeps nothing at or before `through`, for the reason given.
package struct TrimMark: Equatable, Sendable {
    package let channel: ChannelName
    package let through: Offset
    package let reason: GapReason

    package init(channel: ChannelName, through: Offset, reason: GapReason) {
        self.channel = channel
        self.through = through
        self.reason = reason
    }
}

/// What one or more commits added, in commit order: exactly the log's range (previous, head].
package struct CommittedBatch: Sendable {
    package let previous: Offset
    package let head: Offset
    /// Ascending by offset; offsets whose message was replaced or deleted may be missing.
    package let messages: [Message]
    package let trims: [TrimMark]
    /// The log's floor of forgotten channels, at `previous`: it stands in for their marks, which are in no list any
    /// more. Only the log can answer a cursor below it, in every process alike.
    package let forgottenThrough: Offset

    package init(
        previous: Offset,
        head: Offset,
        messages: [Message],
        trims: [TrimMark],
        forgottenThrough: Offset = .start
    ) {
        self.previous = previous
        self.head = head
        self.messages = messages
        self.trims = trims
        self.forgottenThrough = forgottenThrough
    }
}

/// Where a subscriber without a verified cursor starts.
package enum HistoryStart: Equatable, Sendable {
    case after(Offset)
    /// The oldest message kept.
    case first
    /// The newest N of each channel.
    case last(Int)
    /// Messages of at most this age.
    case age(milliseconds: Int64)
    /// Nothing but the position of these channels' newest message or trim mark.
    case newest
}

/// A page of the log for some channels.
package struct HistoryPage: Sendable {
    /// Ascending by offset.
    package let messages: [Message]
    /// Everything up to here was examined: the subscriber continues after it.
    package let scanned: Offset
    /// Whether there are messages after `scanned` already.
    package let more: Bool
    package let gap: GapReason?
    /// Each channel's mark, if it lies after the start of the page: the extent of the gap. Without a gap the marks
    /// are informative only; nothing that belongs to this page is missing.
    package let marks: [TrimMark]
    /// The newest offset or trim mark of these channels (the floor of forgotten channels for a channel that the log
    /// does not know). It changes exactly when these channels do.
    package let newest: Offset

    package init(
        messages: [Message],
        scanned: Offset,
        more: Bool,
        gap: GapReason?,
        marks: [TrimMark] = [],
        newest: Offset
    ) {
        self.messages = messages
        self.scanned = scanned
        self.more = more
        self.gap = gap
        self.marks = marks
        self.newest = newest
    }

    /// The same with this gap instead of its own.
    package func with(gap: GapReason?) -> HistoryPage {
        guard gap != self.gap else { return self }
        return HistoryPage(
            messages: messages,
            scanned: scanned,
            more: more,
            gap: gap,
            marks: marks,
            newest: newest
        )
    }
}
