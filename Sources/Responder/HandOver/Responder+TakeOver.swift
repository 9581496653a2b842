internal import Configuration
internal import Core
internal import Logging
internal import Reactor
internal import System

/// Taking everything over from an older process, from the side of the newer one.
extension Responder {
    /// This process is stopped before its turn: the older one continues.
    func giveUpTakeOver() {
        guard let source = takeOver.takeSource() else { return }
        source.unable("the new process was stopped")
        sources.epoll.remove(source.descriptor)
    }

    /// Messages of the older process have come.
    func hearPredecessor() throws {
        guard let source = takeOver.source else { return }
        let heard = source.hear(
            listen: settings.fastcgi.listen == .inherited ? nil : "\(settings.fastcgi.listen)",
            limits: connections.limits,
            room: takeOver.room
        )
        // Its end would be reported again and again.
        if source.hasLeft { sources.epoll.remove(source.descriptor) }
        try step(heard)
    }

    /// Does what is due.
    func turnTakeOver() throws {
        guard let source = takeOver.source else { return }
        takeOver.looked(now: now)
        if takeOver.reportAble() {
            logger.notice("taking over", metadata: ["process": "\(source.process)"])
        }
        if takeOver.awaitsPosition, let common = source.common, core.hasReached(common.core) {
            takeOver.reportReady()
        }
        try step(source.turn(now: now))
        try actIfItsTurn()
        if takeOver.startsAlone, !source.waitsForEnd { try startAlone() }
    }

    /// As soon as it has sent `mine`: the older process holds nothing any more, and a signal that has come meanwhile is
    /// for a process that serves.
    private func actIfItsTurn() throws {
        guard takeOver.isItsTurn, let common = takeOver.source?.common,
            core.hasReached(common.core)
        else { return }
        try actOnTakeOver()
        if takeOver.stopsLater { stop() }
    }

    private func step(_ step: TakeOver.Step) throws {
        takeOver.advance(step)
        if case .giveUp(let why) = step { throw TakeOverError(sentence: why) }
        if step == .act { try actIfItsTurn() }
    }

    /// The older process has ended without handing anything over: asks the one that has taken over from it, if there is
    /// one, or starts as if there had been none.
    private func startAlone() throws {
        _ = takeOver.takeSource()
        if let next = try TakeOver.ofRunning(settings, passed: takeOver.passed) {
            takeOver.ask(next)
            return try sources.epoll.add(next.descriptor, .read)
        }
        entrance.adopt(try Listener.forWebServers(settings.fastcgi, passed: takeOver.passed))
        logger.notice("the other process has ended; starting as usual")
        beginServing()
    }

    /// Everything that has arrived belongs to this process now.
    private func actOnTakeOver() throws {
        guard let source = takeOver.takeSource(), let common = source.common else { return }
        // A manager accepts messages of this process only after the older one has named it as the service.
        if source.hasLeft {
            sources.epoll.remove(source.descriptor)
        } else {
            takeOver.follow(source)
        }
        let begin = MonotonicClock.milliseconds()
        if let web = source.takeWeb() {
            entrance.adopt(web)
            do {
                try web.agree(with: settings.fastcgi)
            } catch {
                logger.error("\(error); it stays as it was")
            }
        } else {
            entrance.adopt(try Listener.forWebServers(settings.fastcgi, passed: takeOver.passed))
        }
        if let resting = source.restingBus { bus.adopt(passed: resting) }
        let handed = source.takeConnections()
        var named: [(id: ConnectionID, connection: HandedConnection, unsent: Int)] = []
        for (descriptor, shell, connection) in handed {
            let isBusSocket = connection.isBusSocket
            let id = connections.resume(descriptor, isBusSocket: isBusSocket, shell)
            named.append((id, connection, connections.unsentBytes(of: id)))
        }
        telemetry.resume(
            common.figures,
            common.history.isUsable ? common.history : nil
        )
        core.resume(common.core, named, at: moment)
        drain()
        for word in takeOver.takeWords() { core.heard(word, at: moment) }
        drain()
        for (id, _, _) in named {
            if connections.hasUnsent(id) { watchSending(id, true) }
            watch(id)
        }
        if let (listener, lock) = source.takeBus() {
            bus.adopt(lock: lock, listener, now: now)
        }
        connections.noteIdle()
        drain()
        logger.notice(
            "taken over",
            metadata: [
                "process": "\(source.process)", "connections": "\(handed.count)",
                "held": "\(core.heldCount)",
                "milliseconds": "\(MonotonicClock.milliseconds() - begin)",
            ]
        )
        beginServing()
    }

    /// The older process has ended.
    func hearLastOfPredecessor() {
        guard let predecessor = takeOver.predecessor else { return }
        sources.epoll.remove(predecessor.descriptor)
        takeOver.predecessorEnded()
        supervision.isServing(statusLine, now: now)
    }
}
