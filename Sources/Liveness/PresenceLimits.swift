/// What the ini file sets for the presence on a channel.
package struct PresenceLimits: Equatable, Sendable {
    /// How long a member remains present after the end of its last request.
    package var graceMilliseconds: Int64 = 15_000
    package var members = 1000

    package init() {}
}

/// What presence may take of the service in total, so that clients that come and go never displace messages: a
/// sixteenth of the log. Further members are served but not reported; further events are reported when there is room
/// again.
package struct PresenceBounds: Equatable, Sendable {
    /// On all channels together.
    package var members = 20_000
    /// The held requests that make members present, those that ended within the grace period, and those of other
    /// processes.
    package var leases = 80_000
    /// Joins and leaves at a time, and within the time for which a leave is kept.
    package var burst = 5000
    package var events = 20_000
    package static let eventsMilliseconds: Int64 = 600_000

    package init() {}

    /// - Parameter logBytes: the largest size of the log. An event takes about 400 bytes of it.
    package init(logBytes: Int64) {
        let rows = Int(clamping: logBytes / 16 / 400)
        members = min(max(rows / 2, 16), 100_000)
        leases = 4 * members
        burst = max(rows / 8, 16)
        events = max(rows / 2, 64)
    }
}
