internal import Configuration
internal import Core
internal import Endpoint
internal import FastCGI
internal import FastCGICodec
internal import Glibc
internal import Reactor
internal import System

/// Connections, from accepting to losing them, and the input that their bytes are to the core.
extension Responder {
    // MARK: Reading

    func ready(_ id: ConnectionID, _ readiness: Readiness) {
        if readiness.canWrite { flush(id) }
        if readiness.canRead || readiness.peerClosed { read(id, toTheEnd: readiness.peerClosed) }
    }

    /// Continues with peers that sent more than one turn's share.
    func readMore() {
        for id in connections.takeReadAgain() { read(id, toTheEnd: true) }
    }

    /// Reads a bounded share, so that a peer with much input does not keep the others waiting.
    ///
    /// A read that does not fill the buffer has emptied the socket, and the next edge will be reported; if the peer has
    /// closed, only the end of the stream ends the reading.
    func read(_ id: ConnectionID, toTheEnd: Bool) {
        // Everything is checked again if this process goes on.
        guard !handOver.isPaused else { return }
        for _ in 0..<4 {
            // What it has sent, or the writing before, may have ended it.
            guard connections.isOpen(id) else { return }
            let isBusSocket = connections.isBusSocket(id)
            guard !isBusSocket || core.mayRead(id) else { return }
            let (transfer, bytes) = unsafe connections.receive(id)
            switch transfer {
            case .bytes(let count):
                if isBusSocket {
                    unsafe core.received(bytes, from: id, at: moment)
                } else {
                    unsafe frame(bytes, id)
                }
                afterInput(id, isBusSocket)
                // In the middle of a request, a socket may return less than it has.
                if count < InputBuffer.byteCount, !toTheEnd, !connections.isReceiving(id) {
                    return
                }
            case .wouldBlock: return
            case .ended: return peerEnded(id)
            }
        }
        connections.readLater(id)
    }

    private func afterInput(_ id: ConnectionID, _ isBusSocket: Bool) {
        drain()
        boundUnfinished()
        // The rest of a request that was answered early may have arrived, or the place is needed.
        if !isBusSocket, connections.takePassedOver(id) || connections.isCrowded { settle(id) }
    }

    private func frame(_ bytes: UnsafeRawBufferPointer, _ id: ConnectionID) {
        unsafe connections.frame(
            id,
            bytes,
            now: now,
            judge: { head in judge(head, id) },
            each: { event in handle(event, id) }
        )
    }

    private func handle(_ event: FramingEvent, _ id: ConnectionID) {
        switch event {
        case .request(let framed):
            connections.used(id)
            let size = unsafe framed.records.count
            let isDecoded = decoder.decode(framed, now: now) { request in
                core.request(
                    request,
                    from: address(framed.id, id, framed.keepConnection),
                    size: size,
                    mayWait: connections.unfinishedBytes + size <= settings.limits.unfinishedBytes,
                    at: moment
                )
            }
            guard isDecoded else { return refused(id) }
            // Short requests may have long answers, and many of them arrive in one piece.
            let isFull = core.isFull
            if isFull { drain(settles: false) }
        case .abort(let request): core.aborted(request, on: id, at: moment)
        case .reply(let bytes): transmit(bytes, to: id, limit: settings.limits.unsentBytes)
        case .askedValues: core.askedAboutMultiplexing(id)
        case .refuse(let request, let keepConnection, let bytes):
            core.refused(address(request, id, keepConnection), records: bytes, at: moment)
        case .oversizedParams(let request, let keepConnection):
            core.oversized(address(request, id, keepConnection), at: moment)
        case .violation(let violation):
            journal.note(violation, now: now)
            // Requests before it are answered.
            drain()
            if violation.isHTTP { transmit(Self.wordToHTTP, to: id, limit: nil) }
            if violation.isCommand { transmit(BusInterface.notHere, to: id, limit: nil) }
            lose(id, .closed)
        }
    }

    /// For a person who sees this answer through proxy_pass.
    private static let wordToHTTP = Array(
        """
        HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
        This socket speaks FastCGI, not HTTP: use fastcgi_pass or its like in the web server.\n
        """.utf8
    )

    private func judge(_ head: FramedRequest, _ id: ConnectionID) -> BodyVerdict {
        guard core.mayJudge(head.id, on: id) else { return .keep }
        var request = CGIRequest()
        guard decoder.decode(head, now: now, into: &request) else {
            refused(id)
            return .answered
        }
        request.awaitsBody = true
        let address = address(head.id, id, head.keepConnection)
        let verdict = core.judge(request, from: address, at: moment)
        if verdict == .answered { connections.used(id) }
        return verdict
    }

    private func address(
        _ request: RequestID,
        _ id: ConnectionID,
        _ keepConnection: Bool
    ) -> RequestAddress {
        RequestAddress(connection: id, id: request, keepConnection: keepConnection)
    }

    /// libfcgi refuses a request.
    private func refused(_ id: ConnectionID) {
        let sentence = "connection closed: libfcgi refused a request"
        journal.complain(.refusedRequest, sentence, now: now)
        drain()
        lose(id, .closed)
    }

    private func peerEnded(_ id: ConnectionID) {
        if connections.isBusSocket(id), connections.hasGone(id, .whole) {
            lose(id, .closed)
            return drain()
        }
        connections.endReading(id)
        core.peerEnded(id, at: moment)
        drain()
        settle(id)
    }

    // MARK: Writing

    private func flush(_ id: ConnectionID) {
        guard connections.hasUnsent(id) else { return }
        switch connections.flush(id) {
        case .all:
            watchSending(id, false)
            core.unsent(id, bytes: 0)
            drain()
            settle(id)
        case .some:
            core.unsent(id, bytes: connections.unsentBytes(of: id))
            drain()
        case .failed:
            lose(id, .closed)
            drain()
        }
    }

    func watchSending(_ id: ConnectionID, _ isSending: Bool) {
        do {
            try connections.setSending(id, isSending)
        } catch {
            notWatched(id, error)
        }
    }

    func watch(_ id: ConnectionID) {
        do {
            try connections.watch(id)
        } catch {
            notWatched(id, error)
        }
    }

    private func notWatched(_ id: ConnectionID, _ error: SystemError) {
        journal.complain(.notWatched, "connection closed: \(error)", now: now)
        lose(id, .closed)
    }

    // MARK: Losing

    /// Gives a connection up: its holds end without an answer, once the core is told in the next `drain`.
    func lose(_ id: ConnectionID, _ loss: Loss, atOnce: Bool = false) {
        connections.mark(id, loss, atOnce: atOnce)
    }

    /// Closes an idle connection if its web server asked for that, or its place is needed.
    func settle(_ id: ConnectionID) {
        guard connections.isIdle(id) else { return }
        switch core.standing(of: id) {
        case .busy: break
        case .done: lose(id, .closed)
        case .kept where connections.isCrowded && !connections.isBusSocket(id): closeKept(id)
        case .kept: connections.noteIdle()
        }
    }
}
