import Text

/// When the writer opens the log again, and what it knows of the one that it had open. Pure.
struct WriterOpening {
    private static let retryMilliseconds: Int64 = 1000
    /// The pause while another process or the engine is about to do its part.
    private static let awaitMilliseconds: Int64 = 100
    /// Twice as long as another process needs to notice that its files were removed.
    private static let patienceMilliseconds: Int64 = 2000

    /// When the next attempt is due, in monotonic milliseconds.
    private(set) var next: Int64 = 0
    /// The time until which another process may still save what a removed write-ahead log held.
    private(set) var patienceEnds: Int64?
    /// Whether something in the log looked damaged, so that all of it is read first.
    private(set) var isSuspect = false
    /// The witness of the log that this process last had open.
    private(set) var known: LogWitness?
    /// Why the log is unavailable, as reported last.
    private var trouble = LastingReason()
    /// For the checks of all of the file because a read failed: each takes long, and may find nothing.
    private var readChecks = Throttle(milliseconds: 3_600_000)
    /// For the notices that reads fail.
    private var readNotices = Throttle(milliseconds: 60_000)

    /// Whether an attempt is due, which begins now.
    mutating func begins(now: Int64) -> Bool {
        guard now >= next else { return false }
        next = now + Self.retryMilliseconds
        return true
    }

    /// The next attempt is due at once.
    mutating func hurry() { next = 0 }

    /// What another process or the engine does comes first.
    mutating func awaitsOther(now: Int64) { next = now + Self.awaitMilliseconds }

    /// Acknowledged messages were in a write-ahead log that is missing.
    mutating func missesWriteAheadLog(now: Int64) {
        patienceEnds = patienceEnds ?? now + Self.patienceMilliseconds
        awaitsOther(now: now)
    }

    /// Whether to fail rather than continue without what another process may still have open.
    func isPatient(now: Int64) -> Bool { patienceEnds.map { now < $0 } ?? true }

    mutating func succeeded() {
        (patienceEnds, isSuspect, known) = (nil, false, nil)
        trouble.end()
    }

    /// The log could not be opened, or was closed because something failed.
    mutating func failed(isDamage: Bool, now: Int64) {
        if isDamage { isSuspect = true }
        next = now + Self.retryMilliseconds
    }

    /// The log is closed, and was this one.
    mutating func remember(_ witness: LogWitness) { known = witness }

    /// Whether this was not the last reason for which the log is unavailable.
    mutating func isNew(_ reason: String) -> Bool { trouble.isNew(reason) }

    /// Whether a read that failed may close the log, so that all of it is checked.
    mutating func mayCheckAll(now: Int64) -> Bool { readChecks.passes(now: now) }

    mutating func mayReportRead(now: Int64) -> Bool { readNotices.passes(now: now) }
}
