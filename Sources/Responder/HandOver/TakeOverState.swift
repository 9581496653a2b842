internal import Core

/// This process as the newer of two, which takes everything over from an older one: how far that is.
struct TakeOverState {
    private enum Progress {
        /// The older process serves, hands over, or decides whose turn it is.
        case waiting
        /// Everything of the older process has arrived, but the log has not reached its position yet.
        case arrived
        /// The older process has ended, or has sent `yours`.
        case itsTurn
        /// The older process ends by itself.
        case alone
    }

    /// This process's own sockets, for use when no other one hands over.
    let passed: PassedSockets
    /// The most connections that can be taken over.
    let room: Int
    /// An older process that still serves; nil once this one does.
    private(set) var source: TakeOver?
    /// The one that this process has taken over from, until that has ended.
    private(set) var predecessor: TakeOver?
    private var progress = Progress.waiting
    private var isLogOpen = false
    /// SIGTERM has come after `yours`, and before this process could act.
    private(set) var stopsLater = false
    /// What other processes have reported of subscribers whose requests have not arrived here yet.
    private var words: [SubscriberWord] = []
    /// Monotonic milliseconds of the last check of what no event reports.
    private var lookedAt: Int64 = .min / 2

    init(_ source: TakeOver?, passed: PassedSockets, descriptorLimit: Int) {
        self.source = source
        self.passed = passed
        room = descriptorLimit - 64
    }

    /// Whether an older process still serves, from which this one is about to take over.
    var isWaiting: Bool { source != nil }
    /// Whether the log has yet to reach the position of what has arrived.
    var awaitsPosition: Bool { progress == .arrived }
    /// Whether this process acts as soon as the log has reached that position.
    var isItsTurn: Bool { isWaiting && progress == .itsTurn }
    /// Whether this process begins as if there had been no older one, once that has ended.
    var startsAlone: Bool { progress == .alone }

    /// Monotonic milliseconds when something may be due.
    var alarm: Int64 {
        guard let source else { return .max }
        if isLogOpen, source.isAwaited { return .min }
        return awaitsPosition || isItsTurn
            ? lookedAt + HandOverState.lookMilliseconds : source.alarm(after: lookedAt)
    }

    mutating func looked(now: Int64) { lookedAt = now }

    // MARK: Progress

    /// The log is open, perhaps for the first time.
    mutating func logOpened() { isLogOpen = true }

    /// Tells the older process that everything is in order here, once that is so.
    ///
    /// - Returns: whether it was told now.
    func reportAble() -> Bool { isLogOpen && source?.able() == true }

    mutating func advance(_ step: TakeOver.Step) {
        switch step {
        case .wait, .giveUp: break
        case .whole: progress = .arrived
        case .act: progress = .itsTurn
        case .startAlone: progress = .alone
        }
    }

    /// The log has reached the position of what has arrived: tells the older process so.
    mutating func reportReady() {
        progress = .waiting
        source?.ready()
    }

    /// This process is stopped before it can act.
    mutating func stopLater() { stopsLater = true }

    /// Nothing more is awaited of the older process.
    mutating func takeSource() -> TakeOver? { source.take() }

    /// Another process is asked instead.
    mutating func ask(_ other: TakeOver) { (source, progress) = (other, .waiting) }

    mutating func follow(_ predecessor: TakeOver) { self.predecessor = predecessor }

    /// The process that this one has taken over from has ended.
    mutating func predecessorEnded() { predecessor = nil }

    // MARK: Subscribers

    mutating func keep(_ words: [SubscriberWord]) {
        self.words = (self.words + words).suffix(60_000)
    }

    mutating func takeWords() -> [SubscriberWord] {
        defer { words = [] }
        return words
    }
}
