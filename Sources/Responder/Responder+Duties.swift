internal import Configuration
internal import Core

/// What the loop does after the events of a turn, in this order.
///
/// Each is due at a time, by the clock or because something was left for later. The loop waits until the first of these
/// times, and carries out whatever is due then, so that nothing that is carried out is slept through, or the reverse.
enum Duty: CaseIterable {
    /// Peers that sent more than one turn's share.
    case input
    case core
    /// From an older process.
    case takeOver
    /// To a newer one.
    case handOver
    /// Which process serves the bus, and whether its socket and pipes are in their places.
    case bus
    case pipes
    case siblings
    /// Peers that stopped in the middle.
    case housekeeping
    case journal
    case memory
    case supervision
    case history
    /// Connections that were given up in this turn.
    case closing
    /// Whether web servers still find the socket by its path.
    case place
    /// New connections, where there is room.
    case entrance
    /// Whether the process has stopped, which `run` looks at after each turn.
    case ending
}

extension Responder {
    /// Milliseconds until something is due that no event reports.
    var timeout: Int32 {
        var alarm = Int64.max
        for duty in Duty.allCases { alarm = min(alarm, dueAt(duty)) }
        return alarm <= now ? 0 : Int32(min(alarm - now, 60_000))
    }

    func carryOutDuties() throws {
        for duty in Duty.allCases where dueAt(duty) <= now { try perform(duty) }
    }

    /// Monotonic milliseconds; `.min`: in this turn; `.max`: only after an event.
    private func dueAt(_ duty: Duty) -> Int64 {
        // Another process goes on with everything.
        if handOver.isDone { return .max }
        return switch duty {
        case .input: connections.hasMoreInput && !handOver.isPaused ? .min : .max
        case .core: core.nextAlarm
        case .takeOver: takeOver.alarm
        case .handOver: handOver.alarm
        case .bus: mayServeBus ? bus.lookAlarm : .max
        case .pipes: mayServeBus ? bus.pipeAlarm : .max
        case .siblings: siblings.alarm
        case .housekeeping: hasSlowPeers ? housekeeping.dueAt : .max
        case .journal: journal.alarm
        case .memory: housekeeping.memoryAlarm
        case .supervision: supervision.alarm
        case .history: lifetime.isService ? telemetry.history.dueAt : .max
        case .closing: connections.hasMarked ? .min : .max
        case .place: handOver.isPaused ? .max : entrance.looksAt
        case .entrance: mayAccept ? entrance.alarm : .max
        case .ending: lifetime.alarm
        }
    }

    private func perform(_ duty: Duty) throws {
        switch duty {
        case .input: readMore()
        case .core:
            core.turn(at: clock.moment)
            drain()
        case .takeOver: try turnTakeOver()
        case .handOver: turnHandOver()
        case .bus: lookAfterBus()
        case .pipes: publishPipes()
        case .siblings: if siblings.turn(now: now) { knowSiblings() }
        case .housekeeping: keepHouse()
        case .journal: journal.turn(unsentLimit: settings.limits.unsentTotalBytes, now: now)
        case .memory: housekeeping.giveBack(now: now)
        case .supervision: supervision.turn(statusLine, now: now)
        case .history: keepHistory()
        case .closing: closeMarked()
        case .place: entrance.keepPlace(settings.fastcgi, now: now)
        case .entrance:
            connections.keepSpare()
            entrance.open(now: now)
        case .ending: break
        }
    }

    /// Whether this process is the one that acts on what comes by the bus.
    private var mayServeBus: Bool { !handOver.isPaused && !takeOver.isWaiting }

    private var mayAccept: Bool { !isStopping && !handOver.isPaused && connections.hasPlace }

    /// Whether a peer may have stopped in the middle, or places are looked for.
    private var hasSlowPeers: Bool {
        isStopping || entrance.isCrowded || connections.hasUnfinished
            || connections.hasUnsent
    }
}
