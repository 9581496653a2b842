internal import Channels
internal import Endpoint
internal import FastCGI

/// Everything that is sent to peers.
extension Core {
    // MARK: Parts

    /// A part of a stream: those over HTTP travel in records, those of the bus socket as they are.
    mutating func add(_ bytes: [UInt8], _ stream: StreamSubscription) -> Int32 {
        actions.add(stream.form.isFramed ? .part : .plain, body: bytes)
    }

    mutating func send(part payload: Int32, to held: Holds.Held, _ flags: Send.Flags = []) {
        actions.append(
            .send(
                Send(
                    connection: connections.id(held.connection),
                    payload: payload,
                    id: held.requestID,
                    flags: flags
                )
            )
        )
    }

    mutating func send(
        part payload: Int32,
        to address: RequestAddress,
        _ flags: Send.Flags = []
    ) {
        let (connection, id) = (address.connection, address.id)
        actions.append(
            .send(Send(connection: connection, payload: payload, id: id, flags: flags))
        )
    }

    // MARK: Last bytes

    /// An answer as it is sent.
    ///
    /// - Parameter other: a payload with the same body.
    mutating func payload(of answer: Answer, bodyOf other: Int32? = nil) -> Int32 {
        guard !answer.closes else { return actions.add(.end, body: []) }
        return actions.add(
            .answer,
            header: answer.header,
            body: answer.body,
            sharedWith: other
        )
    }

    /// Sends the answer to a held poll that was taken out.
    mutating func finish(_ held: Holds.Held, _ payload: Int32, status: Int) {
        counters.answers[min(5, status / 100)] += 1
        finish(address(of: held), payload)
    }

    /// Sends the last bytes of a live stream that was taken out.
    mutating func finish(_ held: Holds.Held, _ bye: [UInt8]) {
        if held.kind == .lines {
            finish(lines: bye, connections.id(held.connection))
        } else {
            finish(address(of: held), actions.add(.answer, body: bye), unbounded: true)
        }
    }

    /// Ends the subscription of a bus client, and its connection.
    mutating func finish(lines: [UInt8], _ connection: ConnectionID) {
        greeted(connection)
        connections.closeWhenIdle(connection)
        send(lines, to: connection, [.last, .unbounded])
    }

    /// Sends the last bytes of a request.
    mutating func finish(_ address: RequestAddress, _ payload: Int32, unbounded: Bool = false) {
        actions.append(
            .send(
                Send(
                    connection: address.connection,
                    payload: payload,
                    id: address.id,
                    flags: unbounded ? [.last, .unbounded] : .last
                )
            )
        )
        if !address.keepConnection { connections.closeWhenIdle(address.connection) }
        takeUpLater(address.connection)
    }

    /// END_REQUEST alone: the web server closes its client's connection or answers with an error. Closing ours instead
    /// would end what else is on it, and make nginx take a kept connection for a stale one and ask again.
    mutating func finishWithoutAnswer(_ address: RequestAddress) {
        finish(address, actions.add(.end, body: []))
    }

    /// Lines of the bus socket.
    mutating func send(_ lines: [UInt8], to connection: ConnectionID, _ flags: Send.Flags) {
        guard !lines.isEmpty else { return }
        let payload = actions.add(.plain, body: lines)
        actions.append(
            .send(Send(connection: connection, payload: payload, id: .first, flags: flags))
        )
    }
}
