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

/// The FastCGI responder: one reactor thread that owns every socket, and the core that decides on requests.
///
/// The loop passes events to `Core` and carries out the actions that it returns (`Responder+Actions`). Its parts own their
/// state and know nothing of each other. A connection that is given up meanwhile is closed at the end of the turn.
///
/// Not `Sendable`: created, run and released on one thread. The log's threads reach it through the mailbox.
@safe package final class Responder {
    let sources: EventSources
    let log: Log
    var core: Core
    var outbox: Outbox
    var appends = Appends()
    // Peers.
    let connections: ConnectionTable
    var decoder: RequestDecoder
    var entrance: Entrance
    // The bus.
    let bus: BusService
    let siblings: SiblingService
    // Figures and log for the operator.
    var telemetry: Telemetry
    var supervision: Supervision
    var journal: Journal
    // The loop's own state.
    var settings: Settings
    var clock = TurnClock()
    var lifetime: Lifetime
    var housekeeping = Housekeeping()
    // Another process, which this one replaces or is replaced by.
    var handOver: HandOverState
    var takeOver: TakeOverState

    /// The clients of a responder.
    package enum Role {
        /// Web servers, and clients of the bus while this process has the lock.
        case service
        /// One client of the bus, on a connected socket: `run` returns when it is gone.
        case oneClient(Int32)
    }

    /// Opens the socket, unless a service manager has passed it, and starts the log; `run` does the rest.
    ///
    /// `manager` is told when the process is ready, reloads and stops. `signals` delivers SIGTERM, SIGINT and SIGHUP;
    /// `reload` reads the ini file again at SIGHUP, or logs why it cannot and returns nil; `linesLost` counts lines that
    /// could not be logged. With `takeOver`, the sockets come from an older process, and nothing is served before; a
    /// `successor` is what to start at SIGHUP in the place of this program, if that has changed.
    package init(
        settings: Settings,
        role: Role = .service,
        passed: PassedSockets = PassedSockets(),
        takeOver: TakeOver? = nil,
        manager: ServiceManager? = nil,
        descriptorLimit: Int,
        logger: Logger,
        signals: SignalDescriptor,
        linesLost: @escaping () -> Int = { 0 },
        successor: @escaping () -> Successor? = { nil },
        reload: @escaping () -> Settings?
    ) throws {
        self.settings = settings
        lifetime = Lifetime(role)
        let isService = lifetime.isService
        // Clients of the bus have their own places, but never most of a small number of descriptors.
        let busClients = min(settings.limits.busClients, max(4, descriptorLimit / 4))
        let web = min(settings.fastcgi.maxConnections, max(16, descriptorLimit - 64 - busClients))
        let now = clock.now
        telemetry = Telemetry(startedAt: now, linesLost: linesLost)
        supervision = Supervision(manager, now: now)
        sources = try EventSources(signals: signals, reload: reload)
        let (epoll, mailbox) = (sources.epoll, sources.mailbox)
        let pipes = try PipeService(
            isService ? settings.pipes : [],
            settings.limits,
            epoll: epoll,
            logger: logger
        )
        let listener =
            isService && takeOver == nil
            ? try Listener.forWebServers(settings.fastcgi, passed: passed) : Listener()
        entrance = Entrance(listener, epoll: epoll, logger: logger, now: now)
        let codec = try Codec()
        decoder = RequestDecoder(codec, settings)
        outbox = Outbox(codec)
        let connections = ConnectionTable(
            FramingLimits(),
            ConnectionTable.Bounds(web: web, bus: busClients),
            epoll: epoll
        )
        self.connections = connections
        core = Core(
            settings: settings,
            numbers: Self.numbers(settings, logger),
            connectionLimit: web,
            isForOneClient: !isService,
            seed: UInt64.random(in: 1 ... .max),
            now: now
        )
        let tenure = Tenure(
            settings.bus,
            isCandidate: isService && (settings.bus.socket != nil || !settings.pipes.isEmpty),
            hasPipes: !pipes.isEmpty,
            passed: try Listener.ofBus(settings.bus, passed: passed),
            epoll: epoll,
            logger: logger,
            told: { mailbox.post(.serving(attempt: $0, $1)) }
        )
        bus = BusService(tenure, pipes)
        siblings = SiblingService(epoll: epoll, logger: logger)
        journal = Journal(logger)
        handOver = HandOverState(
            HandOverService(epoll: epoll, logger: logger),
            newProgram: successor
        )
        self.takeOver = TakeOverState(
            takeOver,
            passed: passed,
            descriptorLimit: descriptorLimit
        )
        if let takeOver { try epoll.add(takeOver.descriptor, .read) }
        var logSettings = settings.bus
        // The other process uses the log until it has handed over, and afterwards if it does not.
        logSettings.upgradesLog = takeOver == nil
        log = Log(
            settings: logSettings,
            channelLimit: settings.limits.channels,
            retention: { [settings] in settings.retention(of: $0) },
            deliver: { events in
                let now = MonotonicClock.nanoseconds()
                mailbox.post(contentsOf: events.lazy.map { .log($0, nanoseconds: now) })
            }
        )
        connections.apply(framingLimits)
    }

    var logger: Logger { journal.logger }

    var isStopping: Bool { lifetime.isStopping }

    /// Monotonic milliseconds, read once a turn.
    var now: Int64 { clock.now }

    /// The moment of an event that happens now, and may be a request.
    var moment: Moment { clock.moment(readingHeadOf: log) }

    // MARK: The loop

    /// Serves until SIGTERM or SIGINT, then answers all requests and returns.
    package func run() throws {
        defer { entrance.removePath() }
        log.start()
        do {
            while !(lifetime.isOver(hasConnections: !connections.isEmpty, now: now)
                && letGoOfPipes())
            {
                try turn()
                // Another process continues everything: only the log is closed here.
                if handOver.isDone {
                    _ = log.stop(patienceMilliseconds: 2000)
                    return passSignalsOn()
                }
            }
        } catch {
            takeOver.source?.unable("\(error)")
            throw error
        }
        finish()
    }

    private func turn() throws {
        let count = try sources.epoll.wait(milliseconds: timeout)
        clock.begin(log)
        // What was committed comes first: otherwise polls of this turn would wait for the events of it.
        if sources.mailbox.isWaiting { try receiveAll() }
        appends.begin(events: count)
        for index in 0..<count { try dispatch(sources.epoll.event(index)) }
        let few = appends.end()
        if !few.isEmpty {
            // The outcomes are taken below.
            sources.mailbox.expect()
            log.appendAtOnce(few)
            try receiveAll()
        }
        try carryOutDuties()
    }

    private func dispatch(_ readiness: Readiness) throws {
        if let id = connections.connection(readiness.descriptor),
            id.generation == readiness.generation
        {
            return ready(id, readiness)
        }
        switch readiness.descriptor {
        case sources.mailbox.descriptor: try receiveAll()
        case entrance.descriptor where entrance.isAccepting: acceptWebServers()
        case bus.descriptor: acceptBusClients()
        case siblings.descriptor: hearSiblings()
        case handOver.doorDescriptor: welcomeSuccessors()
        case handOver.channelDescriptor: hearSuccessor()
        case takeOver.source?.descriptor: try hearPredecessor()
        case takeOver.predecessor?.descriptor: hearLastOfPredecessor()
        case sources.signals.number:
            // epoll reports the two in any order: whoever sends a signal after `yours` means a process that serves.
            try hearPredecessor()
            while let signal = sources.signals.next() { handle(signal) }
        default: _ = bus.isReady(readiness.descriptor, now: now)
        }
    }

    private func receiveAll() throws(LogUnavailable) {
        for event in sources.mailbox.takeAll(resets: false) { try receive(event) }
    }

    /// Closes what is left, passes the bus on, and ends the log.
    private func finish() {
        for id in connections.all { lose(id, .shutdown) }
        closeMarked()
        endServing()
        handOver.close()
        if let successor = handOver.successor {
            supervision.passesOn(to: successor.process, now: now)
        }
        // Nothing is queued any more, unless another process is stuck inside the gate.
        let left = (lifetime.deadline ?? now) - MonotonicClock.milliseconds()
        if !log.stop(patienceMilliseconds: max(500, left)) {
            logger.warning(
                "the log could not be closed in time: log.sqlite alone is not complete without log.sqlite-wal"
            )
        }
        for case .log(.notice(let sentence, let level), _) in sources.mailbox.takeAll() {
            journal.note(sentence, level)
        }
    }

    // MARK: Signals

    private func handle(_ signal: Int32) {
        switch signal {
        case SIGHUP where handOver.isPaused: handOver.reloadLater()
        case SIGHUP: reload()
        // What is held here is answered first. A second one does not wait for that.
        case _ where takeOver.isItsTurn && !takeOver.stopsLater: takeOver.stopLater()
        default: stop()
        }
    }
}
