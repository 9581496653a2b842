/// The outcome of a publisher's request.
package enum AppendOutcome: Equatable, Sendable {
    case committed(ids: [Cursor])
    /// The key was used for the same drafts before; these are the ids of that time.
    case repeated(ids: [Cursor])
    /// The key was used for other drafts before.
    case conflict
    /// The publisher has used up its quota: nothing was written. Nil seconds: the request exceeds the whole quota.
    case overQuota(retrySeconds: Int?)
    /// It names a new channel, but the log remembers as many channels as it may, and all of them have messages.
    case noMoreChannels
    /// There is no room, even after trimming.
    case full
    /// Not written: another program reads the log, and this write would have to wait for it.
    case logBusy
    /// Not written, or not known to be written.
    case unavailable
}
