import Channels
import Engine
import Synchronization
import System

/// What the threads of a process share about the site's engine.
///
/// A publication goes to the publisher's thread, from there to the engine, and is answered when what was committed has been
/// told in this process (`headRose`). The process that has the lock `apply` follows the engine for the whole machine, and
/// hands what was committed to its writer; all others see it as they see what other processes commit.
final class EngineLink: Sendable {
    enum Command: Sendable {
        case append(Append)
        /// A question that may be answered only when all that the engine had committed has been told.
        case ask(ReadRequest)
        case stop
    }

    /// Answered when the log has been told so far.
    struct Waiter: Sendable {
        enum Answer: Sendable {
            /// `epoch` is the one in which the engine committed it.
            case appended(ticket: UInt64, isRepeated: Bool, first: Int64, count: Int, epoch: Epoch)
            case read(ReadRequest)
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

    private struct State: Sendable {
        var waiters: [Waiter] = []
        var position: EnginePosition?
        var anchor: EngineAnchor?
        var problems: [EngineProblem.Part: String] = [:]
        var machines: SiteMachines?
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
    var position: EnginePosition? {
        get { state.withLock { $0.position } }
        set { state.withLock { $0.position = newValue } }
    }

    /// Where a log that is no part of the site yet is to begin.
    var anchor: EngineAnchor? {
        get { state.withLock { $0.anchor } }
        set { state.withLock { $0.anchor = newValue } }
    }

    /// Nil: this machine is no part of a site.
    var identity: EngineIdentity? {
        guard let membership = EngineMembership.read(bus), !membership.isAdopting else {
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

    func connect(
        preferredHost: Int,
        readsLong: Bool = false,
        deadline: Int64
    ) throws(EngineError) -> EngineSession {
        guard let identity else { throw .noMember }
        return try EngineSession(
            settings.postgresql,
            identity,
            preferredHost: preferredHost,
            readsLong: readsLong,
            hostMilliseconds: Int64(settings.connectSeconds) * 1000,
            deadline: deadline
        )
    }

    // MARK: Machines

    /// Says who this machine is, once.
    func introduce(_ own: MachineID, _ shared: LogShared) {
        let machines = state.withLock { state -> SiteMachines? in
            guard state.machines == nil else { return nil }
            state.machines = SiteMachines(own: own)
            return state.machines
        }
        if let machines { shared.deliver(.machines(machines)) }
    }

    /// Tells of the site's machines, if that is new.
    func tell(of machines: SiteMachines, _ shared: LogShared) {
        let isNew = state.withLock { state in
            defer { state.machines = machines }
            return state.machines != machines
        }
        if isNew { shared.deliver(.machines(machines)) }
    }

    // MARK: Problems

    /// Notes what keeps a part from working, or that nothing does, and tells the process; whether that is new.
    func note(_ problem: String?, of part: EngineProblem.Part, _ shared: LogShared) -> Bool {
        let (isNew, first) = state.withLock { state -> (Bool, String?) in
            guard state.problems[part] != problem else { return (false, nil) }
            state.problems[part] = problem
            return (true, state.problems[.publishing] ?? state.problems[.following])
        }
        if isNew { shared.deliver(.engine(problem: first)) }
        return isNew
    }

    /// Whether the engine was out of reach when it was asked last.
    var cannotPublish: Bool { state.withLock { $0.problems[.publishing] != nil } }

    // MARK: Those that wait

    /// Answers it at once, if all is told already.
    func wait(_ waiter: Waiter, _ shared: LogShared) {
        state.withLock { $0.waiters.append(waiter) }
        headRose(shared)
    }

    /// The log was told further, or under other epochs. Any thread, not while the position is locked.
    func headRose(_ shared: LogShared) {
        guard state.withLock({ !$0.waiters.isEmpty }) else { return }
        let position = shared.position
        guard let opened = position.opened else { return }
        let ready = take { waiter in
            waiter.through <= position.head
                && waiter.epoch.map { epoch in
                    opened.epochs.stretches.contains { $0.epoch == epoch }
                } ?? true
        }
        for waiter in ready { answer(waiter, opened.epochs, shared) }
    }

    /// Answers those whose time is over: what was committed is committed; a question stays open.
    func expire(now: Int64, _ shared: LogShared) {
        for waiter in take({ $0.deadline <= now }) {
            let position = shared.position
            // Where the log is behind, it may not know the epoch yet; a repetition may be of an older one.
            let isKnown = waiter.isRepetition && waiter.through <= position.head
            answer(waiter, isKnown ? position.opened?.epochs : nil, shared, isLate: true)
        }
    }

    /// When the next one's time is over.
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

enum EngineProblem {
    enum Part: Hashable { case publishing, following }
}
