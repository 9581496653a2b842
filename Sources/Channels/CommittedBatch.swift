/// Why some of what a cursor asks for is not in the log any more.
package enum GapReason: String, Sendable {
    /// Retention took it.
    case trimmed
    /// A publisher dropped the channel's messages.
    case deleted
    /// The log is another, or lost its newest part.
    case restarted
    /// The cursor was never given out by this log.
    case future
}

/// Nothing of the channel at or before `through` is kept, for the reason given.
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

/// What one or more commits added, in commit order: exactly the log's stretch (previous, head].
package struct CommittedBatch: Sendable {
    package let previous: Offset
    package let head: Offset
    /// Ascending by offset; offsets without a message (replaced, dropped) may be missing.
    package let messages: [Message]
    package let trims: [TrimMark]
    /// The log's floor of forgotten channels, as far as `previous`: it stands in for their marks, which are in no list
    /// any more. Only the log answers whoever comes from below it, in every process alike.
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

/// Where a subscriber without a checked cursor begins.
package enum HistoryStart: Equatable, Sendable {
    case after(Offset)
    /// The oldest message kept.
    case first
    /// The newest N of each channel.
    case last(Int)
    /// Messages at most so many milliseconds old.
    case age(milliseconds: Int64)
    /// Nothing: only where these channels' newest message or trim mark stands.
    case newest
}

/// A stretch of the log for some channels.
package struct HistoryReading: Sendable {
    /// Ascending by offset.
    package let messages: [Message]
    /// Everything up to here was looked at: where the subscriber goes on.
    package let scanned: Offset
    /// Whether messages beyond `scanned` were already there.
    package let more: Bool
    package let gap: GapReason?
    /// How far each channel's mark goes, where it lies beyond the start of the reading: what the gap is about. Without a
    /// gap they are known, but nothing that this reading was to have is missing.
    package let marks: [TrimMark]
    /// The newest of last offset and trim mark of these channels (the floor of forgotten channels for a
    /// channel the log does not know): changes exactly when these channels do.
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
    package func with(gap: GapReason?) -> HistoryReading {
        guard gap != self.gap else { return self }
        return HistoryReading(
            messages: messages,
            scanned: scanned,
            more: more,
            gap: gap,
            marks: marks,
            newest: newest
        )
    }
}
