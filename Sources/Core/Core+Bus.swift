internal import Channels
internal import Configuration
internal import Endpoint
internal import FastCGI

/// Why a command that is not complete is discarded.
package enum CommandEnd: Sendable {
    /// It has been arriving for longer than requests may.
    case outOfTime
    /// Others need its room.
    case crowded
}

/// The clients of the bus socket: from the bytes of their commands to the lines of their answers.
extension Core {
    /// Whether a client of the bus socket may be read from. If not, `.read` follows.
    package mutating func mayRead(_ connection: ConnectionID) -> Bool {
        guard let peer = peers[connection] else { return false }
        return peer.read(mayRead(peer, connection))
    }

    /// What has come is executed before more is read, so that it does not accumulate.
    private mutating func mayRead(_ peer: BusPeer, _ connection: ConnectionID) -> Bool {
        mayGoOn(peer, connection)
            && !(peer.hasUnparsed && connections[connection].flags.contains(.goesOn))
    }

    private mutating func mayGoOn(_ peer: BusPeer, _ connection: ConnectionID) -> Bool {
        !isPaused && peer.mayGoOn(unsent: connections[connection].unsent)
    }

    /// Bytes have come.
    package mutating func received(
        _ bytes: UnsafeRawBufferPointer,
        from connection: ConnectionID,
        at moment: Moment
    ) {
        guard enter(connection, at: moment), let peer = peers[connection] else { return }
        unsafe peer.receive(bytes)
        executeCommands(of: connection)
    }

    /// Answers a command that is not complete with the last line of its connection, and discards it.
    package mutating func endCommand(
        of connection: ConnectionID,
        _ reason: CommandEnd,
        at moment: Moment
    ) {
        guard enter(connection, at: moment), let peer = peers[connection] else { return }
        guard let line = peer.discardCommand() else { return drop(connection, .closed) }
        noteUnfinished(peer, connection)
        let lastWord =
            switch reason {
            case .outOfTime: busInterface.outOfTime(line)
            case .crowded: busInterface.tooSlow(line)
            }
        carryOut(lastWord, peer, connection)
    }

    // MARK: Commands

    /// Executes the commands that have come, as far as answers are taken.
    mutating func executeCommands(of connection: ConnectionID) {
        guard let peer = peers[connection] else { return }
        if let command = peer.takeWaiting() { act(on: command, peer, connection) }
        let before = actions.byteCount
        while peer.hasUnparsed, mayGoOn(peer, connection) {
            // Only after they are sent is it known whether the peer takes these answers.
            guard actions.byteCount - before < BusPeer.unsentLimit else {
                goOnLater(connection)
                break
            }
            let piece = peer.next(
                lineLimit: busInterface.lineLimit,
                bodyLimit: busInterface.bodyLimit,
                judge: { busInterface.problem(with: $0, from: peer.identity) }
            )
            if let piece {
                counters.busCommands += 1
                act(on: piece, peer, connection)
                continue
            }
            // Nothing complete is left, and the rest of what has begun may not come.
            if let rest = peer.takeRest() { act(on: rest, peer, connection) }
        }
        noteUnfinished(peer, connection)
        if peer.isPaused, mayRead(peer, connection) { actions.append(.read(connection)) }
        actions.append(.settle(connection))
    }

    private mutating func noteUnfinished(_ peer: BusPeer, _ connection: ConnectionID) {
        if peer.noteUnfinished() { actions.append(.account(connection)) }
    }

    private mutating func act(
        on piece: BusReader.Piece,
        _ peer: BusPeer,
        _ connection: ConnectionID
    ) {
        let request = busInterface.request(piece, from: peer.identity)
        // A command whose answer is outside the order of commands, or may be long, waits until that can go out; the
        // client's rights are judged anew then.
        if peer.outstanding > 0, request.waitsForAnswers {
            return peer.wait(piece)
        }
        carryOut(request, peer, connection)
    }

    private mutating func carryOut(
        _ request: BusRequest,
        _ peer: BusPeer,
        _ connection: ConnectionID
    ) {
        switch request {
        case .subscribe(let stream, let start, let command):
            subscribe(stream, start, command, peer, connection)
        case .publish(let publish):
            let place = peer.place()
            guard mayQueue(publish.publication) else {
                return reply(connection, place, publish.busy())
            }
            let recipient = Recipient.line(connection, place: place)
            append(publish.publication, .command(publish), for: recipient, .publication)
        case .channels(let listing):
            let place = peer.place()
            guard knownLog.isOpen else {
                return reply(connection, place, listing.command.unavailable())
            }
            list(listing, for: .line(connection, place: place))
        case .message(let request):
            let place = peer.place()
            guard knownLog.isOpen else {
                return reply(connection, place, request.command.unavailable())
            }
            let recipient = Recipient.line(connection, place: place)
            let ticket = wait(.busMessage(request), for: recipient, .reading)
            queue(.message(ticket: ticket.number, request.id))
        case .status(let command):
            survey(.line(command), for: .line(connection, place: peer.place()))
        case .answer(let line): reply(connection, peer.place(), line)
        case .refused(let line):
            counters.busRefusals += 1
            reply(connection, peer.place(), line)
        case .ended(let line):
            counters.busRefusals += 1
            peer.end()
            connections.closeWhenIdle(connection)
            reply(connection, peer.place(), line)
            endStreams(of: connection, .error)
        }
    }

    private mutating func subscribe(
        _ stream: StreamSubscription,
        _ start: PollStart,
        _ command: BusCommand,
        _ peer: BusPeer,
        _ connection: ConnectionID
    ) {
        guard !peer.isSubscribed else {
            return reply(connection, peer.place(), command.alreadySubscribed())
        }
        guard knownLog.isOpen else { return reply(connection, peer.place(), command.unavailable()) }
        makeRoom(for: nil)
        peer.subscribe()
        open(Replay(stream, at: .start(start), .lines(connection), head: []))
    }

    /// The channels that the client may know of.
    mutating func list(_ listing: BusListing, for recipient: Recipient) {
        let ticket = wait(.listing(listing), for: recipient, .reading)
        queue(.channels(ticket: ticket.number, listing.selection))
    }

    // MARK: Answers

    /// Fills the answer's place and sends what is next in the order.
    mutating func reply(_ connection: ConnectionID, _ place: Int, _ line: [UInt8]) {
        guard let peer = peers[connection] else { return }
        send(peer.fill(place, line), to: connection, .last)
    }

    /// The answer to a command that waited. What the peer sent behind it may go on, but not within the event of the log.
    mutating func replyLater(_ connection: ConnectionID, _ place: Int, _ line: [UInt8]) {
        reply(connection, place, line)
        goOnLater(connection)
    }

    /// The `hello` of a client's subscription has gone out.
    mutating func greeted(_ connection: ConnectionID) {
        guard let peer = peers[connection], peer.greeted() else { return }
        goOnLater(connection)
    }
}

extension BusRequest {
    fileprivate var waitsForAnswers: Bool {
        switch self {
        case .subscribe, .channels, .message, .status: true
        case .publish, .answer, .refused, .ended: false
        }
    }
}
