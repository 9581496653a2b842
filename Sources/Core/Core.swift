package import Configuration

/// What becomes of polls, streams, publications, the bus socket's commands, presence, and of all of them in the end.
///
/// Pure: events come in as calls that say when they happened, and what is to be done comes out as actions, in the order
/// in which it is to be done. The same events at the same moments, with the same seed, make the same actions. No
/// descriptor, no system call, no clock.
///
/// How the shell drives it: `connected` for each connection; then whatever happens, one call each; after each call
/// `exchange(&actions)`, and the actions are carried out. What a peer did not take is said by `unsent`, and that it was
/// found gone by `connectionLost`, once the actions are carried out. Once a turn of the loop, after its events, `turn`;
/// the next one is due at `nextAlarm`.
package struct Core: ~Copyable {
    /// What was counted so far.
    package internal(set) var counters = CoreCounters()

    /// - Parameters:
    ///   - numbers: the users and groups that the ini file names; those that are not on this machine are left out.
    ///   - connectionLimit: connections of web servers at a time; a tenth of them is never held.
    ///   - isForOneClient: the process is there for one client of the bus alone; it tells nobody of members.
    ///   - seed: of the jitter of deadlines; not 0.
    ///   - now: monotonic milliseconds.
    ///   - hasLeft: asks whether a peer has gone of which no event has told so yet.
    package init(
        settings: Settings,
        numbers: [LocalPrincipal: UInt32],
        connectionLimit: Int,
        isForOneClient: Bool = false,
        seed: UInt64,
        now: Int64,
        hasLeft: @escaping (ConnectionID, Departure) -> Bool
    ) {
        fatalError("not written yet")
    }

    // MARK: Actions

    /// Takes what is to be done, and leaves an empty buffer in its place.
    ///
    /// - Parameter actions: what was carried out; it is emptied and used again.
    package mutating func exchange(_ actions: inout Actions) {
        fatalError("not written yet")
    }

    // MARK: Time

    /// What is due by the clock, and what goes on from turn to turn; once a turn, after its events.
    package mutating func turn(at moment: Moment) {
        fatalError("not written yet")
    }

    /// Monotonic milliseconds when `turn` is to be called again at the latest; `.min`: at once; `.max`: only after an event.
    package var nextAlarm: Int64 {
        fatalError("not written yet")
    }
}
