internal import Bus
internal import Channels
internal import Configuration
internal import Glibc
internal import Logging
internal import Reactor

/// Which process serves the bus: its socket and its pipes belong to the one that has the `ServingLock`.
///
/// Owns the lock and the listener of the bus socket, and repairs both: a removed path is created again, and a failure is
/// retried. Reactor thread only.
final class Tenure {
    typealias Outcome = Result<Void, ServingProblem>

    private let settings: BusSettings
    /// Whether this process serves the bus at all.
    private let isCandidate: Bool
    private let hasPipes: Bool
    /// The bus socket, if a service manager passed it.
    private var passed: Listener?
    private let epoll: Epoll
    private let logger: Logger
    /// Called on the lock's thread with the number of the attempt.
    private let told: @Sendable (Int, Outcome) -> Void

    private var lock: ServingLock?
    /// Which attempt to get the lock an answer is about.
    private var attempt = 0
    private(set) var isServing = false
    private var listener: Listener?
    /// Why there is no socket, as logged last, and whether it was logged as an error.
    private var trouble = (sentence: "", isError: false)
    /// Monotonic milliseconds of the next look.
    private(set) var alarm = Int64.max

    private static let lookMilliseconds: Int64 = 2000

    init(
        _ settings: BusSettings,
        isCandidate: Bool,
        hasPipes: Bool,
        passed: Listener?,
        epoll: Epoll,
        logger: Logger,
        told: @escaping @Sendable (Int, Outcome) -> Void
    ) {
        self.settings = settings
        self.isCandidate = isCandidate
        self.hasPipes = hasPipes
        self.passed = passed
        self.epoll = epoll
        self.logger = logger
        self.told = told
    }

    /// The descriptor of the bus socket; -1 without one.
    var descriptor: Int32 { listener?.descriptor ?? -1 }

    /// Whether this process has the lock, and the file is still the one that others wait for.
    var isLocked: Bool { lock?.isHeld == true }

    /// The note that the process serving the bus leaves to the next one.
    var note: String {
        get { lock?.note ?? "" }
        set { lock?.note = newValue }
    }

    // MARK: Getting the lock

    /// Waits for the lock: the log is open, perhaps in a directory that replaced the old one.
    ///
    /// - Returns: true if this process does not serve the bus any more.
    func ask(now: Int64) -> Bool {
        guard isCandidate else { return false }
        var hasEnded = false
        if isServing {
            if isLocked { return false }
            logger.notice("the bus directory was replaced; serving its socket anew")
            hasEnded = end()
        } else if lock != nil {
            // The wait finds a new file by itself.
            return false
        }
        // Each process checks that its pipes are the ones that writers open.
        if hasPipes { alarm = min(alarm, now + Self.lookMilliseconds) }
        attempt += 1
        let (told, attempt) = (told, attempt)
        lock = ServingLock(settings) { told(attempt, $0) }
        return hasEnded
    }

    /// This process has got the lock, or cannot get it.
    ///
    /// - Parameter isWanted: false in a process that stops, which leaves the lock to another one.
    /// - Returns: true if this process serves the bus from now on.
    func answered(_ attempt: Int, _ outcome: Outcome, isWanted: Bool, now: Int64) -> Bool {
        guard attempt == self.attempt else { return false }
        guard isWanted else {
            giveUp()
            return false
        }
        switch outcome {
        case .success:
            isServing = true
            alarm = now
            return true
        case .failure(let problem):
            logger.error("the bus is not served by this process: \(problem)")
            lock = nil
            alarm = now + Self.lookMilliseconds
            return false
        }
    }

    /// Takes the lock if it is free. The socket is not created: the process is about to stop.
    func takeIfFree() -> Bool {
        guard let free = ServingLock(freeIn: settings) else { return false }
        // An answer to an earlier wait does not concern this lock.
        attempt += 1
        (lock, isServing) = (free, true)
        return true
    }

    // MARK: Serving

    /// Creates what is missing or was removed.
    ///
    /// - Returns: true if this process does not serve the bus any more.
    func turn(isLogOpen: Bool, now: Int64) -> Bool {
        guard now >= alarm, isCandidate else { return false }
        alarm = now + Self.lookMilliseconds
        guard isServing else {
            return isLogOpen && lock == nil ? ask(now: now) : false
        }
        guard isLocked else { return ask(now: now) }
        guard let path = settings.socket else { return false }
        if let listener {
            if !listener.isLost { return false }
            logger.warning("\(path) was removed; making it again")
            closeSocket()
        }
        do {
            let made = try passed ?? Listener(busSocket: path, settings)
            try epoll.add(made.descriptor, [.read])
            listener = made
            trouble.sentence = ""
            logger.notice("serving the bus", metadata: ["socket": "\(path)"])
        } catch {
            tell("\(error)")
        }
        return false
    }

    /// The process that served the bus before may still be closing its socket: the first failure is no error.
    private func tell(_ sentence: String) {
        if trouble.sentence != sentence {
            trouble = (sentence, false)
            logger.notice("\(sentence); trying again")
        } else if !trouble.isError {
            trouble.isError = true
            logger.error("\(sentence)")
        }
    }

    // MARK: Handing over

    /// What is handed over to another process: the socket, if there is one, and the lock; nil if this one does not
    /// serve.
    var handed: (listener: Listener?, lock: Int32)? {
        guard isServing, isLocked, let lock else { return nil }
        return (listener, lock.number)
    }

    /// The socket that a service manager passed, if it is not in use.
    var resting: Listener? { listener == nil ? passed : nil }

    /// Whether this process may serve the bus at all.
    var mayServe: Bool { isCandidate }

    /// Watches nothing for now.
    func rest() { if let listener { epoll.remove(listener.descriptor) } }

    func goOn() {
        guard let listener else { return }
        do {
            try epoll.add(listener.descriptor, [.read])
        } catch {
            logger.error("\(error)")
            closeSocket()
        }
    }

    /// Takes over from another process: this one serves from now on. A socket at another address than the ini file says
    /// is given up.
    func adopt(lock number: Int32, _ socket: Listener?, now: Int64) {
        attempt += 1
        lock = ServingLock(settings, handedOver: number)
        isServing = true
        alarm = now
        guard let socket else { return }
        if let path = settings.socket, socket.address == .unix(path: path) {
            listener = socket
            if socket.isPassed { passed = socket }
            do {
                try socket.agree(with: settings)
            } catch {
                logger.error("\(error); it stays as it was")
            }
            goOn()
            logger.notice("serving the bus", metadata: ["socket": "\(path)"])
        } else {
            socket.removePath()
        }
    }

    /// Takes over a passed socket that is not in use.
    func adopt(passed socket: Listener) { passed = socket }

    /// Another process has everything: nothing is removed or released, only closed here.
    func letGo() {
        alarm = .max
        listener?.letGo()
        listener = nil
        isServing = false
    }

    // MARK: Ending

    /// Closes the bus socket until the next turn creates it again. Clients in its backlog are told to come back.
    func closeSocket() {
        guard let listener else { return }
        epoll.remove(listener.descriptor)
        self.listener = nil
        // A passed socket stays: its backlog waits for the process that serves the bus next.
        guard !listener.isPassed else { return }
        listener.removePath()
        listener.close()
    }

    /// Passes the socket and the lock on to the process that waits for them.
    ///
    /// - Returns: true if this process served the bus until now.
    @discardableResult
    func end() -> Bool {
        guard isServing else { return false }
        closeSocket()
        giveUp()
        return true
    }

    /// The same, also while still waiting for the lock.
    func giveUp() {
        closeSocket()
        isServing = false
        lock?.release()
        lock = nil
    }

    /// The process stops: no more checks.
    func stopLooking() { alarm = .max }
}
