/// What the log tells its process, one at a time and in an order that holds.
///
/// How to apply a `.committed(batch)` to a tail that ends at `head`: add the messages beyond `head`; a mark with
/// `through` beyond `head` says that messages the tail never saw are gone already (a gap for whoever waits); any
/// other mark concerns replay only. Marks only ever rise, so applying one twice does no harm. A batch whose
/// `previous` equals its `head` carries marks alone: apply it even though its head is not new.
package enum LogEvent: Sendable {
    /// The log was opened, or replaced under a new epoch: everything known before is void.
    case opened(LogState)
    /// More was committed by others than memory keeps, or than can be told channel by channel: the newest part anew, of
    /// the same log. What was held in between is for the log itself to say.
    case resumed(LogState)
    /// `previous` is never beyond the newest head told before, so that nothing is left out between two batches.
    case committed(CommittedBatch)
    /// Comes after the `.committed` that holds the messages.
    case appended(ticket: UInt64, AppendOutcome)
    case history(ticket: UInt64, Result<HistoryReading, LogFailure>)
    case message(ticket: UInt64, Result<Message?, LogFailure>)
    case channels(ticket: UInt64, Result<ChannelListing, LogFailure>)
    /// The log can't be used at the moment, as a sentence for the operator; retried about every second.
    case unavailable(String)
    /// Worth one line in the operator's log.
    case notice(String, NoticeLevel)
}

/// How badly an operator needs to know it.
package enum NoticeLevel: Sendable {
    case notice
    /// Something was lost, or soon may be.
    case warning
    /// Somebody must do something.
    case error
}

/// The newest part of the log, as one committed state.
package struct LogState: Sendable {
    package let epochs: EpochHistory
    package let head: Offset
    /// Every message in (floor, head] that may still be replayed is in `messages`.
    package let floor: Offset
    /// Ascending by offset.
    package let messages: [Message]
    /// The marks above the floor.
    package let trims: [TrimMark]
    /// Stands in for the marks of channels that were forgotten.
    package let forgottenThrough: Offset

    package init(
        epochs: EpochHistory,
        head: Offset,
        floor: Offset,
        messages: [Message],
        trims: [TrimMark],
        forgottenThrough: Offset
    ) {
        self.epochs = epochs
        self.head = head
        self.floor = floor
        self.messages = messages
        self.trims = trims
        self.forgottenThrough = forgottenThrough
    }
}

package enum LogFailure: Error, Equatable, Sendable {
    case unavailable
}
