import Channels
import FastCGI
import Liveness

@testable import Core
@testable import Endpoint

/// What clients, web servers and other processes send to the core.
extension World {
    // MARK: Other processes

    func hear(_ word: SubscriberWord) {
        core.heard(word, at: moment)
        drain()
    }

    func hear(_ members: [PresentMember]) {
        core.heard(members, at: moment)
        drain()
    }

    func request(
        _ method: String,
        _ uri: String,
        on connection: ConnectionID,
        id: UInt16 = 1,
        keep: Bool = true,
        body: String = "",
        drains: Bool = true,
        _ variables: KeyValuePairs<String, String> = [:]
    ) {
        var request = CGIRequest()
        for (name, value) in [("REQUEST_METHOD", method), ("REQUEST_URI", uri)]
            + variables.map({ ($0, $1) })
        {
            Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { request.set(name, $0) }
            }
        }
        request.body = Array(body.utf8)
        request.clock = Clock(wallMilliseconds: wall, monotonicMilliseconds: now)
        let address = RequestAddress(
            connection: connection,
            id: RequestID(id)!,
            keepConnection: keep
        )
        core.request(request, from: address, size: 100, mayWait: true, at: moment)
        if drains { drain() }
    }

    func get(
        _ uri: String,
        on connection: ConnectionID,
        id: UInt16 = 1,
        keep: Bool = true,
        _ variables: KeyValuePairs<String, String> = [:]
    ) {
        request("GET", uri, on: connection, id: id, keep: keep, variables)
    }

    func post(_ uri: String, _ body: String, on connection: ConnectionID, id: UInt16 = 1) {
        request("POST", uri, on: connection, id: id, body: body, ["CONTENT_TYPE": "text/plain"])
    }

    func abort(_ id: UInt16, on connection: ConnectionID) {
        core.aborted(RequestID(id)!, on: connection, at: moment)
        drain()
    }

    func say(_ lines: String, on connection: ConnectionID) {
        let bytes = Array(lines.utf8)
        bytes.withUnsafeBytes { core.received($0, from: connection, at: moment) }
        drain()
    }

    func lose(_ connection: ConnectionID, _ loss: Loss = .closed) {
        core.connectionLost(connection, loss, at: moment)
        drain()
    }

    func end(_ connection: ConnectionID) {
        core.peerEnded(connection, at: moment)
        drain()
    }

    func unsent(_ connection: ConnectionID, _ bytes: Int) {
        core.unsent(connection, bytes: bytes)
        drain()
    }
}
