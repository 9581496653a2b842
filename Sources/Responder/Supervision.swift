internal import System

/// Notifies the service manager of the process's state, and sends the keep-alives that its watchdog expects.
///
/// Keep-alives are deadlines of the loop: an idle process sends them, and a process whose loop is stuck does not. Reactor
/// thread only.
struct Supervision {
    private let manager: ServiceManager?
    /// Notifications for which the manager's queue had no room.
    private var untold: [String] = []
    private var isReady = false
    private var isStopping = false
    /// Monotonic milliseconds of the next keep-alive, and of the next attempt to send `untold`.
    private var nextSign: Int64 = .max
    private var nextTry: Int64 = .max

    /// Until the log is open, each request extends the manager's start timeout by this much. Opening may take long; a loop
    /// that is stuck meanwhile still times out.
    private static let openingMicroseconds = 60_000_000
    private static let openingMilliseconds: Int64 = 20_000
    private static let retryMilliseconds: Int64 = 100
    /// More than are ever pending in practice.
    private static let untoldLimit = 16

    init(_ manager: ServiceManager?, now: Int64) {
        self.manager = manager
        plan(now)
    }

    /// Monotonic milliseconds when `turn` has something to do.
    var alarm: Int64 { min(nextSign, nextTry) }

    // MARK: What happens

    /// The log is open, and web servers are served. `status` is one line for people.
    mutating func isServing(_ status: @autoclosure () -> String, now: Int64) {
        guard manager != nil, !isStopping else { return }
        isReady = true
        tell("READY=1\nSTATUS=\(status())" + sign, now)
        plan(now)
    }

    /// A sign of life, as a further line, if they are expected.
    private var sign: String { manager?.watchdogMilliseconds == nil ? "" : "\nWATCHDOG=1" }

    /// A reload begins; `hasReloaded` follows.
    mutating func isReloading(now: Int64) {
        guard isReady, !isStopping else { return }
        tell("RELOADING=1\nMONOTONIC_USEC=\(MonotonicClock.microseconds())", now)
    }

    /// The reload is over. It does not make a process ready whose log is not open yet.
    mutating func hasReloaded(_ status: @autoclosure () -> String, now: Int64) {
        if isReady { isServing(status(), now: now) }
    }

    mutating func stops(_ status: @autoclosure () -> String, now: Int64) {
        guard manager != nil else { return }
        isStopping = true
        tell("STOPPING=1\nSTATUS=\(status())", now)
    }

    /// Another process of the service continues from here: the manager watches that one instead. At once, since this
    /// process is about to end.
    mutating func passesOn(to process: Int32, now: Int64) {
        guard manager != nil else { return }
        // The interval for keep-alives continues, whichever process sends the next one.
        tell("READY=1\nMAINPID=\(process)" + sign, now)
        for _ in 0..<100 where !untold.isEmpty {
            MonotonicClock.sleep(milliseconds: 10)
            flush(now)
        }
    }

    /// Whether a service manager watches this process.
    var isWatched: Bool { manager != nil }

    /// Updates the status at once.
    mutating func says(_ status: @autoclosure () -> String, now: Int64) {
        if manager != nil { tell("STATUS=\(status())", now) }
    }

    /// At the end of each turn of the loop.
    mutating func turn(_ status: @autoclosure () -> String, now: Int64) {
        if now >= nextTry { flush(now) }
        guard now >= nextSign else { return }
        // Behind what is still pending, a keep-alive would not get through either.
        guard untold.isEmpty else {
            nextSign = nextTry
            return
        }
        plan(now)
        var lines = "STATUS=\(status())"
        if !isReady, !isStopping { lines += "\nEXTEND_TIMEOUT_USEC=\(Self.openingMicroseconds)" }
        tell(lines + sign, now)
    }

    // MARK: Sending

    private mutating func plan(_ now: Int64) {
        nextSign = .max
        guard let manager else { return }
        if let period = manager.watchdogMilliseconds { nextSign = now + max(1, period / 2) }
        if !isReady { nextSign = min(nextSign, now + Self.openingMilliseconds) }
    }

    private mutating func tell(_ lines: String, _ now: Int64) {
        if untold.count < Self.untoldLimit { untold.append(lines) }
        flush(now)
    }

    private mutating func flush(_ now: Int64) {
        nextTry = .max
        var told = 0
        for lines in untold {
            // A manager that is gone, or restarts, does not need what it missed.
            if manager?.tell(lines) == .full { break }
            told += 1
        }
        untold.removeFirst(told)
        if !untold.isEmpty { nextTry = now + Self.retryMilliseconds }
    }
}
