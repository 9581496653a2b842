package import Channels
package import Configuration

/// One publisher's request: all of it goes into one transaction, with offsets in the drafts' order, or nothing does.
package struct Append: Sendable {
    /// The caller's own number, given back with the outcome.
    package var ticket: UInt64
    package var drafts: [Draft]
    /// Channels that lose all their messages first. Each that has any takes a place of its own in the order, so that
    /// whoever waits there is told as well.
    package var dropping: [ChannelName]
    package var idempotency: IdempotencyKey?
    package var quota: PublisherQuota?
    /// Whether presence on new channels may take the last quarter of the places for such channels, which is kept for those
    /// that the ini file names: visitors make the others.
    package var takesLastPlaces = true

    package init(
        ticket: UInt64,
        drafts: [Draft],
        dropping: [ChannelName] = [],
        idempotency: IdempotencyKey? = nil,
        quota: PublisherQuota? = nil
    ) {
        self.ticket = ticket
        self.drafts = drafts
        self.dropping = dropping
        self.idempotency = idempotency
        self.quota = quota
    }
}

/// What one publisher may append in a stretch of time, whichever process it comes to. All of it may come at once; it
/// is given back evenly. A request of several messages counts each; one that drops channels counts as one message.
package struct PublisherQuota: Sendable, Hashable {
    package var publisher: String
    package var limits: QuotaLimits

    package init(publisher: String, limits: QuotaLimits) {
        self.publisher = publisher
        self.limits = limits
    }
}

/// What makes a repeated request recognisable for five minutes, together with the channels it goes to.
package struct IdempotencyKey: Sendable, Hashable {
    package var publisher: String
    package var key: String

    package init(publisher: String, key: String) {
        self.publisher = publisher
        self.key = key
    }
}

/// A stretch of the log to be read from the file, for some channels.
package struct HistoryRequest: Sendable {
    package var ticket: UInt64
    package var channels: [ChannelName]
    package var start: HistoryStart
    package var messageLimit: Int
    /// Bytes of bodies; at least one message always comes.
    package var byteLimit: Int

    package init(
        ticket: UInt64,
        channels: [ChannelName],
        start: HistoryStart,
        messageLimit: Int,
        byteLimit: Int
    ) {
        self.ticket = ticket
        self.channels = channels
        self.start = start
        self.messageLimit = messageLimit
        self.byteLimit = byteLimit
    }
}

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
}

package enum LogFailure: Error, Equatable, Sendable {
    case unavailable
}

/// Counters since the start of the process, and the size of the write-ahead log.
package struct LogStatistics: Equatable, Sendable {
    /// Committed groups.
    package var commits = 0
    package var messagesAppended = 0
    /// Bytes of bodies.
    package var bytesAppended = 0
    /// Messages that other processes appended and this one read.
    package var messagesFollowed = 0
    package var messagesTrimmed = 0
    package var messagesExpired = 0
    package var checkpoints = 0
    package var walBytes = 0
    /// Channels the log remembers and messages in it, as of the last look.
    package var channels = 0
    package var messagesKept = 0
    package var gateWaits = 0
    package var gateWaitMicroseconds: Int64 = 0
    package var longestGateWaitMicroseconds: Int64 = 0
    package var diskFull = 0
    package var openings = 0
    package var historyReads = 0

    package init() {}
}
