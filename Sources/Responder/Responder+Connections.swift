internal import CLinux
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Glibc
internal import Logging
internal import Reactor

/// Accepting, reading and closing. What the bytes mean is in Responder+Requests; writing is in Responder+Writing.
extension Responder {
    // MARK: Accepting

    /// - Returns: whether nobody waits any more.
    @discardableResult
    func acceptConnections() -> Bool {
        // A bounded share: what is to be delivered must not wait for a crowd of newcomers, nor for few that ask for much,
        // such as a thousand channels.
        let end = MonotonicClock.milliseconds() + 10
        for _ in 0..<256 {
            guard webConnections < connectionLimit || isStopping || makePlace() else {
                metrics[.connections] += 1
                newcomersWait = true
                pauseAccepting()
                return true
            }
            let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            let descriptor = Int32(
                SystemCalls.retrying {
                    Int(accept4(listener.descriptor, nil, nil, flags))
                }
            )
            guard descriptor >= 0 else {
                if errno == ECONNABORTED { continue }
                if errno == EAGAIN || errno == EWOULDBLOCK { return true }
                let isProcessLimit = errno == EMFILE || errno == ENFILE
                if isProcessLimit, makePlace(ofHolds: true) { continue }
                refuseForWantOfDescriptors(isProcessLimit: isProcessLimit)
                return true
            }
            metrics.accepted += 1
            while connections.count <= Int(descriptor) { connections.append(Connection()) }
            connections[Int(descriptor)].flags = [.open, .used]
            openConnections += 1
            // The request is usually there already: a short one is answered without epoll ever knowing.
            read(descriptor, toTheEnd: false)
            mayHaveIdle = mayHaveIdle || connections[Int(descriptor)].isIdle
            watch(descriptor)
            if MonotonicClock.milliseconds() >= end { break }
        }
        return false
    }

    /// Those of web servers.
    var webConnections: Int { openConnections - busPeers.count }

    /// Newcomers wait in the socket's backlog until somebody leaves.
    private func pauseAccepting() {
        epoll.remove(listener.descriptor)
        isAccepting = false
    }

    private func resumeAccepting() {
        guard listener.isOpen, !isAccepting, !isStopping, webConnections < connectionLimit,
            now >= acceptAgainAt
        else {
            return
        }
        if spare < 0 { spare = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) }
        do {
            try epoll.add(listener.descriptor, [.read, .exclusive])
            (isAccepting, newcomersWait) = (true, false)
        } catch {
            logger.error("\(error)")
        }
    }

    /// Accepts one connection with the spare descriptor and closes it, so that the listening socket
    /// does not stay readable and the loop does not spin.
    private func refuseForWantOfDescriptors(isProcessLimit: Bool) {
        metrics[.descriptors] += 1
        guard isProcessLimit, spare >= 0 else {
            acceptAgainAt = now + 250
            return pauseAccepting()
        }
        close(spare)
        let descriptor = accept4(listener.descriptor, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        if descriptor >= 0 { close(descriptor) }
        spare = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
    }

    func watch(_ descriptor: Int32) {
        let connection = connections[Int(descriptor)]
        guard connection.isOpen, !connection.flags.contains(.watched) else { return }
        do {
            try epoll.add(descriptor, generation: connection.generation, interest(of: connection))
            connections[Int(descriptor)].flags.insert(.watched)
        } catch {
            complain(.notWatched, "connection closed: \(error)")
            drop(descriptor, .closed)
        }
    }

    func interest(of connection: Connection) -> Interest {
        let base: Interest = [.read, .peerClosed, .edge]
        return connection.extra?.unsent.isEmpty ?? true ? base : base.union(.write)
    }

    // MARK: Reading

    func connectionReady(_ readiness: Readiness) {
        let descriptor = readiness.descriptor
        guard Int(descriptor) < connections.count, connections[Int(descriptor)].isOpen,
            connections[Int(descriptor)].generation == readiness.generation
        else { return }
        if readiness.canWrite { flush(descriptor) }
        if readiness.canRead || readiness.peerClosed {
            read(descriptor, toTheEnd: readiness.peerClosed)
        }
    }

    /// Those who sent more than one turn's share.
    func readUnread() {
        let descriptors = unread
        unread = []
        for descriptor in descriptors {
            guard connections[Int(descriptor)].flags.contains(.readAgain) else { continue }
            connections[Int(descriptor)].flags.remove(.readAgain)
            obey(descriptor)
            read(descriptor, toTheEnd: true)
            relieveMemory()
        }
    }

    /// Reads a bounded share, so that a peer with much to say does not keep the others waiting.
    ///
    /// A read that does not fill the buffer has emptied the socket, and the next edge will be told; where the
    /// peer has closed, only the end of the stream ends the reading.
    func read(_ descriptor: Int32, toTheEnd: Bool) {
        for _ in 0..<4 {
            guard connections[Int(descriptor)].isOpen, !isPaused(descriptor) else { return }
            switch unsafe SystemCalls.receive(descriptor, into: input) {
            case .bytes(let count):
                unsafe frame(descriptor, UnsafeRawBufferPointer(rebasing: input[..<count]))
                let isDrained = unsafe count < input.count && !toTheEnd
                // In the midst of a request a socket may hand out less than it has.
                if isDrained, connections[Int(descriptor)].extra?.assembler == nil { return }
            case .wouldBlock:
                return
            case .ended:
                peerEnded(descriptor)
                return
            }
        }
        readLater(descriptor)
    }

    /// Goes on with what this peer sent in the next turn.
    func readLater(_ descriptor: Int32) {
        guard connections[Int(descriptor)].isOpen,
            !connections[Int(descriptor)].flags.contains(.readAgain)
        else { return }
        connections[Int(descriptor)].flags.insert(.readAgain)
        unread.append(descriptor)
    }

    /// Frames bytes and acts on each event. An idle connection keeps no assembler.
    func frame(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) {
        if connections[Int(descriptor)].flags.contains(.busSocket) {
            return unsafe receiveCommands(descriptor, bytes)
        }
        let extra = connections[Int(descriptor)].extra
        var assembler = extra?.assembler ?? RequestAssembler(limits: framing)
        extra?.assembler = nil
        framed = descriptor
        unsafe assembler.receive(
            bytes,
            judge: { head in
                guard connections[Int(descriptor)].isOpen else { return .answered }
                return judge(head, descriptor)
            },
            each: { event in
                guard connections[Int(descriptor)].isOpen else { return }
                handle(event, descriptor)
            }
        )
        framed = -1
        guard connections[Int(descriptor)].isOpen else { return }
        if let place = assembler.oldestUnfinished {
            let keeper = makeExtra(descriptor)
            if keeper.incompleteAt != place {
                (keeper.incompleteAt, keeper.incompleteSince) = (place, now)
            }
            keeper.assembler = assembler
        } else {
            connections[Int(descriptor)].extra?.incompleteAt = nil
        }
        charge(descriptor)
        if connections[Int(descriptor)].flags.contains(.passingOver), !assembler.isPassingOver {
            connections[Int(descriptor)].flags.remove(.passingOver)
            dropIfDone(descriptor)
        } else if isCrowded {
            dropIfDone(descriptor)
        }
        boundUnfinished()
    }

    /// Acts on whole requests that were put aside, without touching what is being received.
    func frameAside(_ descriptor: Int32, _ queued: Connection.Extra.Queued) {
        var assembler = RequestAssembler(limits: queued.limits)
        unsafe queued.records.withUnsafeBytes { bytes in
            unsafe assembler.receive(bytes) { event in
                guard connections[Int(descriptor)].isOpen, case .request(let framed) = event else {
                    return
                }
                begin(framed, descriptor, bodyDropped: queued.bodyDropped)
            }
        }
    }

    /// The connection's rare part, made at need; the housekeeping drops it when it is empty.
    func makeExtra(_ descriptor: Int32) -> Connection.Extra {
        if let extra = connections[Int(descriptor)].extra { return extra }
        let extra = Connection.Extra()
        connections[Int(descriptor)].extra = extra
        unfinished.insert(descriptor)
        return extra
    }

    /// The peer closed its sending side, or all of it: nobody waits behind it any more. What was published is
    /// still answered, in case only the sending side is closed.
    private func peerEnded(_ descriptor: Int32) {
        if connections[Int(descriptor)].flags.contains(.busSocket) {
            return busPeerEnded(descriptor)
        }
        // lighttpd tells of a departure by half-closing. It would log an answer that just stops as an error; and who
        // only closed his sending side reads on.
        if connections[Int(descriptor)].extra?.unsent.isEmpty ?? true {
            for slot in held.slots(from: connections[Int(descriptor)].firstHeld)
            where held.isHeld(slot) && held[slot].kind != .poll {
                answerEmpty(slot, departed(slot))
            }
            for replay in replays.of(descriptor) { endReplay(replay, .left) }
        }
        endHolds(of: descriptor, .closed)
        endReplays(of: descriptor, .closed)
        connections[Int(descriptor)].extra?.assembler = nil
        charge(descriptor)
        connections[Int(descriptor)].flags.remove(.passingOver)
        connections[Int(descriptor)].flags.formUnion([.closesWhenIdle, .peerEnded])
        dropIfDone(descriptor)
    }

    // MARK: Closing

    /// Gives a connection up: what it holds ends in the way given, and it is closed at the end of the turn.
    func drop(_ descriptor: Int32, _ ending: Ending) {
        guard connections[Int(descriptor)].isOpen else { return }
        connections[Int(descriptor)].flags.insert(.dropped)
        if let extra = connections[Int(descriptor)].extra { unsent.removeAll(from: &extra.unsent) }
        endHolds(of: descriptor, ending)
        endReplays(of: descriptor, ending)
        busPeers[descriptor] = nil
        if let extra = connections[Int(descriptor)].extra {
            (extra.assembler, extra.commandBytes) = (nil, nil)
            extra.queued = []
            charge(descriptor)
        }
        dropped.append(descriptor)
    }

    /// Closes a connection whose last answer went out, if the web server wanted it closed then, or its place is needed.
    func dropIfDone(_ descriptor: Int32) {
        let connection = connections[Int(descriptor)]
        guard connection.isOpen, connection.isIdle, busPeers[descriptor]?.isIdle ?? true,
            !isReplaying(descriptor)
        else { return }
        if connection.flags.contains(.closesWhenIdle) {
            drop(descriptor, .closed)
        } else if isCrowded, descriptor != framed, !connection.flags.contains(.busSocket) {
            closeKept(descriptor)
        } else {
            mayHaveIdle = true
        }
    }

    func closeDropped() {
        for descriptor in dropped {
            close(descriptor)
            let generation = connections[Int(descriptor)].generation
            connections[Int(descriptor)] = Connection(generation: generation &+ 1)
            unfinished.remove(descriptor)
            openConnections -= 1
        }
        if !dropped.isEmpty {
            dropped.removeAll(keepingCapacity: true)
            memoryLookAt = min(memoryLookAt, now + 2000)
        }
        resumeAccepting()
    }

    // MARK: Housekeeping

    /// Four times a second at most, and only while something is unfinished: peers that stopped in the middle.
    func keepHouse() {
        for descriptor in unfinished {
            guard connections[Int(descriptor)].isOpen,
                let extra = connections[Int(descriptor)].extra
            else { continue }
            if extra.isEmpty {
                memoryLookAt = min(memoryLookAt, now + 2000)
                connections[Int(descriptor)].extra = nil
                unfinished.remove(descriptor)
            } else if extra.isReceiving,
                now - extra.incompleteSince > Int64(settings.limits.requestSeconds) * 1000
            {
                metrics[.requestTime] += 1
                if extra.commandBytes != nil {
                    endUnfinishedCommand(descriptor, busInterface.outOfTime)
                } else {
                    drop(descriptor, .closed)
                }
            } else if !extra.unsent.isEmpty,
                now - extra.progressedAt > Int64(settings.limits.unsentSeconds) * 1000
            {
                metrics[.unsentTime] += 1
                drop(descriptor, .slow)
            }
        }
        expirePending()
        noteClosedForMemory()
        if newcomersWait { lookForPlaces() }
    }
}
