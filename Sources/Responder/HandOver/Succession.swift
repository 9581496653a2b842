internal import Core
internal import System

/// This process between the one before and the one after it: as the older of two it hands over, as the newer one it
/// takes over.
struct Succession {
    /// The progress of the older one.
    enum HandingOver: Equatable {
        case no
        /// Paused; until these monotonic milliseconds everything must be settled.
        case settling(until: Int64)
        case done(process: Int32)
    }

    // The older one.
    let service: HandOverService
    /// The program to start at SIGHUP in place of this one, if its file has changed.
    let successor: () -> Successor?
    var handingOver = HandingOver.no
    /// SIGHUP has come while nothing may change.
    var reloadsLater = false
    /// The ini file was read again while a newer process, which had read it before, was about to take over.
    var hasReloaded = false
    /// Monotonic milliseconds when that last happened.
    var reloadedAt: Int64 = .min / 2
    /// The successor that starts by itself once this process has ended.
    var passesOnTo: MessageChannel?

    // The newer one.
    let descriptorLimit: Int
    /// This process's own sockets, for use when no other one hands over.
    let passed: PassedSockets
    /// An older process that still serves.
    var takeOver: TakeOver?
    /// The one that this process has taken over from, until that has ended.
    var predecessor: TakeOver?
    /// The log is open for the first time.
    var isLogOpen = false
    /// Everything of the older process has arrived, but the log has not reached its position yet.
    var awaitsPosition = false
    /// The older process has ended, or has sent `yours`.
    var isItsTurn = false
    /// The older process ends by itself.
    var startsAlone = false
    /// SIGTERM has come after `yours`, and before this process could act.
    var stopsLater = false

    init(
        _ service: HandOverService,
        takeOver: TakeOver?,
        passed: PassedSockets,
        descriptorLimit: Int,
        successor: @escaping () -> Successor?
    ) {
        self.service = service
        self.takeOver = takeOver
        self.passed = passed
        self.descriptorLimit = descriptorLimit
        self.successor = successor
    }

    /// What other processes have reported of subscribers whose requests have not arrived here yet.
    private(set) var words: [SubscriberWord] = []

    mutating func keep(_ words: [SubscriberWord]) {
        self.words = (self.words + words).suffix(60_000)
    }

    mutating func takeWords() -> [SubscriberWord] {
        defer { words = [] }
        return words
    }

    /// Nothing is accepted or read: everything is about to be handed over.
    var isPaused: Bool { handingOver != .no }

    /// Whether an older process still serves, from which this one is about to take over.
    var isWaitingItsTurn: Bool { takeOver != nil }

    /// Another process has everything.
    var hasHandedOver: Bool { if case .done = handingOver { true } else { false } }

    // MARK: Time

    /// Monotonic milliseconds of the last check of how far either one is.
    private var handOverLookedAt: Int64 = .min / 2
    private var takeOverLookedAt: Int64 = .min / 2
    /// What no event reports is checked in each turn, and at least this often: nobody is served meanwhile.
    private static let lookMilliseconds: Int64 = 1

    mutating func looksAtHandOver(now: Int64) { handOverLookedAt = now }
    mutating func looksAtTakeOver(now: Int64) { takeOverLookedAt = now }

    /// Monotonic milliseconds when something may be due for the older one.
    var handOverAlarm: Int64 {
        if case .settling = handingOver { return handOverLookedAt + Self.lookMilliseconds }
        return service.alarm
    }

    /// The same for the newer one.
    var takeOverAlarm: Int64 {
        guard let takeOver else { return .max }
        if isLogOpen, takeOver.isAwaited { return .min }
        return awaitsPosition || isItsTurn
            ? takeOverLookedAt + Self.lookMilliseconds : takeOver.alarm(after: takeOverLookedAt)
    }
}
