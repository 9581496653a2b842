/// When the write-ahead log is copied into log.sqlite, and how patiently. Pure.
///
/// A reader keeps it from being begun anew as long as its transaction lasts. Ours last for milliseconds, and are waited
/// for; a program that somebody stopped or forgot may read for hours, and then waiting, which happens inside the gate,
/// would only slow down every publisher. So each wait in vain makes the next one rarer.
struct CheckpointPace: Equatable {
    static let waitMilliseconds: Int32 = 100
    private static let shortestPause: Int64 = 1000
    private static let longestPause: Int64 = 60_000
    /// Between attempts that don't wait, while somebody is in the way.
    private static let attemptPause: Int64 = 100

    /// Pages after which it is copied into the file.
    let passivePages: Int
    /// Above it the next writer is to begin it anew: 4 MB, a little more than a passive checkpoint needs to have had its
    /// chance.
    var restartPages: Int { passivePages + 64 }
    /// From so many pages on nothing is published.
    let mostPages: Int

    /// Since when somebody is in the way.
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

    /// It is as far as readers let it be: some more pages, not every commit, before the next attempt.
    mutating func wasIncomplete(pages: Int) {
        nextPages = max(passivePages, pages + passivePages / 4)
    }

    /// Readers kept it from being begun anew although that was wanted.
    mutating func wasBlocked(now: Int64, waited: Bool) {
        blockedSince = blockedSince ?? now
        (nextPages, nextAttempt) = (passivePages, now + Self.attemptPause)
        guard waited else { return }
        pause = min(max(pause * 2, Self.shortestPause), Self.longestPause)
        nextWait = now + pause
    }
}
