internal import Channels
internal import System

/// This process as the older of two, which hands everything over to a newer one: how far that is.
struct HandOverState {
    private enum Progress: Equatable {
        case no
        /// Paused; until these monotonic milliseconds everything must be settled.
        case settling(until: Int64)
        case done
    }

    private let service: HandOverService
    /// The program to start at SIGHUP in place of this one; nil unless its file has changed.
    private let newProgram: () -> Successor?
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

    /// Monotonic milliseconds by which the newer process must send its next message.
    var deadline: Int64 { service.deadline }

    mutating func looked(now: Int64) { lookedAt = now }

    // MARK: The newer process

    /// Where processes that ask to take over connect, and the one that has; -1 if there is none.
    var doorDescriptor: Int32 { service.doorDescriptor }
    var channelDescriptor: Int32 { service.channelDescriptor }

    /// The connection to a newer process.
    var channel: MessageChannel? { service.channel }
    var isTalking: Bool { service.isTalking }
    /// Whether it has been told what it takes over, and everything can be handed over.
    var mayPause: Bool { !isPaused && service.isGreeted }

    /// As `HandOverService.open`.
    func open(_ settings: BusSettings, listen: String?) { service.open(settings, listen: listen) }

    /// As `HandOverService.welcomeAll`.
    func welcomeAll(user: UInt32, now: Int64, refusal: (MessageChannel) -> String?) {
        service.welcomeAll(user: user, now: now, refusal: refusal)
    }

    /// The program that can be started in place of this one now; nil if its file has not changed.
    func successorToStart() -> Successor? { service.mayStart ? newProgram() : nil }

    func start(_ successor: Successor, now: Int64) throws(SystemError) {
        try service.start(successor, now: now)
    }

    func next() -> Result<HandOverMessage, HandOverEnd>? { service.next() }

    func greet(_ message: HandOverMessage, now: Int64) { service.greet(message, now: now) }

    /// Tells the newer process that this one keeps everything, and why; it is heard no more.
    func refuse(_ why: String) {
        // A process that does not read, and has some of the connections, must not act on them when this one ends later.
        if service.say(.keeps(why), until: .max) == .full { service.channel?.kill() }
        service.hangUp()
    }

    /// Without a newer process: collects one that has ended, and looks after the socket.
    func lookAfter(_ settings: BusSettings, listen: String?, now: Int64) {
        service.reap(now: now)
        service.lookAfter(settings, listen: listen, now: now)
    }

    /// The process stops: no process can take over any more.
    func close() { service.close() }

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

    /// Perhaps also the path of the socket.
    func letGo() { service.letGo() }

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
