/// What the log reports to its process, one event at a time and in a guaranteed order.
///
/// To apply a `.committed(batch)` to a tail that ends at `head`: add the messages after `head`; a mark with `through`
/// after `head` says that messages which the tail never saw are already gone (a gap for waiting requests); any other
/// mark concerns replay only. Marks only rise, so applying one twice does no harm. A batch whose `previous` equals its
/// `head` contains marks alone: apply it even though its head is not new.
package enum LogEvent: Sendable {
    /// The log was opened, or replaced under a new epoch: everything known before is void.
    case opened(LogState)
    /// Other processes committed more than memory can hold, or than can be reported channel by channel: the newest part
    /// anew, of the same log. The log itself answers for what was held in between.
    case resumed(LogState)
    /// `previous` is never after the newest head reported before, so nothing is missing between two batches.
    case committed(CommittedBatch)
    /// Follows the `.committed` that contains the messages.
    case appended(ticket: UInt64, AppendOutcome)
    case history(ticket: UInt64, Result<HistoryPage, ReadFailure>)
    case message(ticket: UInt64, Result<Message?, ReadFailure>)
    case channels(ticket: UInt64, Result<ChannelListing, ReadFailure>)
    /// The log cannot be used at present, with a sentence for the operator; retried about every second. `isLasting`: in
    /// vain, until somebody does what the sentence says.
    case unavailable(String, isLasting: Bool = false)
    /// With an engine: the gravest trouble now, or nil: all is well again. What is here can be read in any case.
    case engine(EngineTrouble?)
    /// With an engine: the machines that share it. Comes before the log's events, and whenever this process learns
    /// more.
    case machines(SiteMachines)
    /// A line for the operator's log.
    case notice(String, NoticeLevel)
}

/// How important it is for an operator.
package enum NoticeLevel: Sendable {
    case notice
    /// Something was lost, or may soon be.
    case warning
    /// An operator must act.
    case error
}

/// The newest part of the log, as one committed state.
package struct LogState: Sendable {
    package let epochs: EpochHistory
    package let head: Offset
    /// `messages` has every message in (floor, head] that may still be replayed.
    package let floor: Offset
    /// Ascending by offset.
    package let messages: [Message]
    /// The marks above the floor.
    package let trims: [TrimMark]
    /// Stands in for the marks of forgotten channels.
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

package enum ReadFailure: Error, Equatable, Sendable {
    case unavailable
}
