/// When the write-ahead log is copied into log.sqlite, and how patiently. Pure.
///
/// A reader keeps the write-ahead log from being restarted as long as its transaction lasts. Holdfast's own readers
/// take milliseconds, so the writer waits for them. A program that was stopped or forgotten may read for hours; waiting
/// for it, inside the gate, would only slow every publisher down. So each wait in vain makes the next one rarer.
struct CheckpointPace: Equatable {
    static let waitMilliseconds: Int32 = 100
    private static let shortestPause: Int64 = 1000
    private static let longestPause: Int64 = 60_000
    /// The pause between attempts that do not wait, while a reader blocks them.
    private static let attemptPause: Int64 = 100

    /// The write-ahead log is copied into the file from this size on.
    let passivePages: Int
    /// Above this size the write-ahead log is to be restarted: a little more than a passive checkpoint needs.
    var restartPages: Int { passivePages + 64 }
    /// From this size on nothing is published.
    let mostPages: Int

    /// Since when a reader has blocked the restart.
    private(set) var blockedSince: Int64?
    private var nextPages: Int
    private var nextAttempt: Int64 = 0
    private var nextWait: Int64 = 0
    private var pause: Int64 = 0

    init(passivePages: Int, mostPages: Int) {
        self.passivePages = passivePages
        self.mostPages = mostPages
        nextPages = passivePages
    }

    func isDue(pages: Int, now: Int64) -> Bool {
        pages >= nextPages && (blockedSince == nil || now >= nextAttempt)
    }

    /// How long an attempt may wait for readers.
    func patience(now: Int64) -> Int32 { now >= nextWait ? Self.waitMilliseconds : 0 }

    mutating func succeeded() {
        self = CheckpointPace(passivePages: passivePages, mostPages: mostPages)
    }

    /// Readers kept some pages from being copied: the next attempt comes some pages, not one commit, later.
    mutating func wasIncomplete(pages: Int) {
        nextPages = max(passivePages, pages + passivePages / 4)
    }

    /// Readers kept the write-ahead log from being restarted.
    mutating func wasBlocked(now: Int64, waited: Bool) {
        blockedSince = blockedSince ?? now
        (nextPages, nextAttempt) = (passivePages, now + Self.attemptPause)
        guard waited else { return }
        pause = min(max(pause * 2, Self.shortestPause), Self.longestPause)
        nextWait = now + pause
    }
}
