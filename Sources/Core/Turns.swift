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
    /// Requests for pages, which the shell answers after this event: what comes behind has to wait for that.
    private var pages: [RequestAddress] = []

    /// Requests that may queue on one connection.
    static let limit = 16

    var isEmpty: Bool { queues.isEmpty && takingUp == nil && pages.isEmpty }

    mutating func awaitPage(_ address: RequestAddress) { pages.append(address) }

    mutating func pageMade(_ address: RequestAddress) { pages.removeAll { $0 == address } }

    func awaitsPage(_ id: RequestID, of connection: ConnectionID) -> Bool {
        pages.contains { $0.id == id && $0.connection == connection }
    }

    func count(of connection: ConnectionID) -> Int { queues[connection.index]?.count ?? 0 }

    func bytes(of connection: ConnectionID) -> Int {
        queues[connection.index]?.reduce(0) { $0 + $1.size } ?? 0
    }

    func first(of connection: ConnectionID) -> RequestID? {
        queues[connection.index]?.first?.address.id
    }

    func has(_ id: RequestID, of connection: ConnectionID) -> Bool {
        queues[connection.index]?.contains { $0.address.id == id } ?? false
    }

    mutating func append(_ request: Request) {
        queues[request.address.connection.index, default: []].append(request)
    }

    /// The first one begins; `taken` follows.
    mutating func takeFirst(of connection: ConnectionID) -> Request? {
        guard let first = queues[connection.index]?.popFirst() else { return nil }
        dropIfEmpty(connection)
        takingUp = connection
        return first
    }

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
