internal import Configuration
internal import Core
internal import Logging
internal import Reactor
internal import System

/// Taking everything over from an older process, from the side of the newer one.
extension Responder {
    /// This process is stopped before its turn: the older one continues.
    func giveUpTakeOver() {
        guard let takeOver = succession.takeOver else { return }
        takeOver.unable("the new process was stopped")
        sources.epoll.remove(takeOver.descriptor)
        succession.takeOver = nil
    }

    /// Messages of the older process have come.
    func hearPredecessor() throws {
        guard let takeOver = succession.takeOver else { return }
        let heard = takeOver.hear(
            listen: settings.fastcgi.listen == .inherited ? nil : "\(settings.fastcgi.listen)",
            limits: connections.limits,
            room: succession.descriptorLimit - 64
        )
        // Its end would be reported again and again.
        if takeOver.hasLeft { sources.epoll.remove(takeOver.descriptor) }
        try step(heard)
    }

    /// Does what is due.
    func turnTakeOver() throws {
        guard let takeOver = succession.takeOver else { return }
        succession.looksAtTakeOver(now: now)
        if succession.isLogOpen, takeOver.able() {
            logger.notice("taking over", metadata: ["process": "\(takeOver.process)"])
        }
        if succession.awaitsPosition, let common = takeOver.common, core.hasReached(common.core) {
            succession.awaitsPosition = false
            takeOver.ready()
        }
        try step(takeOver.turn(now: now))
        try actIfItsTurn()
        if succession.startsAlone, !takeOver.waitsForEnd { try startAlone() }
    }

    /// As soon as it has sent `mine`: the older process holds nothing any more, and a signal that has come meanwhile is
    /// for a process that serves.
    private func actIfItsTurn() throws {
        guard succession.isItsTurn, let common = succession.takeOver?.common,
            core.hasReached(common.core)
        else { return }
        try actOnTakeOver()
        if succession.stopsLater { stop() }
    }

    private func step(_ step: TakeOver.Step) throws {
        switch step {
        case .wait: break
        case .whole: succession.awaitsPosition = true
        case .act:
            succession.isItsTurn = true
            try actIfItsTurn()
        case .startAlone: succession.startsAlone = true
        case .giveUp(let why): throw TakeOverError(sentence: why)
        }
    }

    /// The older process has ended without handing anything over: asks the one that has taken over from it, if there is
    /// one, or starts as if there had been none.
    private func startAlone() throws {
        succession.takeOver = nil
        succession.startsAlone = false
        if let next = try TakeOver.ofRunning(settings, passed: succession.passed) {
            succession.takeOver = next
            return try sources.epoll.add(next.descriptor, .read)
        }
        entrance.adopt(try Listener.forWebServers(settings.fastcgi, passed: succession.passed))
        logger.notice("the other process has ended; starting as usual")
        beginServing()
    }

    /// Everything that has arrived belongs to this process now.
    private func actOnTakeOver() throws {
        guard let takeOver = succession.takeOver, let common = takeOver.common else { return }
        succession.takeOver = nil
        // A manager accepts messages of this process only after the older one has named it as the service.
        if takeOver.hasLeft {
            sources.epoll.remove(takeOver.descriptor)
        } else {
            succession.predecessor = takeOver
        }
        let begin = MonotonicClock.milliseconds()
        if let web = takeOver.takeWeb() {
            entrance.adopt(web)
            do {
                try web.agree(with: settings.fastcgi)
            } catch {
                logger.error("\(error); it stays as it was")
            }
        } else {
            entrance.adopt(try Listener.forWebServers(settings.fastcgi, passed: succession.passed))
        }
        if let resting = takeOver.restingBus { bus.adopt(passed: resting) }
        let handed = takeOver.takeConnections()
        var named: [(id: ConnectionID, connection: HandedConnection, unsent: Int)] = []
        for (descriptor, shell, connection) in handed {
            let isBusSocket = connection.isBusSocket
            let id = connections.resume(descriptor, isBusSocket: isBusSocket, shell.table)
            if let unsent = shell.output { connections.output.resume(unsent, descriptor) }
            named.append((id, connection, connections.output.unsentBytes(of: descriptor)))
        }
        telemetry.resume(
            common.figures,
            common.history.isUsable ? common.history : nil
        )
        core.resume(common.core, named, at: moment)
        drain()
        for word in succession.takeWords() { core.heard(word, at: moment) }
        drain()
        for (id, _, _) in named {
            if !connections.output.isEmpty(id.index) { watchSending(id, true) }
            watch(id)
        }
        if let (listener, lock) = takeOver.takeBus() {
            bus.adopt(lock: lock, listener, now: now)
        }
        connections.noteIdle()
        drain()
        logger.notice(
            "taken over",
            metadata: [
                "process": "\(takeOver.process)", "connections": "\(handed.count)",
                "held": "\(core.heldCount)",
                "milliseconds": "\(MonotonicClock.milliseconds() - begin)",
            ]
        )
        beginServing()
    }

    /// The older process has ended.
    func hearLastOfPredecessor() {
        guard let predecessor = succession.predecessor else { return }
        sources.epoll.remove(predecessor.descriptor)
        succession.predecessor = nil
        supervision.isServing(statusLine, now: now)
    }
}
