internal import Bus
internal import CLinux
internal import Channels
package import Configuration
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Glibc
internal import Liveness
package import Logging
package import Reactor

/// The FastCGI responder: one reactor thread that owns every socket and all held requests.
///
/// A request's way: `Responder+Connections` reads bytes and frames them; `Responder+Requests` asks the HTTP
/// interface what the request wants, and answers it, holds it, or hands it to the log; `Responder+Delivery` takes
/// what the log committed and answers those who waited for it. Whatever happens to a connection in a turn of the
/// loop, its descriptor is closed at the end of the turn: sends first, closes in a second pass.
///
/// Not `Sendable`: made, run and left on one thread. The log's threads reach it through the mailbox.
@safe package final class Responder {
    var settings: Settings
    var interface: HTTPInterface
    let log: Log
    let logger: Logger
    let listener: Listener
    let epoll: Epoll
    let codec: Codec
    var framing: FramingLimits
    private let signals: SignalDescriptor
    let mailbox: Mailbox<News>
    private let reload: () -> Settings?
    /// Lines of the log of events that could not be written.
    let linesLost: () -> Int

    // Connections
    var connections: ContiguousArray<Connection> = []
    var openConnections = 0
    /// Whether epoll watches the listening socket, and when it may again at the earliest. Not before the log is open:
    /// who comes until then waits in the backlog instead of being answered 503. A log that takes long is said to.
    var isAccepting = false
    var acceptAgainAt: Int64
    /// Newcomers wait for a place, which is looked for now and then.
    var newcomersWait = false
    /// As in the ini file, but never all descriptors there are: the log needs some too.
    let connectionLimit: Int
    let busClientLimit: Int
    /// Where the last look for a kept connection to close ended, and whether there may be one.
    var idleHand = 0
    var mayHaveIdle = false
    /// Descriptors given up in this turn.
    var dropped: [Int32] = []
    /// Connections whose input was not read to its end in this turn.
    var unread: [Int32] = []
    /// Connections whose next queued request may begin, and the one whose requests are being taken up.
    var turnsDue: [Int32] = []
    var takingUp: Int32 = -1
    /// The one whose bytes are being acted on: there may be more of them.
    var framed: Int32 = -1
    /// Connections that have something incomplete, looked at by the housekeeping.
    var unfinished: Set<Int32> = []
    /// Memory of all requests that have not come completely, or wait for their turn.
    var unfinishedBytes = 0
    /// What all peers together have not taken yet; those closed for it since that was said last, and when it may be said again.
    var unsent = Unsent()
    var closedForMemory = 0
    var memoryNoteAt: Int64 = 0
    /// Monotonic milliseconds when it is looked whether memory is to be given back, and how much was free when it was last.
    var memoryLookAt: Int64 = .max
    var freeAtLastLook = 0
    /// Given up when no descriptor is left, so that a connection can be accepted and closed.
    var spare: Int32
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)

    // Held requests
    var held = HeldTable()
    var audience = Audience<Wanted>()
    /// Streams that are not live, by connection; and those that go on in this turn.
    var replays = ReplayTable()
    var replaysDue: [Replay] = []
    var deadlines: DeadlineWheel
    /// When the next blank of a probed one is due.
    var probes: DeadlineWheel
    var policy = ProbePolicy()
    /// Monotonic milliseconds when messages last went to the streams of each interest.
    var messagesAt: ContiguousArray<Int64> = []
    var arrivals = Arrivals()

    // Presence
    var presence: Presence
    /// Of held requests that have a member.
    var attendances: [HeldTable.Slot: Attendance] = [:]
    /// Monotonic milliseconds of the last look at it, and of the next attempt to read what the log knows, where one has
    /// failed.
    var presenceLookedAt: Int64 = .min / 2
    var presenceLoadAt: Int64 = .max
    var ownReads: [UInt64: OwnRead] = [:]
    /// Events that the log was given, until it answers.
    var presenceTickets: [UInt64: PresenceEvent] = [:]

    // The bus socket
    var busInterface: BusInterface
    var busPeers: [Int32: BusPeer] = [:]
    /// Nil in a process that serves no bus.
    let servesBus: Bool
    var servingLock: ServingLock?
    /// Which attempt to get the lock news is about.
    var servingRound = 0
    var isServing = false
    var busListener: Listener?
    var servingTrouble = ""
    var isTroubleTold = false
    var lookAgainAt: Int64 = .max
    var siblings: Siblings?
    /// Monotonic milliseconds of the next look at them.
    var siblingLookAt: Int64 = .max
    /// Monotonic milliseconds of the next word to those who watch the service's figures; and what the other processes have
    /// said of theirs since the last one.
    var statusLookAt: Int64 = .max
    var statusSurvey: (ticket: UInt64, survey: Survey)?
    /// Those that have not answered this look, and those that did not answer an earlier one.
    var askedSiblings: Set<String> = []
    var silentSiblings: Set<String> = []

    /// Of a responder for one client alone: who waits until the log is open.
    var waitingClient: Int32?
    let isForOneClient: Bool

    // Named pipes
    let pipes: [PipeReader]
    var pipeTickets: [UInt64: PipeReader] = [:]
    /// When a process that stops leaves what is in them to others.
    var leavePipesAt: Int64?

    // The log's side
    /// Nil until the log is open.
    var tail: Tail?
    var logTrouble: String?
    /// Ends the loop.
    var failure: LogUnavailable?
    var pending: [UInt64: Pending] = [:]
    var lastTicket: UInt64 = 0
    var pendingTickets: [RequestKey: UInt64] = [:]
    /// Of polls, by the subscriber's id.
    var waitingSubscribers: [UInt64: Set<UInt64>] = [:]
    /// Questions that the log's reader has not been asked yet, oldest first from `readsBegun` on, and how many it has
    /// been asked: few, so that answers in memory are bounded and a departed client's is never made.
    var readsWaiting: [LogRead] = []
    var readsBegun = 0
    var readsUnderWay = 0
    /// Polls that came before the news of something committed, by the offset they wait for.
    var behind: [(head: Offset, ticket: UInt64)] = []
    /// What each publish request adds to the queue of the log.
    var charges: [UInt64: (messages: Int, bytes: Int)] = [:]
    var queuedMessages = 0
    var queuedBytes = 0

    /// That a bound on addresses can't be kept has been said.
    var hasMissedAddresses = false
    var waitingNoteAt: Int64 = 0
    /// Connections closed for what was sent on them, and when the log tells of the next at the earliest.
    var violations = 0
    var violationNoteAt: Int64 = 0
    var complaints = Complaints()
    var metrics = Metrics()
    let startedAt: Int64
    /// Monotonic milliseconds, read once a turn.
    var now: Int64
    private var housekeepingAt: Int64 = 0
    private(set) var stopDeadline: Int64?
    var jitter = Jitter()

    var isStopping: Bool { stopDeadline != nil }

    /// What a responder is there for.
    package enum Role {
        /// Web servers connect, and whoever has the lock serves the bus.
        case service
        /// One client of the bus has a connected socket, and nobody else comes: `run` returns when it is gone.
        case oneClient(Int32)
    }

    /// Opens the socket and starts the log; `run` does the rest.
    ///
    /// `signals` delivers SIGTERM, SIGINT and SIGHUP; `reload` reads the ini file anew at SIGHUP, or says
    /// in the log why it can't and returns nil; `linesLost` counts what could not be logged.
    package init(
        settings: Settings,
        role: Role = .service,
        descriptorLimit: Int,
        logger: Logger,
        signals: SignalDescriptor,
        linesLost: @escaping () -> Int = { 0 },
        reload: @escaping () -> Settings?
    ) throws {
        self.settings = settings
        presence = Presence(PresenceBounds(logBytes: settings.bus.maxBytes))
        self.linesLost = linesLost
        self.logger = logger
        self.signals = signals
        self.reload = reload
        // The clients of the bus have theirs, but never take most of a small number.
        busClientLimit = min(settings.limits.busClients, max(4, descriptorLimit / 4))
        connectionLimit = min(
            settings.fastcgi.maxConnections,
            max(16, descriptorLimit - 64 - busClientLimit)
        )
        interface = HTTPInterface(settings: settings)
        busInterface = Self.busInterface(settings, logger)
        switch role {
        case .service:
            servesBus = settings.bus.socket != nil || !settings.pipes.isEmpty
            pipes = try Self.openPipes(settings)
            listener = try Listener(settings.fastcgi)
            isForOneClient = false
        case .oneClient(let descriptor):
            (servesBus, pipes, listener) = (false, [], Listener())
            (waitingClient, isForOneClient) = (descriptor, true)
        }
        codec = try Codec()
        framing = Self.framingLimits(settings)
        epoll = try Epoll()
        let mailbox = try Mailbox<News>()
        self.mailbox = mailbox
        now = MonotonicClock.milliseconds()
        startedAt = now
        acceptAgainAt = now + Self.openingMilliseconds
        deadlines = DeadlineWheel(now: now)
        probes = DeadlineWheel(now: now)
        spare = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        log = Log(
            settings: settings.bus,
            channelLimit: settings.limits.channels,
            retention: { [settings] in settings.retention(of: $0) },
            deliver: { event in
                mailbox.post(.log(event, nanoseconds: MonotonicClock.nanoseconds()))
            }
        )
        try epoll.add(mailbox.descriptor, .read)
        try epoll.add(signals.number, .read)
    }

    /// Web servers wait so long for the log to be opened; then they are told that it is not.
    private static let openingMilliseconds: Int64 = 5000

    /// Requests held at a time: never on all connections, so that whoever publishes or asks for `-/live` finds one.
    var heldLimit: Int {
        min(settings.limits.heldRequests, max(1, connectionLimit * 10 / 11))
    }

    deinit {
        unsafe input.deallocate()
        if spare >= 0 { close(spare) }
    }

    /// Serves until SIGTERM or SIGINT, then answers everybody and returns.
    package func run() throws {
        defer { listener.removePath() }
        log.start()
        while !(mayStop && letGoOfPipes()) {
            let count = try epoll.wait(milliseconds: waitingTime)
            // Before anything is dispatched: deadlines are reckoned from here, and the wait may have been long.
            now = MonotonicClock.milliseconds()
            for index in 0..<count {
                dispatch(epoll.event(index))
                relieveMemory()
            }
            readUnread()
            takeUpQueued()
            advanceReplays()
            expireHolds()
            probeDue()
            if now >= presenceLookAt { lookAtPresence() }
            if now >= presenceLoadAt {
                presenceLoadAt = .max
                loadPresence()
            }
            if now >= lookAgainAt { lookAtBus() }
            if now >= siblingLookAt { lookAtSiblings() }
            if now >= statusLookAt { tellStatus() }
            lookAtDuePipes()
            if now >= housekeepingAt {
                housekeepingAt = now + 250
                keepHouse()
                tellComplaints()
            }
            // What was made by the clock, and not for something that came.
            relieveMemory()
            if now >= memoryLookAt { giveBackMemory() }
            if siblings?.hasPosts == true { siblings?.flush() }
            closeDropped()
            if let failure { throw failure }
        }
        for descriptor in connections.indices where connections[descriptor].isOpen {
            drop(Int32(descriptor), .shutdown)
        }
        closeDropped()
        stopServing()
        // Nothing is queued any more, unless somebody else is stuck inside the gate.
        let left = (stopDeadline ?? now) - MonotonicClock.milliseconds()
        if !log.stop(patienceMilliseconds: max(500, left)) {
            logger.warning(
                "the log could not be closed in time: log.sqlite alone is not complete without log.sqlite-wal"
            )
        }
        for case .log(.notice(let sentence, let level), _) in mailbox.takeAll() {
            note(sentence, level)
        }
    }

    private func dispatch(_ readiness: Readiness) {
        switch readiness.descriptor {
        case listener.descriptor where isAccepting: acceptConnections()
        case mailbox.descriptor:
            for news in mailbox.takeAll() {
                receive(news)
                relieveMemory()
            }
        case busListener?.descriptor: acceptBusPeers()
        case siblings?.descriptor: readSiblings()
        case signals.number: while let signal = signals.next() { handle(signal) }
        default: if !pipeReady(readiness.descriptor) { connectionReady(readiness) }
        }
    }

    private var waitingTime: Int32 {
        if !unread.isEmpty || !turnsDue.isEmpty || !replaysDue.isEmpty { return 0 }
        let look = min(
            min(lookAgainAt, siblingLookAt, statusLookAt),
            min(presenceLookAt, presenceLoadAt, memoryLookAt)
        )
        var wait = min(deadlines.millisecondsToNext(now: now) ?? 60_000, max(1, look - now))
        // Somebody's queue was full.
        if siblings?.hasPosts == true { wait = min(wait, 20) }
        if let probe = probes.millisecondsToNext(now: now) { wait = min(wait, probe) }
        if let look = nextPipeLook { wait = min(wait, max(0, look - now)) }
        if isStopping || !isAccepting || !pending.isEmpty || !unfinished.isEmpty {
            wait = min(wait, max(1, housekeepingAt - now))
        }
        if leavePipesAt != nil { wait = min(wait, 10) }
        return Int32(clamping: wait)
    }

    private static func framingLimits(_ settings: Settings) -> FramingLimits {
        var framing = FramingLimits()
        framing.paramsBytes = settings.limits.requestVariableBytes
        framing.bodyBytes = max(settings.limits.messageBytes, settings.limits.batchBytes)
        framing.maxConnections = settings.fastcgi.maxConnections
        framing.maxRequests = settings.limits.heldRequests
        return framing
    }

    /// Names of users and groups become numbers once, since looking them up may take its time.
    private static func busInterface(_ settings: Settings, _ logger: Logger) -> BusInterface {
        var numbers: [LocalPrincipal: UInt32] = [:]
        for rule in settings.allow {
            for case .local(let principals)? in [rule.read, rule.publish] {
                for principal in principals where numbers[principal] == nil {
                    numbers[principal] =
                        switch principal {
                        case .user(let name): SystemCalls.user(name)
                        case .group(let name): SystemCalls.group(name)
                        }
                    if numbers[principal] == nil {
                        logger.warning(
                            "[allow \(rule.pattern)] names \(principal), who is not on this machine"
                        )
                    }
                }
            }
        }
        return BusInterface(settings: settings, numbers: numbers)
    }

    // MARK: Signals

    private func handle(_ signal: Int32) {
        switch signal {
        case SIGHUP: applyReload()
        default: stop()
        }
    }

    private func applyReload() {
        guard let new = reload() else { return }
        let differences = Settings.reloadDifferences(from: settings, to: new)
        for key in differences.needsRestart {
            logger.warning("this change takes effect after a restart", metadata: ["key": "\(key)"])
        }
        // What needs a restart keeps its old value, so that status and checks say what is in force.
        settings = settings.reloaded(with: new)
        let before = interface
        interface = HTTPInterface(settings: settings)
        busInterface = Self.busInterface(settings, logger)
        framing = Self.framingLimits(settings)
        for reader in pipes { reader.apply(settings.limits) }
        log.replaceRetention { [settings] in settings.retention(of: $0) }
        if differences.applied.contains(where: { $0.hasPrefix("[allow") }) {
            judgeReaders(whoWere: before)
        }
        if differences.applied.contains(where: { $0.hasPrefix("[presence") }) { renewPresence() }
        logger.notice(
            "ini file read again",
            metadata: ["changed": "\(differences.applied.joined(separator: ", "))"]
        )
    }

    /// Accepts nobody any more and answers every held request with an empty batch and its cursor.
    private func stop() {
        guard !isStopping else { return }
        stopDeadline = now + Int64(settings.fastcgi.stopSeconds) * 1000
        logger.notice("stopping", metadata: ["held": "\(held.count)"])
        // Whoever is in the backlog was told that he is connected, and gets an answer.
        while !acceptConnections() { closeDropped() }
        if isAccepting { epoll.remove(listener.descriptor) }
        listener.close()
        closeBusListener()
        if pipes.isEmpty { stopServing() } else { pumpPipes() }
        answerAllHolds(.shutdown)
        for descriptor in connections.indices where connections[descriptor].isOpen {
            // A request may be on its way already on a connection that looks idle.
            read(Int32(descriptor), toTheEnd: false)
            connections[descriptor].flags.insert(.closesWhenIdle)
            dropIfDone(Int32(descriptor))
        }
        closeDropped()
    }

    private var mayStop: Bool {
        guard let stopDeadline else {
            return isForOneClient && waitingClient == nil && openConnections == 0
        }
        return openConnections == 0 || now >= stopDeadline
    }
}

/// Random numbers for the jitter of deadlines, where a system call per request would be too much and nobody gains
/// by guessing: xorshift64.
struct Jitter {
    private var state = UInt64.random(in: 1 ... .max)

    mutating func next() -> UInt32 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt32(truncatingIfNeeded: state >> 32)
    }
}

/// The log could not be opened when the process started.
package struct LogUnavailable: Error, CustomStringConvertible {
    /// Why, as the log says it.
    let sentence: String
    package var description: String { "not started: \(sentence) (see [bus] in the ini file)" }
}

/// What other threads have to say.
enum News: Sendable {
    /// With the moment it was told, for the latency histogram.
    case log(Channels.LogEvent, nanoseconds: Int64)
    case serving(round: Int, Result<Void, ServingProblem>)
}
