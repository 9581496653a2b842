/// What became of a publisher's request.
package enum AppendOutcome: Equatable, Sendable {
    case committed(ids: [Cursor])
    /// The key was used for the same drafts before: where they are.
    case repeated(ids: [Cursor])
    /// The key was used for other drafts before.
    case conflict
    /// The publisher has used its quota up: nothing was written. Nil seconds: it is more than the whole quota.
    case overQuota(retrySeconds: Int?)
    /// It names a new channel, and the log remembers as many as it may, all of them with messages.
    case noMoreChannels
    /// There is no room, also after trimming.
    case full
    /// Not written: another program reads the log, and what would be written has to wait for it.
    case logBusy
    /// Not written, or not known to be written.
    case unavailable
}
