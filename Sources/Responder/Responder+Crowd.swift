internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Glibc
internal import Reactor

/// More connections than there are places, and more unfinished requests than there is memory for: who gives way.
extension Responder {
    // MARK: Places

    /// Closes a connection for a newcomer: one that is kept and idle; else that of the request that has been arriving
    /// longest; else that of the peer that has not read for longest; else, where others than these have taken the descriptors, that of the oldest hold, which is told when to
    /// come back.
    ///
    /// - Returns: false if nobody gives way.
    @discardableResult
    func makePlace(ofHolds: Bool = false) -> Bool {
        guard
            !dropped.isEmpty || closeIdle() || closeUnfinished() || closeUnread()
                || ofHolds && closeOldestHold()
        else { return false }
        // Not at the end of the turn: the newcomer needs the descriptor.
        closeDropped()
        return true
    }

    /// The one that was of no use for the longest time, nearly: a hand goes round, and passes over once who was used
    /// since it came by. A web server's pool uses the newest first, so that the others are not about to be used.
    private func closeIdle() -> Bool {
        guard mayHaveIdle else { return false }
        for _ in 0..<2 * connections.count {
            idleHand = idleHand + 1 < connections.count ? idleHand + 1 : 0
            let connection = connections[idleHand]
            guard connection.isOpen, connection.isIdle, !connection.flags.contains(.busSocket)
            else { continue }
            guard !connection.flags.contains(.used) else {
                // The first request of a newcomer is awaited, for some time (`keepHouse`).
                if connection.requests > 0 { connections[idleHand].flags.remove(.used) }
                continue
            }
            closeKept(Int32(idleHand))
            if !dropped.isEmpty { return true }
        }
        mayHaveIdle = false
        return false
    }

    /// All places are taken, also by those that end in this turn: what is answered now is not kept.
    var isCrowded: Bool { webConnections - dropped.count >= connectionLimit }

    /// Closes a kept connection on which nothing goes on.
    ///
    /// Its web server may be about to ask something on it. So it is told at once, not at the end of the turn; and what
    /// has come already is looked at instead.
    func closeKept(_ descriptor: Int32) {
        guard !SystemCalls.hasInput(descriptor) else { return readLater(descriptor) }
        shutdown(descriptor, Int32(SHUT_RDWR))
        metrics[.idleConnections] += 1
        drop(descriptor, .closed)
    }

    private func closeUnfinished() -> Bool {
        guard let descriptor = oldestUnfinished(isOf: 1000, holdingMemory: false) else {
            return false
        }
        metrics[.unfinishedBytes] += 1
        answerUnfinished(descriptor)
        drop(descriptor, .closed)
        return true
    }

    private func closeUnread() -> Bool {
        var oldest: (descriptor: Int32, since: Int64)?
        for descriptor in unfinished where connections[Int(descriptor)].isOpen {
            guard let extra = connections[Int(descriptor)].extra, !extra.unsent.isEmpty,
                extra.progressedAt <= now - 5000, extra.progressedAt < oldest?.since ?? .max
            else { continue }
            oldest = (descriptor, extra.progressedAt)
        }
        guard let oldest else { return false }
        metrics[.unsentTime] += 1
        drop(oldest.descriptor, .slow)
        return true
    }

    private func closeOldestHold() -> Bool {
        for _ in 0..<16 {
            let oldest = arrivals.all.oldest(of: Everybody())
            guard
                let descriptor = oldest.map({ held[$0].connection })
                    ?? replays.oldest?.requester.connection
            else { return false }
            metrics[.heldRequests] += 1
            sendAway(oldest, or: replays.oldest)
            connections[Int(descriptor)].flags.insert(.closesWhenIdle)
            dropIfDone(descriptor)
            if !dropped.isEmpty { return true }
        }
        return false
    }

    /// Newcomers wait, and nothing has been closed since: somebody may have become idle, or unfinished for too long.
    func lookForPlaces() {
        for descriptor in connections.indices where connections[descriptor].requests == 0 {
            connections[descriptor].flags.remove(.used)
        }
        mayHaveIdle = true
        makePlace()
    }

    // MARK: Unfinished requests

    /// Brings what a connection's unfinished requests count for up to date.
    func charge(_ descriptor: Int32) {
        guard let extra = connections[Int(descriptor)].extra else { return }
        let bytes = extra.storedBytes
        unfinishedBytes += bytes - extra.chargedBytes
        extra.chargedBytes = bytes
    }

    /// Where they take too much memory together, those that have been arriving longest give way.
    func boundUnfinished() {
        while unfinishedBytes > settings.limits.unfinishedBytes {
            guard let descriptor = oldestUnfinished(isOf: 0, holdingMemory: true) else { return }
            metrics[.unfinishedBytes] += 1
            if connections[Int(descriptor)].flags.contains(.busSocket) {
                endUnfinishedCommand(descriptor, busInterface.tooSlow)
            } else {
                answerUnfinished(descriptor)
            }
        }
    }

    /// The connection whose unfinished request was begun first, if that is so long ago; also one that is answered already,
    /// but for its memory. Where memory is not wanted, a place is: those of the bus socket have their own.
    private func oldestUnfinished(isOf age: Int64, holdingMemory: Bool) -> Int32? {
        var oldest: (descriptor: Int32, since: Int64)?
        for descriptor in unfinished {
            guard let extra = connections[Int(descriptor)].extra,
                connections[Int(descriptor)].isOpen,
                holdingMemory
                    ? extra.isReceiving && extra.chargedBytes > 0 : extra.assembler != nil,
                extra.incompleteSince <= now - age,
                extra.incompleteSince < oldest?.since ?? .max
            else { continue }
            oldest = (descriptor, extra.incompleteSince)
        }
        return oldest?.descriptor
    }

    /// Answers a connection's unfinished requests, keeps nothing of them, and passes over the rest.
    private func answerUnfinished(_ descriptor: Int32) {
        guard let extra = connections[Int(descriptor)].extra, var assembler = extra.assembler
        else { return }
        let requests = assembler.giveUp()
        extra.assembler = assembler
        guard !requests.isEmpty, !requests.contains(where: { isInUse($0.id, descriptor) }) else {
            return drop(descriptor, .closed)
        }
        connections[Int(descriptor)].flags.insert(.passingOver)
        charge(descriptor)
        for request in requests {
            let requester = Requester(
                connection: descriptor,
                id: request.id,
                keepConnection: request.keepConnection
            )
            answer(requester, interface.tooSlow())
        }
    }
}
