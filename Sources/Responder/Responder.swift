internal import Bus
internal import CLinux
internal import Channels
package import Configuration
internal import Core
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Glibc
package import Logging
package import Reactor
package import System

/// The FastCGI responder: one reactor thread that owns every socket, and the core that decides what becomes of requests.
///
/// The loop passes events to `Core` and carries out the actions that it returns (`Responder+Actions`). Its parts own their
/// state and know nothing of each other. A request's way: `ConnectionTable` reads bytes and frames them, `Core` decides,
/// `PayloadEncoder` puts answers into records, `Output` sends them. A connection that is given up meanwhile is closed at
/// the end of the turn.
///
/// Not `Sendable`: created, run and released on one thread. The log's threads reach it through the mailbox.
@safe package final class Responder {
    // Outside.
    let epoll: Epoll
    let log: Log
    private let mailbox: Mailbox<ThreadEvent>
    private let signals: SignalDescriptor
    private let reload: () -> Settings?
    // Decisions.
    var core: Core
    /// The actions that are being carried out.
    var actions = Actions()
    /// Connections that may be idle once the actions are carried out.
    var settling: [ConnectionID] = []
    // Parts.
    let connections: ConnectionTable
    let output: Output
    let codec: Codec
    var encoder: PayloadEncoder
    var entrance: Entrance
    var tokens: TokenCheck
    let tenure: Tenure
    let pipes: PipeService
    let siblings: SiblingService
    var telemetry: Telemetry
    var supervision: Supervision
    var journal: Journal
    var memory = FreeMemory()
    // The loop's own.
    var settings: Settings
    let bounds: Bounds
    /// Monotonic milliseconds, read once a turn, and the clock of retention.
    private(set) var now: Int64
    private var retentionNow: Int64 = 0
    /// The log's, as it was read last.
    private var committedHead: Offset?
    private var housekeepingAt: Int64 = 0
    /// Why the log cannot be used, as logged last.
    private(set) var logTrouble = ""
    /// The last reload was refused, so older settings are in force.
    private(set) var keepsOldSettings = false
    private var client: OneClient?
    var shutdown: Shutdown?

    /// Whom a responder serves.
    package enum Role {
        /// Web servers, and clients of the bus while this process has the lock.
        case service
        /// One client of the bus, on a connected socket: `run` returns when it is gone.
        case oneClient(Int32)
    }

    /// The number of connections at a time: as in the ini file, but never all descriptors, because the log needs some too.
    struct Bounds {
        let web: Int
        let bus: Int
    }

    /// The only client, which waits until the log is open.
    private struct OneClient {
        var descriptor: Int32?
    }

    /// A shutdown in progress.
    struct Shutdown {
        /// Monotonic milliseconds by which it ends, and when it leaves the content of the pipes to others.
        let deadline: Int64
        var leavesPipesAt: Int64?
    }

    /// Opens the socket, unless a service manager has passed it, and starts the log; `run` does the rest.
    ///
    /// `manager` is told when the process is ready, reloads and stops. `signals` delivers SIGTERM, SIGINT and SIGHUP;
    /// `reload` reads the ini file again at SIGHUP, or logs why it cannot and returns nil; `linesLost` counts lines that
    /// could not be logged.
    package init(
        settings: Settings,
        role: Role = .service,
        passed: PassedSockets = PassedSockets(),
        manager: ServiceManager? = nil,
        descriptorLimit: Int,
        logger: Logger,
        signals: SignalDescriptor,
        linesLost: @escaping () -> Int = { 0 },
        reload: @escaping () -> Settings?
    ) throws {
        self.settings = settings
        self.signals = signals
        self.reload = reload
        let isService: Bool
        switch role {
        case .service: isService = true
        case .oneClient(let descriptor):
            isService = false
            client = OneClient(descriptor: descriptor)
        }
        // Clients of the bus have their own places, but never most of a small number of descriptors.
        let bus = min(settings.limits.busClients, max(4, descriptorLimit / 4))
        let web = min(settings.fastcgi.maxConnections, max(16, descriptorLimit - 64 - bus))
        bounds = Bounds(web: web, bus: bus)
        let now = MonotonicClock.milliseconds()
        self.now = now
        telemetry = Telemetry(startedAt: now, linesLost: linesLost)
        supervision = Supervision(manager, now: now)
        epoll = try Epoll()
        pipes = try PipeService(
            isService ? settings.pipes : [],
            settings.limits,
            epoll: epoll,
            logger: logger
        )
        let listener =
            isService
            ? try Listener.forWebServers(settings.fastcgi, passed: passed) : Listener()
        entrance = Entrance(listener, epoll: epoll, logger: logger, now: now)
        codec = try Codec()
        encoder = PayloadEncoder(codec)
        let connections = ConnectionTable(
            Self.framingLimits(settings),
            epoll: epoll,
            room: min(web, Core.firstRoom)
        )
        self.connections = connections
        output = Output()
        tokens = TokenCheck(settings)
        core = Core(
            settings: settings,
            numbers: Self.numbers(settings, logger),
            connectionLimit: web,
            isForOneClient: !isService,
            seed: UInt64.random(in: 1 ... .max),
            now: now,
            hasLeft: { connections.isOpen($0) && connections.hasGone($0, $1) }
        )
        let mailbox = try Mailbox<ThreadEvent>()
        self.mailbox = mailbox
        tenure = Tenure(
            settings.bus,
            isCandidate: isService && (settings.bus.socket != nil || !settings.pipes.isEmpty),
            hasPipes: !pipes.isEmpty,
            passed: try Listener.ofBus(settings.bus, passed: passed),
            epoll: epoll,
            logger: logger,
            told: { mailbox.post(.serving(attempt: $0, $1)) }
        )
        siblings = SiblingService(epoll: epoll, logger: logger)
        journal = Journal(logger)
        log = Log(
            settings: settings.bus,
            channelLimit: settings.limits.channels,
            retention: { [settings] in settings.retention(of: $0) },
            deliver: { events in
                let now = MonotonicClock.nanoseconds()
                mailbox.post(contentsOf: events.lazy.map { .log($0, nanoseconds: now) })
            }
        )
        try epoll.add(mailbox.descriptor, [.read, .edge])
        try epoll.add(signals.number, .read)
    }

    var logger: Logger { journal.logger }

    var isStopping: Bool { shutdown != nil }

    var isService: Bool { client == nil }

    /// The moment of an event that happens now. A request must find what was committed before it came, so the head is
    /// read for it.
    var moment: Moment {
        committedHead = log.committedHead
        return momentWithoutRequest
    }

    /// For an event that brings no request: those that are there came when the head was read last, or before.
    private var momentWithoutRequest: Moment {
        Moment(
            milliseconds: now,
            nanoseconds: MonotonicClock.nanoseconds(),
            retentionMilliseconds: retentionNow,
            committedHead: committedHead
        )
    }

    // MARK: The loop

    /// Serves until SIGTERM or SIGINT, then answers all requests and returns.
    package func run() throws {
        defer { entrance.removePath() }
        log.start()
        while !(mayStop && letGoOfPipes()) {
            let count = try epoll.wait(milliseconds: timeout)
            // Before any event is dispatched: deadlines are computed from here, and the wait may have been long.
            now = MonotonicClock.milliseconds()
            retentionNow = log.retentionMilliseconds()
            for index in 0..<count { try dispatch(epoll.event(index)) }
            readMore()
            core.turn(at: momentWithoutRequest)
            drain()
            serveBus()
            if siblings.turn(now: now) { knowSiblings() }
            siblings.flush()
            if now >= housekeepingAt {
                housekeepingAt = now + 250
                keepHouse()
                journal.turn(unsentLimit: settings.limits.unsentTotalBytes, now: now)
            }
            memory.turn(now: now)
            supervision.turn(statusLine, now: now)
            keepHistory()
            closeMarked()
        }
        finish()
    }

    private func dispatch(_ readiness: Readiness) throws(LogUnavailable) {
        if let id = connections.connection(readiness.descriptor),
            id.generation == readiness.generation
        {
            return ready(id, readiness)
        }
        switch readiness.descriptor {
        case mailbox.descriptor:
            for event in mailbox.takeAll(resets: false) { try receive(event) }
        case entrance.descriptor where entrance.isAccepting: acceptWebServers()
        case tenure.descriptor: acceptBusClients()
        case siblings.descriptor: hearSiblings()
        case signals.number: while let signal = signals.next() { handle(signal) }
        default: _ = pipes.isReady(readiness.descriptor, now: now)
        }
    }

    /// Milliseconds until something is due that no event reports.
    private var timeout: Int32 {
        if connections.hasMoreInput { return 0 }
        var alarm = min(core.nextAlarm, tenure.alarm, pipes.alarm, siblings.alarm(now: now))
        alarm = min(alarm, memory.alarm, supervision.alarm)
        if isService { alarm = min(alarm, telemetry.history.dueAt) }
        if connections.webCount < bounds.web { alarm = min(alarm, entrance.alarm) }
        if isStopping || entrance.isCrowded || connections.hasUnfinished || output.isWaiting {
            alarm = min(alarm, housekeepingAt)
        }
        if let leavesAt = shutdown?.leavesPipesAt { alarm = min(alarm, leavesAt, now + 10) }
        return alarm <= now ? 0 : Int32(min(alarm - now, 60_000))
    }

    private var mayStop: Bool {
        if let shutdown { return connections.isEmpty || now >= shutdown.deadline }
        return client.map { $0.descriptor == nil && connections.isEmpty } ?? false
    }

    /// Closes what is left, passes the bus on, and ends the log.
    private func finish() {
        for id in connections.all { lose(id, .shutdown) }
        closeMarked()
        endServing()
        // Nothing is queued any more, unless another process is stuck inside the gate.
        let left = (shutdown?.deadline ?? now) - MonotonicClock.milliseconds()
        if !log.stop(patienceMilliseconds: max(500, left)) {
            logger.warning(
                "the log could not be closed in time: log.sqlite alone is not complete without log.sqlite-wal"
            )
        }
        for case .log(.notice(let sentence, let level), _) in mailbox.takeAll() {
            journal.note(sentence, level)
        }
    }

    // MARK: From other threads

    private func receive(_ event: ThreadEvent) throws(LogUnavailable) {
        switch event {
        case .log(let event, let nanoseconds): try receive(event, toldAt: nanoseconds)
        case .serving(let attempt, let outcome):
            guard tenure.answered(attempt, outcome, isWanted: !isStopping, now: now) else { return }
            pipes.start(note: tenure.note, now: now)
        }
    }

    private func receive(_ event: Channels.LogEvent, toldAt nanoseconds: Int64)
        throws(LogUnavailable)
    {
        switch event {
        case .opened(let state):
            logTrouble = ""
            logger.notice(
                "log open",
                metadata: [
                    "directory": "\(settings.bus.directory)", "epoch": "\(state.epochs.current)",
                    "head": "\(state.head)",
                ]
            )
        case .unavailable(let sentence):
            // A log that cannot be opened at the start is a mistake in the setup, which must be reported at once.
            guard core.position != nil else { throw LogUnavailable(sentence: sentence) }
            if logTrouble != sentence {
                logger.error("\(sentence)")
                logTrouble = sentence
                supervision.says(statusLine, now: now)
            }
        case .notice(let sentence, let level): journal.note(sentence, level)
        default: break
        }
        if case .opened = event {
            core.log(event, toldAt: nanoseconds, at: moment)
            drain()
            logOpened()
        } else {
            core.log(event, toldAt: nanoseconds, at: momentWithoutRequest)
            drain()
        }
    }

    /// The log is open, perhaps in a directory that took the old one's place.
    private func logOpened() {
        entrance.logOpened()
        if isService { siblings.open(settings.bus, now: now) }
        askToServe()
        supervision.isServing(statusLine, now: now)
        if let descriptor = client?.descriptor {
            client?.descriptor = nil
            let identity = LocalPeer(user: geteuid(), groups: [getegid()], isOwner: true)
            welcome(connections.add(descriptor, isBusSocket: true), identity)
        }
    }

    // MARK: Signals

    private func handle(_ signal: Int32) {
        switch signal {
        case SIGHUP:
            supervision.isReloading(now: now)
            let new = reload()
            keepsOldSettings = new == nil
            if let new { apply(new) }
            supervision.hasReloaded(statusLine, now: now)
        default: stop()
        }
    }
}

/// The log could not be opened when the process started.
package struct LogUnavailable: Error, CustomStringConvertible {
    /// The reason, in the log's words.
    let sentence: String
    package var description: String { "not started: \(sentence) (see [bus] in the ini file)" }
}

/// A message from another thread.
private enum ThreadEvent: Sendable {
    /// With the moment of the message, for the latency histogram.
    case log(Channels.LogEvent, nanoseconds: Int64)
    case serving(attempt: Int, Tenure.Outcome)
}
