internal import System

/// This process as the older of two, which hands everything over to a newer one: how far that is.
struct HandOverState {
    private enum Progress: Equatable {
        case no
        /// Paused; until these monotonic milliseconds everything must be settled.
        case settling(until: Int64)
        case done
    }

    let service: HandOverService
    /// The program to start at SIGHUP in place of this one; nil unless its file has changed.
    let newProgram: () -> Successor?
    private var progress = Progress.no
    /// SIGHUP has come while nothing may change.
    private var reloadsLater = false
    /// The ini file was read again while a newer process, which had read it before, was about to take over.
    private var hasReloaded = false
    /// Monotonic milliseconds when the ini file was last read again.
    private var reloadedAt: Int64 = .min / 2
    /// The process that has everything, or that begins by itself once this one has ended.
    private(set) var successor: MessageChannel?
    /// Monotonic milliseconds of the last check of what no event reports.
    private var lookedAt: Int64 = .min / 2

    /// What no event reports is checked in each turn, and at least this often: nobody is served meanwhile.
    static let lookMilliseconds: Int64 = 1

    init(_ service: HandOverService, newProgram: @escaping () -> Successor?) {
        self.service = service
        self.newProgram = newProgram
    }

    /// Nothing is accepted or read: everything is about to be handed over, or is.
    var isPaused: Bool { progress != .no }

    /// Another process has everything.
    var isDone: Bool { progress == .done }

    /// Monotonic milliseconds until which everything must be settled; nil unless it is being settled.
    var settlesUntil: Int64? { if case .settling(let end) = progress { end } else { nil } }

    /// Monotonic milliseconds when something may be due.
    var alarm: Int64 { settlesUntil == nil ? service.alarm : lookedAt + Self.lookMilliseconds }

    mutating func looked(now: Int64) { lookedAt = now }

    // MARK: Progress

    mutating func pause(until end: Int64) { progress = .settling(until: end) }

    /// Nothing is handed over.
    ///
    /// - Returns: whether the ini file is to be read again, as was asked meanwhile.
    mutating func resume() -> Bool {
        defer { reloadsLater = false }
        (progress, hasReloaded) = (.no, false)
        return reloadsLater
    }

    /// The newer process has everything.
    mutating func end(_ successor: MessageChannel) {
        progress = .done
        self.successor = successor
    }

    /// This process ends as if it were stopped. A newer one that it has started begins then, however long that takes.
    mutating func leaveToChild() {
        if service.isChild {
            successor = service.channel
            service.leaveChild()
        }
        service.hangUp()
    }

    // MARK: The ini file

    mutating func reloadLater() { reloadsLater = true }

    /// It was read again.
    mutating func reloaded(now: Int64) {
        if service.isTalking { hasReloaded = true }
        reloadedAt = now
    }

    /// Whether the newer process may have read the ini file before this one was told of a change.
    func mayHaveOldSettings(now: Int64) -> Bool {
        if reloadsLater || hasReloaded { return true }
        // The newer process may have been opening the log for this long before its message came.
        return !service.isChild && now - reloadedAt < 120_000
    }
}
