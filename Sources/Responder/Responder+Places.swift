internal import CLinux
internal import Configuration
internal import Core
internal import Endpoint
internal import Glibc
internal import System

/// New connections and places: which connections are accepted, and which are closed if places or memory run out.
extension Responder {
    // MARK: Accepting

    /// Accepts a bounded share of new connections: deliveries must not wait for a large number of them, nor for a few
    /// with expensive requests, such as one for a thousand channels.
    ///
    /// - Returns: whether no connection waits any more.
    @discardableResult
    func acceptWebServers() -> Bool {
        let end = MonotonicClock.milliseconds() + 10
        for _ in 0..<256 {
            guard connections.hasPlace || isStopping || makePlace() else {
                telemetry.count(.connections)
                entrance.waitForPlaces()
                // New connections have until the next look to send their first requests.
                housekeeping.looked(now: now)
                return true
            }
            switch connections.accept(from: entrance.descriptor, isBusSocket: false) {
            case .connection(let id):
                telemetry.accepted()
                core.connected(id)
                begin(id)
            case .nobody: return true
            case .noDescriptor where makePlace(ofHolds: true): break
            case .noDescriptor:
                telemetry.count(.descriptors)
                if !connections.turnAway(from: entrance.descriptor) {
                    entrance.waitAMoment(now: now)
                }
                return true
            case .failed:
                telemetry.count(.descriptors)
                entrance.waitAMoment(now: now)
                return true
            }
            if MonotonicClock.milliseconds() >= end { break }
        }
        return false
    }

    func acceptBusClients() {
        for _ in 0..<64 {
            switch connections.accept(from: bus.descriptor, isBusSocket: true) {
            case .connection(let id):
                guard connections.busCount <= connections.bounds.bus,
                    let peer = SystemCalls.credentials(of: id.index)
                else {
                    turnAway(id)
                    continue
                }
                let isOwner = peer.user == 0 || peer.user == geteuid()
                welcome(id, LocalPeer(user: peer.user, groups: peer.groups, isOwner: isOwner))
            case .noDescriptor:
                telemetry.count(.descriptors)
                // It is created again soon; clients in its backlog are told to come back.
                bus.closeSocket()
                return
            case .nobody, .failed: return
            }
        }
    }

    private func turnAway(_ id: ConnectionID) {
        telemetry.count(.busClients)
        let sentence = BusInterface.tooManyClients(settings.limits)
        _ = unsafe sentence.withUnsafeBytes { unsafe SystemCalls.send(id.index, $0) }
        connections.mark(id, nil)
        closeMarked()
    }

    func welcome(_ id: ConnectionID, _ client: LocalPeer) {
        core.connected(id, client: client)
        begin(id)
    }

    /// The first request has usually arrived already: a short one is answered without registering with epoll.
    private func begin(_ id: ConnectionID) {
        read(id, toTheEnd: false)
        drain()
        watch(id)
        connections.noteIdle()
    }

    // MARK: Places

    /// Closes a connection for a new one: one that is kept and idle; otherwise that of the request that has been arriving
    /// longest; otherwise that of the peer that has not read for longest; otherwise, if something else has taken the
    /// descriptors, that of the oldest hold, which is told when to come back.
    ///
    /// - Returns: false if no connection could be closed.
    @discardableResult
    private func makePlace(ofHolds: Bool = false) -> Bool {
        guard
            connections.hasMarked || closeIdle() || closeUnfinished() || closeUnread()
                || ofHolds && closeOldestHold()
        else { return false }
        // Now, not at the end of the turn: the new connection needs the descriptor.
        closeMarked()
        return true
    }

    private func closeIdle() -> Bool {
        while let id = connections.leastUsed(where: { core.standing(of: $0) != .busy }) {
            closeKept(id)
            if connections.hasMarked { return true }
        }
        return false
    }

    /// Closes a kept connection that is idle.
    ///
    /// Its web server may be about to send a request on it, so the connection is closed at once, not at the end of the
    /// turn; if input has already arrived, it is read instead.
    func closeKept(_ id: ConnectionID) {
        guard !connections.hasInput(id) else { return connections.readLater(id) }
        telemetry.count(.idleConnections)
        lose(id, .closed, atOnce: true)
    }

    private func closeUnfinished() -> Bool {
        let oldest = connections.oldestUnfinished(
            milliseconds: 1000,
            holdingMemory: false,
            now: now
        )
        guard let oldest else { return false }
        telemetry.count(.unfinishedBytes)
        answerUnfinished(oldest)
        lose(oldest, .closed)
        return true
    }

    private func closeUnread() -> Bool {
        guard let oldest = connections.mostStuck(milliseconds: 5000, now: now) else {
            return false
        }
        telemetry.count(.unsentTime)
        lose(oldest, .slow)
        return true
    }

    private func closeOldestHold() -> Bool {
        for _ in 0..<16 {
            guard core.giveWay(at: moment) != nil else { return false }
            drain()
            if connections.hasMarked { return true }
        }
        return false
    }

    // MARK: Unfinished requests

    /// If they take too much memory together, those that have been arriving longest give way.
    func boundUnfinished() {
        while connections.unfinishedBytes > settings.limits.unfinishedBytes {
            let before = connections.unfinishedBytes
            let oldest = connections.oldestUnfinished(
                milliseconds: 0,
                holdingMemory: true,
                now: now
            )
            guard let oldest else { return }
            telemetry.count(.unfinishedBytes)
            if connections.isBusSocket(oldest) {
                core.endCommand(of: oldest, .crowded, at: moment)
                drain()
            } else {
                answerUnfinished(oldest)
            }
            guard connections.unfinishedBytes < before else { return }
        }
    }

    /// Answers a connection's unfinished requests, discards them, and skips the rest.
    private func answerUnfinished(_ id: ConnectionID) {
        let addresses = connections.giveUpUnfinished(id).map {
            RequestAddress(connection: id, id: $0.id, keepConnection: $0.keepConnection)
        }
        core.gaveUp(addresses, on: id, at: moment)
        drain()
    }

    // MARK: Periodic checks

    /// Drops peers that stopped in the middle; called at most four times a second.
    func keepHouse() {
        housekeeping.looked(now: now)
        let limits = settings.limits
        let receiving = Int64(limits.requestSeconds) * 1000
        for id in connections.overdue(milliseconds: receiving, now: now) {
            telemetry.count(.requestTime)
            if connections.isBusSocket(id) {
                core.endCommand(of: id, .outOfTime, at: moment)
            } else {
                lose(id, .closed)
            }
        }
        let sending = Int64(limits.unsentSeconds) * 1000
        for id in connections.stuck(milliseconds: sending, now: now) {
            telemetry.count(.unsentTime)
            lose(id, .slow)
        }
        drain()
        if connections.tidy() { housekeeping.freed(now: now) }
        guard entrance.isCrowded else { return }
        // A connection may have become idle, or may have been unfinished for too long.
        connections.stopAwaitingFirstRequests()
        makePlace()
    }

    /// Closes connections that were given up.
    func closeMarked() {
        drain()
        if connections.closeMarked() { housekeeping.freed(now: now) }
    }
}
