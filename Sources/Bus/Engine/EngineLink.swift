import Channels
import Engine
import Synchronization
import System
import Text

/// The state that the threads of a process share about the site's engine.
///
/// A publication goes to the publisher's thread, from there to the engine, and is answered when this process has got
/// the event of its commit (`headRose`). The process that has the lock `apply` follows the engine for the whole
/// machine, and gives the writer what was committed; all others see it as they see what other processes commit.
final class EngineLink: Sendable {
    enum Command: Sendable {
        case append(Append)
        /// A question that may be answered only after the events of all that the engine had committed.
        case ask(ReadRequest)
        case stop
    }

    /// To be answered when the process has got the log's events this far.
    struct Waiter: Sendable {
        enum Answer: Sendable {
            /// `epoch` is the one in which the engine committed it.
            case appended(ticket: UInt64, isRepeated: Bool, first: Int64, count: Int, epoch: Epoch)
            case read(ReadRequest)
            /// Whether it was committed is not known. Its publisher says so, and not before it has given up.
            case unknown(ticket: UInt64)
        }

        var through: Int64
        /// The epoch that must be known, too; nil: any.
        var epoch: Epoch?
        var deadline: Int64
        var answer: Answer

        var isRepetition: Bool {
            if case .appended(_, true, _, _, _) = answer { true } else { false }
        }
    }

    fileprivate struct State: Sendable {
        var waiters: [Waiter] = []
        var position: EnginePosition?
        var anchor: EngineAnchor?
        var machines: SiteMachines?
        /// A sentence on each thing that is wrong.
        var troubles: [EngineTrouble: String] = [:]
        /// For further sentences on one that goes on.
        var notices: [EngineTrouble: Throttle] = [:]
        var lag = EngineLag()
        var figures = EngineFigures()
        var isFollower = false
        /// Whether it has asked where the log is, since another process may have applied more than this one knows of.
        var knowsPlace = false
    }

    /// What one thread remembers of its connections.
    struct Attachment {
        /// The host of the last one.
        var host = 0
        var wasConnected = false
    }

    let settings: EngineSettings
    let bus: BusSettings
    /// For the publisher's thread.
    let box = Mailbox<Command>(bell: FutexWord())
    /// For the follower's thread.
    let results = Mailbox<EngineResult>(bell: FutexWord())
    private let state = Mutex(State())

    init(_ settings: EngineSettings, _ bus: BusSettings) {
        (self.settings, self.bus) = (settings, bus)
    }

    /// The newest entry that the local log has, as far as this process knows; nil: none of this site.
    var position: EnginePosition? { state.withLock { $0.position } }

    /// Where a log that is not part of the site yet is to begin.
    var anchor: EngineAnchor? { state.withLock { $0.anchor } }

    /// Nil: this machine is not part of a site.
    var identity: EngineIdentity? {
        guard let membership = EngineMembership.read(bus), membership.state == .member else {
            return nil
        }
        return EngineIdentity(
            schema: settings.schema,
            site: membership.site,
            machine: membership.machine,
            keepMilliseconds: Int64(settings.keepSeconds) * 1000,
            keepBytes: Int64(settings.keepBytes)
        )
    }

    /// A connection, to the host of the one before if that accepts it.
    func connect(
        _ attachment: inout Attachment,
        readsLong: Bool = false,
        deadline: Int64
    ) throws(EngineError) -> EngineSession {
        guard let identity else {
            throw EngineMembership.obstacle(.read(bus)).map { .notJoined($0) } ?? .noMember
        }
        let session = try EngineSession(
            settings.postgresql,
            identity,
            preferredHost: attachment.host,
            readsLong: readsLong,
            hostMilliseconds: Int64(settings.connectSeconds) * 1000,
            deadline: deadline
        )
        state.withLock { state in
            state.figures.siteName = session.siteName
            state.figures.machine = identity.machine
            if attachment.wasConnected { state.figures.counters.reconnections += 1 }
        }
        attachment = Attachment(host: session.host, wasConnected: true)
        return session
    }

    // MARK: Machines

    /// Reports this machine's id, once; and that it may lack something, before the first event of the log.
    func introduce(_ own: MachineID, _ shared: LogShared) {
        let machines = state.withLock { state -> SiteMachines? in
            guard state.machines == nil else { return nil }
            state.machines = SiteMachines(own: own)
            state.noteCatchingUp(shared)
            return state.machines
        }
        if let machines { shared.deliver(.machines(machines)) }
    }

    /// Reports the site's machines, if they have changed.
    func tell(of machines: SiteMachines, _ shared: LogShared) {
        let isNew = state.withLock { state in
            defer { state.machines = machines }
            return state.machines != machines
        }
        if isNew { shared.deliver(.machines(machines)) }
    }

    // MARK: Troubles

    /// Notes a trouble, or that it has ended, and reports it; returns whether it is to be logged: while one goes on,
    /// other reasons for it are logged now and then.
    func note(_ problem: String?, of trouble: EngineTrouble, _ shared: LogShared) -> Bool {
        state.withLock { $0.note(problem, of: trouble, shared) }
    }

    /// Whether the engine was out of reach when it was last asked.
    var cannotPublish: Bool { state.withLock { $0.troubles[.publishing] != nil } }

    // MARK: Those that wait

    /// Answers it at once if the process has got all of it already.
    func wait(_ waiter: Waiter, _ shared: LogShared) {
        state.withLock { $0.waiters.append(waiter) }
        headRose(shared)
    }

    /// The process has got further events of the log, or other epochs. Any thread, but not while the position is
    /// locked.
    func headRose(_ shared: LogShared) {
        guard state.withLock({ !$0.waiters.isEmpty || $0.lag.isAwaiting }) else { return }
        let position = shared.position
        guard let opened = position.opened else { return }
        let knows = opened.epochs.knows
        let ready = take { waiter in
            waiter.through <= position.head && waiter.epoch.map(knows) ?? true
        }
        for waiter in ready { answer(waiter, opened.epochs, shared) }
        noteLag(shared) { $0.told(head: position.head, knows: knows) }
    }

    /// Answers those whose deadline has passed: what was committed is committed; a question stays open.
    func expire(now: Int64, _ shared: LogShared) {
        for waiter in take({ $0.deadline <= now }) {
            let position = shared.position
            // If the log is behind, it may not know the epoch yet; a repetition may be of an older one.
            let isKnown = waiter.isRepetition && waiter.through <= position.head
            answer(waiter, isKnown ? position.opened?.epochs : nil, shared, isLate: true)
        }
    }

    /// The next deadline.
    var nextDeadline: Int64? { state.withLock { $0.waiters.map(\.deadline).min() } }

    private func take(_ isReady: (Waiter) -> Bool) -> [Waiter] {
        state.withLock { state in
            var (ready, rest): ([Waiter], [Waiter]) = ([], [])
            for waiter in state.waiters {
                if isReady(waiter) { ready.append(waiter) } else { rest.append(waiter) }
            }
            if !ready.isEmpty { state.waiters = rest }
            return ready
        }
    }

    private func answer(
        _ waiter: Waiter,
        _ epochs: EpochHistory?,
        _ shared: LogShared,
        isLate: Bool = false
    ) {
        switch waiter.answer {
        case .unknown(let ticket): shared.deliver(.appended(ticket: ticket, .unavailable))
        case .read(let request):
            if isLate {
                shared.deliver(request.failed)
            } else {
                shared.readerBox.post(.read(request))
            }
        case .appended(let ticket, let isRepeated, let first, let count, let epoch):
            let ids = (first..<first + Int64(count)).map { number in
                let offset = Offset(number)
                return Channels.Cursor(epoch: epochs?.epoch(of: offset) ?? epoch, offset: offset)
            }
            shared.deliver(
                .appended(
                    ticket: ticket,
                    isRepeated ? .repeated(ids: ids) : .committed(ids: ids)
                )
            )
        }
    }
}

// MARK: - How far this machine is

extension EngineLink {
    /// The figures for an operator. Any thread; it does not block.
    var figures: EngineFigures {
        state.withLock { state in
            var figures = state.figures
            figures.lagMilliseconds = state.lag.milliseconds(now: MonotonicClock.milliseconds())
            figures.canPublish = figures.head != nil && state.troubles[.publishing] == nil
            if state.isFollower {
                figures.applied = state.knowsPlace ? state.position?.seq : nil
                figures.canFollow = figures.head != nil && state.troubles[.following] == nil
            }
            return figures
        }
    }

    func count(_ change: (inout EngineFigures.Counters) -> Void) {
        state.withLock { change(&$0.figures.counters) }
    }

    /// From now on this process applies what the engine commits.
    func beginsFollowing() { state.withLock { $0.isFollower = true } }

    /// This process knows the place of the log that it applies to; nil: it is where it was, as far as is known.
    func foundPlace(_ position: EnginePosition?) {
        state.withLock { state in
            state.knowsPlace = true
            if let position { state.position = position }
        }
    }

    /// The local log has the site's entries up to this one.
    func isAt(_ position: EnginePosition) { state.withLock { $0.position = position } }

    /// The local log is not part of the site yet, and is to begin there.
    func begins(at anchor: EngineAnchor) { state.withLock { $0.anchor = anchor } }

    /// The local log has begun where it was to begin.
    func hasBegun(at position: EnginePosition) {
        state.withLock { ($0.anchor, $0.position) = (nil, position) }
    }

    /// The local log is not part of the site yet, and where it is to begin is not known.
    func isNowhere() { state.withLock { $0.position = nil } }

    /// The engine has answered how far it is.
    ///
    /// - Parameter askedAt: monotonic milliseconds.
    func looked(_ head: EngineHead, askedAt: Int64, _ shared: LogShared) {
        state.withLock { state in
            (state.figures.head, state.figures.epoch) = (head.seq, head.epoch)
            state.lag.looked(offset: head.offset, epoch: Epoch(head.epoch), askedAt: askedAt)
        }
        headRose(shared)
    }

    /// The engine has not answered.
    func missed() {
        state.withLock { state in
            state.lag.missed(at: MonotonicClock.milliseconds())
            (state.figures.outboxMessages, state.figures.outboxMilliseconds) = (nil, nil)
        }
    }

    /// The engine has this entry.
    func saw(_ seq: Int64) {
        state.withLock { $0.figures.head = max($0.figures.head ?? 0, seq) }
    }

    func saw(_ machines: [EngineMachine]) {
        let now = MonotonicClock.milliseconds()
        let seen = machines.map {
            EngineFigures.Machine(
                id: $0.id,
                name: $0.name,
                applied: $0.applied,
                behind: $0.behind,
                seenAt: now - $0.seenMillisecondsAgo
            )
        }
        let away = machines.filter { $0.seenMillisecondsAgo > EngineMachine.awayMilliseconds }.count
        state.withLock { ($0.figures.machines, $0.figures.machinesAway) = (seen, away) }
    }

    func saw(outbox: (messages: Int64, milliseconds: Int64)) {
        state.withLock {
            ($0.figures.outboxMessages, $0.figures.outboxMilliseconds) = outbox
        }
    }

    /// The process that applies has read these entries, or found none.
    func read(_ groups: [EngineGroup]) {
        let oldest = groups.first.map { MonotonicClock.milliseconds() - $0.ageMilliseconds }
        state.withLock { state in
            state.lag.missing(since: oldest)
            if let last = groups.last {
                state.figures.head = max(state.figures.head ?? 0, last.position.seq)
            }
        }
    }

    /// This machine's log is at this position now, having applied some of these entries.
    func applied(_ groups: [EngineGroup], through position: EnginePosition) {
        count { counters in
            for group in groups where group.position.seq <= position.seq {
                counters.messagesApplied += group.count
                guard case .epoch(let epoch) = group.content else { continue }
                counters.epochs += 1
                if let told = epoch.told, told >= epoch.start { counters.losses += 1 }
            }
        }
    }

    /// Notes whether this machine lags, after a change; any thread, not while the position is locked.
    func noteLag(_ shared: LogShared, after change: (inout EngineLag) -> Void = { _ in }) {
        // Before that, the process is not ready for another reason.
        let isOpen = shared.position.opened != nil
        let now = MonotonicClock.milliseconds()
        let limit = Int64(settings.maxLagSeconds) * 1000
        let sentence = "this machine has been behind the others for more than max_lag"
        state.withLock { state in
            change(&state.lag)
            guard isOpen else { return }
            let isLagging = state.lag.knownMilliseconds(now: now) > limit
            state.noteCatchingUp(shared)
            guard state.note(isLagging ? sentence : nil, of: .lagging, shared) else { return }
            if isLagging {
                shared.say(
                    "\(sentence) (\(settings.maxLagSeconds) s), so it is not ready",
                    .warning
                )
            } else {
                shared.say("this machine is up to date again", .notice)
            }
        }
    }
}

extension EngineLink.State {
    private static let pauseMilliseconds: Int64 = 10_000

    fileprivate mutating func noteCatchingUp(_ shared: LogShared) {
        let sentence = "this machine is catching up with the others"
        _ = note(lag.isCatchingUp ? sentence : nil, of: .catchingUp, shared)
    }

    /// Reports to the process within the lock, so that what several threads note arrives in order.
    fileprivate mutating func note(
        _ problem: String?,
        of trouble: EngineTrouble,
        _ shared: LogShared
    ) -> Bool {
        let former = troubles[trouble]
        guard former != problem else { return false }
        troubles[trouble] = problem
        if former == nil || problem == nil {
            shared.deliver(.engine(EngineTrouble.allCases.first { troubles[$0] != nil }))
        }
        let now = MonotonicClock.milliseconds()
        return notices[trouble, default: Throttle(milliseconds: Self.pauseMilliseconds)]
            .passes(now: now, always: former == nil || problem == nil)
    }
}
