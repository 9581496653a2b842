package import Endpoint
internal import FastCGI
internal import Liveness

/// Connections: their beginning and end, and what their peers have not taken.
extension Core {
    /// A web server has connected.
    package mutating func connected(_ connection: ConnectionID) {
        connections.open(connection, flags: [])
    }

    /// A client of the bus socket has connected.
    package mutating func connected(_ connection: ConnectionID, client: LocalPeer) {
        connections.open(connection, flags: .bus)
        peers.add(connection, BusPeer(client))
    }

    /// The peer has closed its sending side, or the whole connection: no client waits behind it for messages any more, but
    /// publications are still answered. A client of the bus socket still waits for answers and messages; if it has closed
    /// the whole connection, call `connectionLost` instead.
    package mutating func peerEnded(_ connection: ConnectionID, at moment: Moment) {
        guard enter(connection, at: moment) else { return }
        connections.peerEnded(connection)
        if connections[connection].flags.contains(.bus), let peer = peers[connection] {
            // Commands that have come are executed first, now or when the peer may go on; only then is it known which
            // one is incomplete.
            peer.inputEnded()
            return executeCommands(of: connection)
        }
        // lighttpd signals a departure by half-closing. It would log an answer that just stops as an error; and a peer
        // that only closed its sending side continues to read.
        if connections[connection].unsent == 0 {
            forEachHold(of: connection) { core, slot in
                guard core.holds[slot].kind != .poll else { return }
                core.answerEmpty(slot, core.departed(slot))
            }
            for replay in replays.of(connection) { endReplay(replay, .left) }
        }
        endSilently(connection, .closed)
        actions.append(.settle(connection))
    }

    /// The shell has given the connection up: its holds end without an answer. Not needed for connections that the core has
    /// dropped.
    package mutating func connectionLost(
        _ connection: ConnectionID,
        _ loss: Loss,
        at moment: Moment
    ) {
        // Not a new hold, as in `enter`: a batch that is being delivered continues in its portions, however many
        // connections are lost meanwhile.
        self.moment = moment
        guard connections.isOpen(connection) else { return }
        let ending: Ending =
            switch loss {
            case .closed: .closed
            case .slow: .slow
            case .shutdown: .shutdown
            }
        giveUp(connection, ending)
    }

    /// The core gives the connection up.
    mutating func drop(_ connection: ConnectionID, _ ending: Ending) {
        giveUp(connection, ending)
        actions.append(.drop(connection))
    }

    private mutating func giveUp(_ connection: ConnectionID, _ ending: Ending) {
        // Before what it holds, behind whose end the next queued request would begin.
        if connections.endQueue(connection) { turns.removeAll(of: connection) }
        endSilently(connection, ending)
        traceEnd(connection, ending)
        if connections[connection].flags.contains(.bus) { peers.remove(connection) }
        connections.close(connection)
    }

    /// Ends a connection's holds without an answer: no peer is there to read one.
    private mutating func endSilently(_ connection: ConnectionID, _ ending: Ending) {
        forEachHold(of: connection) { core, slot in
            core.take(slot, ending == .closed ? core.departed(slot) : ending)
        }
        for replay in replays.of(connection) {
            forget(replay)
            counters[ending] += 1
            traceEnd(replay, ending)
        }
    }

    /// The number of bytes that the peer has not taken yet. Called whenever that changes: after a send that left some,
    /// and each time the peer has taken some; 0 when it has taken all.
    package mutating func unsent(_ connection: ConnectionID, bytes: Int) {
        connections.unsent(connection, bytes: bytes)
        if bytes == 0, connections[connection].replays > 0 {
            for replay in replays.of(connection) where replay.isWaiting {
                replay.waits(false)
                agenda.append(.replay(replay))
            }
        }
        if connections[connection].flags.contains(.bus), bytes < BusPeer.unsentLimit {
            goOnLater(connection)
        }
    }

    /// Whether the connection is of use, as far as the core knows. Asked once all actions are carried out.
    package mutating func standing(of connection: ConnectionID) -> Standing {
        let record = connections[connection]
        guard record.isIdle, !record.flags.contains(.bus) || peers[connection]?.isIdle ?? true
        else {
            return .busy
        }
        return record.flags.contains(.closesWhenIdle) || !keepsConnections ? .done : .kept
    }

    /// What the process keeps for it; `Action.account` announces changes.
    package func kept(of connection: ConnectionID) -> Kept {
        var kept = Kept()
        if connections[connection].flags.contains(.queues) {
            kept.queuedBytes = turns.bytes(of: connection)
        }
        if connections[connection].flags.contains(.bus) {
            kept.command = peers[connection]?.unfinished
        }
        return kept
    }

    /// No descriptor is left for a new connection: ends the oldest hold and marks its connection for closing.
    ///
    /// - Returns: that connection; nil if nothing is held.
    package mutating func giveWay(at moment: Moment) -> ConnectionID? {
        enter(moment)
        let oldest = holds.oldest
        guard
            let connection = oldest.map({ connections.id(holds[$0].connection) })
                ?? replays.oldest?.connection
        else { return nil }
        counters[.heldRequests] += 1
        sendAway(oldest, or: replays.oldest)
        connections.closeWhenIdle(connection)
        return connection
    }
}
