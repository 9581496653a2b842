internal import Channels
package import Configuration
internal import DequeModule
internal import Endpoint

/// Decides on polls, streams, publications, the bus socket's commands and presence, and ends all of them.
///
/// Pure: events come in as calls with the time at which they happened, and actions come out, in the order in which they
/// are to be carried out. The same events at the same times, with the same seed, give the same actions. It has no
/// descriptor, system call or clock, and calls nothing of the shell: what it must know of a connection beyond its events
/// it asks by an action (`look`), whose answer is an event as well.
///
/// How the shell drives it: `connected` for each connection; then one call for each event; after each call
/// `exchange(&actions)`, and the actions are carried out, until no more come. Then `unsent` reports what a peer did not
/// take, and `connectionLost` that a connection was found lost. Once in a turn of the loop, after its events, `turn`;
/// the next one is due at `nextAlarm`.
///
/// Calls for each request are `mutating` even if they change nothing: a value of this size that is only borrowed is
/// copied as a whole to be passed.
///
/// Each part owns its state; this type connects them. Nothing that it asks for is answered within a call, and sends
/// cannot fail within one, so what it iterates over does not change meanwhile. A connection is given up by the last act of
/// an event of its own, or of the answer to a look. So whether one is still open is asked only where an event of it begins
/// (`enter`, `connectionLost`), where something comes back for it (`settle`, `made`, `looked`), and where it continues
/// later (`carryOutAgenda`, `askReader`).
package struct Core: ~Copyable {
    /// What was counted so far.
    package internal(set) var counters = CoreCounters()

    var rules: Rules
    let connectionLimit: Int
    let isForOneClient: Bool
    /// This many bytes at most are made before they are taken, except for the last piece.
    let bytesAtOnce: Int

    var connections: Connections
    var turns = Turns()
    var peers = BusPeers()
    var holds: Holds
    /// Streams that are not live.
    var replays = ReplayTable()
    var agenda = Agenda()
    var waiting = Waiting()
    /// What waits for an answer to `Action.look`, in the same order.
    var looks: Deque<Look> = []
    var names: RequestNames
    var frontEnds: FrontEnds
    var presence: PresenceService
    /// Monotonic milliseconds when figures are sent next to the streams that show them.
    var figuresAt: Int64 = .max
    var jitter: Jitter
    /// For polls that ask for the same.
    var polls = PollMemory()

    var knownLog = KnownLog()
    /// The batch that is being delivered.
    var delivery: Delivery?
    /// Bodies of immediate answers.
    var recentBodies = RecentBodies()

    /// When the current event happened.
    var moment: Moment
    var timestamps = Timestamps()
    var actions = Actions()
    /// Other processes are there to be told.
    var hasSiblings = false
    var isStopping = false
    /// It is about to be handed over to another process.
    var isPaused = false
    var keepsConnections = true

    /// - Parameters:
    ///   - numbers: the users and groups that the ini file names; those that this machine does not have are left out.
    ///   - connectionLimit: connections of web servers at a time; a tenth of them is never held.
    ///   - isForOneClient: the process serves one client of the bus alone; it does not read the events of members.
    ///   - bytesAtOnce: this many bytes at most are made before they are taken, except for the last piece.
    ///   - seed: of the jitter of deadlines; not 0.
    ///   - now: monotonic milliseconds.
    package init(
        settings: Settings,
        numbers: [LocalPrincipal: UInt32],
        connectionLimit: Int,
        isForOneClient: Bool = false,
        bytesAtOnce: Int = 4 * 1024 * 1024,
        seed: UInt64,
        now: Int64
    ) {
        rules = Rules(settings, numbers: numbers)
        self.connectionLimit = connectionLimit
        self.isForOneClient = isForOneClient
        self.bytesAtOnce = bytesAtOnce
        let room = min(connectionLimit, Self.firstRoom)
        connections = Connections(room: room)
        holds = Holds(now: now, room: room)
        frontEnds = FrontEnds(settings: settings.hold)
        presence = PresenceService(rules)
        names = RequestNames(
            // Does not reveal the seed.
            process: UInt32(truncatingIfNeeded: (seed &* 0x9E37_79B9_7F4A_7C15) >> 32),
            isTracing: settings.log.level == .debug
        )
        jitter = Jitter(seed: seed)
        moment = Moment(
            milliseconds: now,
            nanoseconds: 0,
            retentionMilliseconds: 0,
            committedHead: nil
        )
    }

    /// Connections and holds for which tables have room from the beginning, at most.
    package static let firstRoom = 65_536

    var now: Int64 { moment.milliseconds }

    var settings: Settings { rules.settings }
    var interface: HTTPInterface { rules.interface }
    var busInterface: BusInterface { rules.busInterface }

    /// An event begins.
    mutating func enter(_ moment: Moment) {
        self.moment = moment
        names.forgetActing()
        // A batch that is being delivered must not meet new holds.
        while delivery != nil { goOnDelivering(upTo: .max) }
    }

    /// An event of one connection begins.
    ///
    /// - Returns: false if it has been given up, of which the shell may not have heard.
    mutating func enter(_ connection: ConnectionID, at moment: Moment) -> Bool {
        enter(moment)
        return connections.isOpen(connection)
    }

    // MARK: Actions

    /// Whether there are actions. How many bytes are made at a time is bounded: `exchange` while there are actions.
    package var hasActions: Bool {
        mutating get { !actions.isEmpty || delivery != nil || waiting.mayAskReader }
    }

    /// Takes the actions, and leaves an empty buffer in their place.
    ///
    /// - Parameter actions: those that were carried out; the buffer is emptied and used again.
    package mutating func exchange(_ actions: inout Actions) {
        if self.actions.isEmpty, delivery != nil { goOnDelivering(upTo: bytesAtOnce) }
        if waiting.mayAskReader { askReader() }
        swap(&self.actions, &actions)
        self.actions.removeAll()
    }

    /// Call `exchange` before passing in further requests: each may have a long answer.
    package var isFull: Bool { mutating get { actions.byteCount >= bytesAtOnce } }

    // MARK: Time

    /// Does what is due by the clock, and what continues from turn to turn; called once a turn, after its events.
    package mutating func turn(at moment: Moment) {
        enter(moment)
        carryOutAgenda()
        for duty in Duty.allCases where dueAt(duty) <= now { perform(duty) }
    }

    /// Monotonic milliseconds when `turn` is to be called again at the latest; `.min`: at once; `.max`: only after an event.
    package var nextAlarm: Int64 {
        mutating get {
            if hasActions || !agenda.isEmpty { return .min }
            var next = Int64.max
            for duty in Duty.allCases { next = min(next, dueAt(duty)) }
            return next
        }
    }

    /// Carries out the agenda, until so many bytes are made that they are to be taken first. What is added meanwhile is
    /// for the next turn.
    private mutating func carryOutAgenda() {
        var left = agenda.count
        while left > 0, !isFull, let item = agenda.next() {
            left -= 1
            switch item {
            case .replay(let replay) where isPaused: agenda.rest(replay)
            case .replay(let replay): if replays.contains(replay) { advance(replay) }
            case .connection(let connection):
                guard connections.isOpen(connection) else { continue }
                connections.unschedule(connection)
                if connections[connection].flags.contains(.bus) {
                    executeCommands(of: connection)
                } else if takeUpNext(of: connection), connections.schedule(connection) {
                    agenda.putBack(item)
                    left += 1
                }
            }
        }
    }

    /// The commands or queued requests of a connection continue in the next turn.
    mutating func goOnLater(_ connection: ConnectionID) {
        if connections.schedule(connection) { agenda.append(.connection(connection)) }
    }
}

/// What only the clock makes due. `turn` and `nextAlarm` use the same list, so that nothing due is missed.
private enum Duty: CaseIterable {
    case holds
    case presence
    case presenceReading
    case figures
    case waiting
}

extension Core {
    /// Monotonic milliseconds; `.max`: only after an event.
    private mutating func dueAt(_ duty: Duty) -> Int64 {
        // A paused core asks no questions that can wait.
        if isPaused, duty != .holds, duty != .waiting { return .max }
        return switch duty {
        case .holds: holds.nextDue(now: now)
        case .presence: isStopping ? .max : presence.nextLook
        case .presenceReading: presence.readsAt
        case .figures: figuresAt
        case .waiting: waiting.nextDeadline
        }
    }

    private mutating func perform(_ duty: Duty) {
        switch duty {
        case .holds:
            endExpired()
            probeDue()
        case .presence: tellOfPresence()
        case .presenceReading: loadPresence()
        case .figures: askForFigures()
        case .waiting: endOverdue()
        }
    }
}
