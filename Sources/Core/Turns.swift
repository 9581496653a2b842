internal import DequeModule
internal import Endpoint
internal import FastCGI

/// Queues of complete requests that reuse the id of one that waits for the log, or that came after such a request.
struct Turns {
    struct Request {
        let request: CGIRequest
        let address: RequestAddress
        let size: Int
    }

    private var queues: [Int32: Deque<Request>] = [:]
    /// The connection whose queued request is being begun.
    private(set) var takingUp: ConnectionID?
    /// The shell answers what was begun, after this event: the next request has to wait for that.
    private(set) var waitsForShell = false

    /// Requests that may queue on one connection.
    static let limit = 16

    var isEmpty: Bool { queues.isEmpty && takingUp == nil }

    func count(of connection: ConnectionID) -> Int { queues[connection.index]?.count ?? 0 }

    func bytes(of connection: ConnectionID) -> Int {
        queues[connection.index]?.reduce(0) { $0 + $1.size } ?? 0
    }

    func first(of connection: ConnectionID) -> RequestID? {
        queues[connection.index]?.first?.address.id
    }

    mutating func append(_ request: Request) {
        queues[request.address.connection.index, default: []].append(request)
    }

    /// The first one begins; `taken` follows.
    mutating func takeFirst(of connection: ConnectionID) -> Request? {
        guard let first = queues[connection.index]?.popFirst() else { return nil }
        dropIfEmpty(connection)
        (takingUp, waitsForShell) = (connection, false)
        return first
    }

    /// The shell answers the request that is being begun, if one is.
    mutating func shellAnswers() { waitsForShell = true }

    /// It has begun.
    mutating func taken() { takingUp = nil }

    mutating func removeAll(of connection: ConnectionID) { queues[connection.index] = nil }

    /// - Returns: the first of those with this id; nil if there was none.
    mutating func remove(_ id: RequestID, of connection: ConnectionID) -> RequestAddress? {
        let first = queues[connection.index]?.first { $0.address.id == id }
        queues[connection.index]?.removeAll { $0.address.id == id }
        dropIfEmpty(connection)
        return first?.address
    }

    private mutating func dropIfEmpty(_ connection: ConnectionID) {
        if queues[connection.index]?.isEmpty == true { queues[connection.index] = nil }
    }
}
