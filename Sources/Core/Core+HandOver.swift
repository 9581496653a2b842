internal import Channels
internal import Endpoint
internal import FastCGI
internal import Liveness
package import Text

/// Handing everything over to another process, and taking it over there.
///
/// The core that hands over is paused first, so that only settled states are left: the log's questions are answered,
/// and commands and queued requests that have come are executed or kept as bytes. Held requests are then values.
/// Questions for a stream that reads the log are forgotten, since it continues at its place.
extension Core {
    // MARK: The core that hands over

    /// Begins nothing new from now on; what is under way is completed.
    package mutating func pause(at moment: Moment) {
        enter(moment)
        isPaused = true
    }

    /// Continues as before the pause.
    package mutating func goOn(at moment: Moment) {
        enter(moment)
        isPaused = false
        agenda.goOn()
        for connection in peers.all { goOnLater(connection) }
    }

    /// Whether a paused core can be handed over now.
    package var isSettled: Bool {
        actions.isEmpty && looks.isEmpty && delivery == nil && turns.isEmpty && agenda.isEmpty
            && waiting.isSettled && peers.areSettled
    }

    /// What all connections have in common. Nil while the log is not open.
    package var handedCommon: HandedCommon? {
        mutating get {
            position.map { position in
                HandedCommon(
                    position: position,
                    lastTimestamp: timestamps.last,
                    frontEnds: frontEnds.policy.learned,
                    graces: presence.graces(now: now)
                )
            }
        }
    }

    /// The order in which the held requests came, for `handOver`.
    package var holdRanks: [Int32] { holds.ranks }

    /// Writes some connections, in this order.
    package func handOver(
        _ ids: [ConnectionID],
        ranks: [Int32],
        into pack: inout Packer
    ) {
        var interests = HandedInterests()
        var content = Packer()
        for id in ids { handed(id, ranks).pack(into: &content, &interests) }
        pack.add(number: UInt64(interests.all.count))
        for interest in interests.all {
            pack.add(interest)
            pack.add(openChannels(interest.channels))
        }
        pack.add(bytes: content.bytes)
    }

    /// Those that are open to everyone: a newer process may have other rules.
    private func openChannels(_ channels: [ChannelName]) -> [ChannelName] {
        channels.filter { interface.isOpenToEveryone($0) }
    }

    func handed(_ id: ConnectionID, _ ranks: [Int32]) -> HandedConnection {
        precondition(connections.isOpen(id), "what is handed over is open")
        let record = connections[id]
        var held: [HandedConnection.Hold] = []
        var next = record.newestHold
        while next >= 0 {
            held.append(handed(next, rank: ranks[Int(next)]))
            next = holds.next(ofConnection: next) ?? -1
        }
        return HandedConnection(
            closesWhenIdle: record.flags.contains(.closesWhenIdle),
            mayMultiplex: record.flags.contains(.mayMultiplex),
            peerEnded: record.flags.contains(.peerEnded),
            requests: record.requests,
            peer: record.flags.contains(.bus) ? peers[id]?.handed : nil,
            holds: held.reversed(),
            replays: record.replays > 0 ? replays.of(id).map { handed($0) } : []
        )
    }

    private func handed(_ replay: Replay) -> Replay.Handed {
        var name: RequestName?
        if case .request(let address) = replay.recipient { name = names.traced(address) }
        return replay.handed(openChannels(replay.stream.channels), name)
    }

    private func handed(_ slot: Holds.Slot, rank: Int32) -> HandedConnection.Hold {
        let held = holds[slot]
        let address = RequestAddress(
            connection: connections.id(held.connection),
            id: held.requestID,
            keepConnection: held.keepConnection
        )
        return HandedConnection.Hold(
            id: held.requestID,
            keepConnection: held.keepConnection,
            kind: held.kind,
            frontEnd: held.frontEnd,
            rank: UInt32(max(0, rank)),
            interest: holds.interest(of: slot),
            openChannels: [],
            origin: held.kind == .lines ? nil : holds.origin(of: slot),
            deadline: holds.deadline(of: slot),
            probe: holds.nextProbe(of: slot),
            name: held.kind == .lines ? nil : names.traced(address)
        )
    }

    // MARK: The core that takes over

    /// Whether this core has got every event that the held requests of another one have had.
    package mutating func hasReached(_ common: HandedCommon) -> Bool {
        guard let position else { return false }
        return position.epoch != common.position.epoch || position.offset >= common.position.offset
    }

    /// Takes over all connections of another process, which holds nothing any more. This one has held nothing yet, and
    /// `hasReached`.
    ///
    /// - Parameter handed: each connection with its name here, and the bytes that its peer has not taken.
    package mutating func resume(
        _ common: HandedCommon,
        _ handed: [(id: ConnectionID, connection: HandedConnection, unsent: Int)],
        at moment: Moment
    ) {
        enter(moment)
        timestamps.resume(after: common.lastTimestamp)
        let places = frontEnds.resume(common.frontEnds)
        presence.resume(common.graces, now: now)
        var held: [(id: ConnectionID, hold: HandedConnection.Hold)] = []
        var reading: [(number: UInt64, replay: Replay, name: RequestName?)] = []
        var readable: Set<ChannelName> = []
        for (id, connection, unsent) in handed {
            open(id, connection)
            connections.unsent(id, bytes: unsent)
            held += connection.holds.map { (id, $0) }
            for replay in connection.replays { readable.formUnion(replay.openChannels) }
            reading += connection.replays.map {
                ($0.number, Replay($0, on: id, places: places), $0.web?.name)
            }
        }
        held.sort { $0.hold.rank < $1.hold.rank }
        var wasOpen: Set<ChannelName> = []
        for (id, hold) in held {
            let known = holds.interestCount
            resume(hold, on: id, places)
            if holds.interestCount > known { wasOpen.formUnion(hold.openChannels) }
        }
        reading.sort { $0.number < $1.number }
        for (_, replay, name) in reading {
            if case .request(let address) = replay.recipient { names.resume(address, name) }
            enlist(replay)
            agenda.append(.replay(replay))
        }
        catchUp(from: common.position)
        judgeReaders { wasOpen.contains($0) || readable.contains($0) }
        if !holds.interests(in: .status).isEmpty { figuresAt = now }
        for (id, connection, _) in handed where connection.closesWhenIdle {
            actions.append(.settle(id))
        }
    }

    private mutating func open(_ id: ConnectionID, _ connection: HandedConnection) {
        var flags: Connection.Flags = []
        if connection.closesWhenIdle { flags.insert(.closesWhenIdle) }
        if connection.mayMultiplex { flags.insert(.mayMultiplex) }
        if connection.peerEnded { flags.insert(.peerEnded) }
        if connection.peer != nil { flags.insert(.bus) }
        connections.open(id, flags: flags, requests: connection.requests)
        guard let handed = connection.peer else { return }
        let peer = BusPeer(handed) { [busInterface] in
            busInterface.problem(with: $0, from: handed.identity)
        }
        peers.add(id, peer)
        goOnLater(id)
    }

    private mutating func resume(
        _ handed: HandedConnection.Hold,
        on id: ConnectionID,
        _ places: [ProbePolicy.Place]
    ) {
        let place = Int(handed.frontEnd)
        var interest = handed.interest
        if case .answer(let subscription) = interest, subscription.channels.count > 1 {
            interest = .answer(subscription.sharing(holds.shared(subscription.channels)))
        }
        let address = RequestAddress(
            connection: id,
            id: handed.id,
            keepConnection: handed.keepConnection
        )
        names.resume(address, handed.name)
        insert(
            Holds.Hold(
                address: address,
                kind: handed.kind,
                frontEnd: places.indices.contains(place) ? places[place] : 0,
                interest: interest,
                origin: handed.origin,
                deadline: handed.deadline,
                probe: handed.probe
            )
        )
    }

    /// Gives the holds, which are at this position, what was committed since.
    private mutating func catchUp(from before: Cursor) {
        guard let epochs = knownLog.epochs, let head = knownLog.head else { return }
        switch epochs.verdict(on: before, head: head) {
        case .valid(let offset):
            guard let missed = knownLog.tail?.missed(after: offset) else {
                // More was committed than memory keeps: polls ask again from their positions, and streams read the log.
                releaseAll(.standing(at: offset), .behind)
                return replayAll(from: before)
            }
            deliver(missed, toldAt: moment.nanoseconds)
        case .restarted(let resume): startOver(from: before, resume: resume)
        case .future: startOver(from: before, resume: head)
        }
    }
}
