internal import Configuration
internal import Logging
internal import Reactor
internal import Text

/// The socket on which web servers connect, and whether connections are accepted now. Reactor thread only.
struct Entrance {
    private(set) var listener: Listener
    private let epoll: Epoll
    private let logger: Logger
    private(set) var isAccepting = false
    /// Monotonic milliseconds of the earliest time to accept again.
    private var opensAt: Int64
    /// Whether connections wait for a place, which is looked for from time to time.
    private(set) var isCrowded = false
    /// The path at which web servers look for this process, unless a service manager keeps it.
    private var path: String?
    /// Monotonic milliseconds of the next look at the path.
    private(set) var looksAt: Int64
    /// Why there is no socket at the path, as logged last.
    private var trouble = LastingReason()

    /// Nothing is accepted before the log is open: until then connections wait in the backlog, and get no 503. If
    /// opening the log takes long, they are accepted and get 503.
    private static let openingMilliseconds: Int64 = 5000
    private static let pauseMilliseconds: Int64 = 250
    private static let lookMilliseconds: Int64 = 2000

    init(_ listener: Listener, epoll: Epoll, logger: Logger, now: Int64) {
        self.listener = listener
        self.epoll = epoll
        self.logger = logger
        opensAt = now + Self.openingMilliseconds
        path = listener.place?.text
        looksAt = path == nil ? .max : now
    }

    var descriptor: Int32 { listener.descriptor }

    /// Whether the socket stays when this process ends, so that new connections wait for the next process.
    var outlivesProcess: Bool { listener.isPassed }

    /// The log is open.
    mutating func logOpened() { opensAt = 0 }

    /// Monotonic milliseconds when connections may be accepted again, where there is a place.
    var alarm: Int64 { listener.isOpen && !isAccepting ? opensAt : .max }

    /// All places are taken: connections wait in the backlog until another one closes.
    mutating func waitForPlaces() {
        isCrowded = true
        pause()
    }

    /// No descriptor is left: accepting pauses for a moment.
    mutating func waitAMoment(now: Int64) {
        opensAt = now + Self.pauseMilliseconds
        pause()
    }

    private mutating func pause() {
        if isAccepting { epoll.remove(listener.descriptor) }
        isAccepting = false
    }

    /// There are free places.
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

    /// Takes over the socket of another process, or begins with one of its own.
    mutating func adopt(_ listener: Listener) {
        self.listener = listener
        opensAt = 0
        path = listener.place?.text
        looksAt = path == nil ? .max : 0
    }

    /// Makes the socket again if its path was removed: no web server could connect any more.
    mutating func keepPlace(_ settings: FastCGISettings, now: Int64) {
        guard now >= looksAt, let path else { return }
        looksAt = now + Self.lookMilliseconds
        if listener.isOpen, !listener.isLost { return }
        if listener.isOpen { logger.warning("\(path) was removed; making it again") }
        pause()
        // The lock beside the path goes with it.
        listener.close()
        listener = Listener()
        do {
            var settings = settings
            settings.listen = .unix(path: path)
            listener = try Listener(settings)
            trouble.end()
            logger.notice("serving web servers again", metadata: ["listen": "\(path)"])
        } catch {
            let sentence = "\(error)"
            if trouble.isNew(sentence) { logger.error("\(sentence); trying again") }
        }
    }

    /// The address of web servers, as the kernel has it.
    var address: String { listener.address.map { "\($0)" } ?? "" }

    /// Another process has the socket now.
    mutating func letGo() {
        listener.letGo()
        looksAt = .max
    }

    /// Accepts nothing for now: connections wait in the backlog.
    mutating func rest() { pause() }

    /// Refuses all further connections.
    mutating func close() {
        pause()
        isCrowded = false
        listener.close()
        looksAt = .max
    }

    /// Removes the path, if the socket has one.
    func removePath() { listener.removePath() }
}
