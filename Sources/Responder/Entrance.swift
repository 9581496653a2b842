internal import Configuration
internal import Logging
internal import Reactor

/// The socket on which web servers connect, and whether newcomers are taken now. Reactor thread only.
struct Entrance {
    private let listener: Listener
    private let epoll: Epoll
    private let logger: Logger
    private(set) var isAccepting = false
    /// Monotonic milliseconds when newcomers may be taken again at the earliest.
    private var opensAt: Int64
    /// Newcomers wait for a place, which is looked for from time to time.
    private(set) var isCrowded = false

    /// Not before the log is open: whoever comes until then waits in the backlog instead of being answered 503. A log that
    /// takes long is said to.
    private static let openingMilliseconds: Int64 = 5000
    private static let pauseMilliseconds: Int64 = 250

    init(_ listener: Listener, epoll: Epoll, logger: Logger, now: Int64) {
        self.listener = listener
        self.epoll = epoll
        self.logger = logger
        opensAt = now + Self.openingMilliseconds
    }

    var descriptor: Int32 { listener.descriptor }

    /// The log is open.
    mutating func logOpened() { opensAt = 0 }

    /// Monotonic milliseconds when newcomers may be taken again.
    var alarm: Int64 { listener.isOpen && !isAccepting && !isCrowded ? opensAt : .max }

    /// All places are taken: newcomers wait in the backlog until somebody leaves.
    mutating func waitForPlaces() {
        isCrowded = true
        pause()
    }

    /// There is no descriptor for anybody: newcomers are not taken for a moment.
    mutating func waitAMoment(now: Int64) {
        opensAt = now + Self.pauseMilliseconds
        pause()
    }

    private mutating func pause() {
        if isAccepting { epoll.remove(listener.descriptor) }
        isAccepting = false
    }

    /// There are places.
    mutating func open(now: Int64) {
        guard listener.isOpen, !isAccepting, now >= opensAt else { return }
        do {
            try epoll.add(listener.descriptor, [.read, .exclusive])
            (isAccepting, isCrowded) = (true, false)
        } catch {
            logger.error("\(error)")
            opensAt = now + Self.pauseMilliseconds
        }
    }

    /// Turns away whoever comes from now on.
    mutating func close() {
        pause()
        isCrowded = false
        listener.close()
    }

    /// Takes the path away, if the socket has one.
    func removePath() { listener.removePath() }
}
