internal import Bus
internal import CLinux
internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI
internal import Glibc
internal import Logging
internal import Reactor

/// The clients of the bus socket: from the bytes of their commands to the lines they are answered.
extension Responder {
    // MARK: Coming

    func acceptBusPeers() {
        guard let busListener else { return }
        for _ in 0..<64 {
            let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            let descriptor = Int32(
                SystemCalls.retrying { Int(accept4(busListener.descriptor, nil, nil, flags)) }
            )
            guard descriptor >= 0 else {
                if errno == ECONNABORTED { continue }
                if errno == EMFILE || errno == ENFILE {
                    metrics[.descriptors] += 1
                    // Made again when it is looked at next; who waits in its backlog is told to come back.
                    closeBusListener()
                }
                return
            }
            guard busPeers.count < busClientLimit,
                let credentials = SystemCalls.credentials(of: descriptor)
            else {
                metrics[.busClients] += 1
                _ = unsafe busInterface.tooManyClients.withUnsafeBytes {
                    unsafe SystemCalls.send(descriptor, $0)
                }
                close(descriptor)
                continue
            }
            addBusPeer(
                descriptor,
                LocalPeer(
                    user: credentials.user,
                    groups: credentials.groups,
                    isOwner: credentials.user == 0 || credentials.user == geteuid()
                )
            )
        }
    }

    /// Takes over a connected stream socket.
    func addBusPeer(_ descriptor: Int32, _ identity: LocalPeer) {
        while connections.count <= Int(descriptor) { connections.append(Connection()) }
        connections[Int(descriptor)].flags = [.open, .busSocket]
        openConnections += 1
        busPeers[descriptor] = BusPeer(identity)
        read(descriptor, toTheEnd: false)
        watch(descriptor)
    }

    // MARK: Commands

    /// Whether what this peer sends stays in the socket for now.
    func isPaused(_ descriptor: Int32) -> Bool {
        guard let peer = busPeers[descriptor] else { return false }
        peer.isPaused = !mayGoOn(peer, descriptor)
        return peer.isPaused
    }

    private func mayGoOn(_ peer: BusPeer, _ descriptor: Int32) -> Bool {
        // Who does not read his answers is not read from either.
        peer.mayGoOn && unsentBytes(descriptor) < 65_536
    }

    func receiveCommands(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) {
        guard let peer = busPeers[descriptor] else { return }
        unsafe peer.reader.receive(bytes)
        peer.hasUnlooked = true
        obey(descriptor)
        boundUnfinished()
    }

    /// Does what has come, as far as answers are taken.
    func obey(_ descriptor: Int32) {
        guard let peer = busPeers[descriptor] else { return }
        if let deferred = peer.deferred, peer.outstanding == 0 {
            peer.deferred = nil
            act(on: deferred, peer, descriptor)
        }
        while peer.hasUnlooked, connections[Int(descriptor)].isOpen, mayGoOn(peer, descriptor) {
            let piece = peer.reader.next(
                lineLimit: busInterface.lineLimit,
                bodyLimit: busInterface.bodyLimit,
                judge: { busInterface.problem(with: $0, from: peer.identity) }
            )
            if let piece {
                metrics.busCommands += 1
                act(on: busInterface.request(piece, from: peer.identity), peer, descriptor)
                continue
            }
            peer.hasUnlooked = false
            // Nothing complete is left; what had begun will not come to its end any more.
            if peer.hasEnded, let rest = peer.reader.end() {
                act(on: busInterface.request(rest, from: peer.identity), peer, descriptor)
            }
        }
        guard connections[Int(descriptor)].isOpen else { return }
        noteUnfinished(peer, descriptor)
        if peer.isPaused, mayGoOn(peer, descriptor) { readLater(descriptor) }
        dropIfDone(descriptor)
    }

    /// A command that has begun and not ended counts among the unfinished requests, in memory and in time. What waits
    /// complete for its turn does not: nothing further is read meanwhile.
    private func noteUnfinished(_ peer: BusPeer, _ descriptor: Int32) {
        guard !peer.hasUnlooked, !peer.hasEnded, !peer.isEnding,
            let line = peer.reader.unfinishedLine
        else {
            guard let extra = connections[Int(descriptor)].extra else { return }
            (extra.commandBytes, extra.incompleteAt) = (nil, nil)
            return charge(descriptor)
        }
        let extra = makeExtra(descriptor)
        if extra.incompleteAt != line { (extra.incompleteAt, extra.incompleteSince) = (line, now) }
        extra.commandBytes = peer.reader.byteCount
        charge(descriptor)
    }

    /// Says the last word to a client whose command is not complete, and keeps nothing of it.
    func endUnfinishedCommand(_ descriptor: Int32, _ lastWord: (_ line: Int) -> BusRequest) {
        guard let peer = busPeers[descriptor], let line = peer.reader.unfinishedLine else {
            return drop(descriptor, .closed)
        }
        peer.reader = BusReader()
        connections[Int(descriptor)].extra?.commandBytes = nil
        charge(descriptor)
        act(on: lastWord(line), peer, descriptor)
    }

    private func act(on request: BusRequest, _ peer: BusPeer, _ descriptor: Int32) {
        let requester = Requester(connection: descriptor, id: .first, keepConnection: true)
        switch request {
        case .publish(let publish):
            let place = peer.place()
            guard mayQueue(publish.publication) else {
                return reply(descriptor, place, publish.busy())
            }
            let ticket = wait(requester, .command(publish, place: place), seconds: 2)
            append(publish.publication, ticket: ticket)
        case .subscribe(let stream, let start, let command):
            guard peer.outstanding == 0 else {
                peer.deferred = request
                return
            }
            guard !peer.isSubscribed else {
                return reply(descriptor, peer.place(), command.alreadySubscribed())
            }
            if tail != nil { makeRoom(for: Poll.Origin()) }
            guard connections[Int(descriptor)].isOpen else { return }
            guard tail != nil, held.count + replays.count < heldLimit else {
                if tail != nil { metrics[.heldRequests] += 1 }
                let line = tail == nil ? command.unavailable() : command.busy()
                return reply(descriptor, peer.place(), line)
            }
            (peer.isSubscribed, peer.isGreeting) = (true, true)
            openStream(stream, start, requester)
        case .channels where peer.outstanding > 0, .status where peer.outstanding > 0,
            .message where peer.outstanding > 0:
            // Their answers may be long: none is made before it can go out.
            peer.deferred = request
        case .channels(let listing):
            let place = peer.place()
            guard tail != nil else {
                return reply(descriptor, place, listing.command.unavailable())
            }
            list(listing, place, requester)
        case .message(let request):
            let place = peer.place()
            guard tail != nil else {
                return reply(descriptor, place, request.command.unavailable())
            }
            let work = Pending.Work.busMessage(request, place: place)
            read(.message(ticket: wait(requester, work, seconds: 10), request.id))
        case .status(let command):
            let place = peer.place()
            survey(requester, .line(command, place: place))
        case .answer(let line): reply(descriptor, peer.place(), line)
        case .refused(let line):
            metrics.busRefusals += 1
            reply(descriptor, peer.place(), line)
        case .ended(let line):
            metrics.busRefusals += 1
            peer.isEnding = true
            connections[Int(descriptor)].flags.insert(.closesWhenIdle)
            reply(descriptor, peer.place(), line)
            if connections[Int(descriptor)].isOpen { endStreams(of: descriptor, .error) }
        }
    }

    // MARK: Answers

    /// Fills the answer's place and sends what is next in the order.
    func reply(_ descriptor: Int32, _ place: Int, _ line: [UInt8]) {
        guard let peer = busPeers[descriptor] else { return }
        peer.fill(place, line)
        let bytes = peer.takeFilled()
        guard !bytes.isEmpty, send(descriptor, bytes) else { return }
        dropIfDone(descriptor)
    }

    /// The answer to a command that waited for the log.
    func replyLater(_ requester: Requester, _ place: Int, _ line: [UInt8]) {
        reply(requester.connection, place, line)
        // What the peer sent behind it may go on, but not in the midst of what the log tells.
        readLater(requester.connection)
    }

    /// The subscription of this peer has said its first word.
    func greeted(_ descriptor: Int32) {
        guard let peer = busPeers[descriptor], peer.isGreeting else { return }
        peer.isGreeting = false
        readLater(descriptor)
    }

    /// The peer closed its sending side, as `socat` and `nc` do at the end of their input: it still waits for answers and
    /// messages. Or it is gone.
    func busPeerEnded(_ descriptor: Int32) {
        if SystemCalls.isGone(descriptor) { return drop(descriptor, .closed) }
        connections[Int(descriptor)].flags.formUnion([.closesWhenIdle, .peerEnded])
        guard let peer = busPeers[descriptor] else { return }
        // What has come is done first, now or when the peer may go on: only then is it known what is not complete.
        (peer.hasEnded, peer.hasUnlooked) = (true, true)
        obey(descriptor)
    }
}
