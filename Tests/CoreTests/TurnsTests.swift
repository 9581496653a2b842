import Endpoint
import FastCGI
import Testing

@testable import Core

@Suite struct `Requests that queue behind one with their id` {
    private let connection = ConnectionID(index: 3, generation: 1)
    private let other = ConnectionID(index: 4, generation: 1)
    private var turns = Turns()

    private func address(_ id: UInt16, on connection: ConnectionID) -> RequestAddress {
        RequestAddress(connection: connection, id: RequestID(id)!, keepConnection: true)
    }

    private mutating func append(_ id: UInt16, on connection: ConnectionID, size: Int = 10) {
        let address = address(id, on: connection)
        turns.append(Turns.Request(request: CGIRequest(), address: address, size: size))
    }

    @Test mutating func `each connection has its own queue, in the order of arrival`() {
        append(1, on: connection, size: 10)
        append(1, on: other, size: 5)
        append(2, on: connection, size: 20)
        #expect(turns.count(of: connection) == 2 && turns.bytes(of: connection) == 30)
        #expect(turns.count(of: other) == 1 && turns.bytes(of: other) == 5)
        #expect(turns.first(of: connection) == RequestID(1))
        let ids = [1, 2].map { _ in turns.takeFirst(of: connection)?.address.id.value }
        #expect(ids == [1, 2])
        #expect(turns.takeFirst(of: connection) == nil && turns.first(of: connection) == nil)
        #expect(turns.count(of: connection) == 0 && turns.bytes(of: connection) == 0)
    }

    @Test mutating func `a request that is begun counts until it has begun`() {
        append(1, on: connection)
        #expect(!turns.isEmpty && turns.takingUp == nil)
        _ = turns.takeFirst(of: connection)
        #expect(turns.takingUp == connection && !turns.isEmpty)
        turns.taken()
        #expect(turns.takingUp == nil && turns.isEmpty)
    }

    @Test mutating func `an aborted id takes all that reuse it, and the first of them is told`() {
        append(1, on: connection)
        append(2, on: connection)
        append(1, on: connection)
        append(1, on: other)
        #expect(
            turns.has(RequestID(1)!, of: connection) && !turns.has(RequestID(3)!, of: connection)
        )
        #expect(turns.remove(RequestID(1)!, of: connection) == address(1, on: connection))
        #expect(turns.count(of: connection) == 1 && turns.first(of: connection) == RequestID(2))
        #expect(turns.remove(RequestID(1)!, of: connection) == nil)
        #expect(turns.count(of: other) == 1)
        _ = turns.remove(RequestID(2)!, of: connection)
        _ = turns.remove(RequestID(1)!, of: other)
        #expect(turns.isEmpty)
    }

    @Test mutating func `a lost connection takes its queue with it`() {
        append(1, on: connection)
        append(1, on: other)
        turns.removeAll(of: connection)
        #expect(turns.count(of: connection) == 0 && turns.count(of: other) == 1)
        turns.removeAll(of: other)
        #expect(turns.isEmpty)
    }

    @Test mutating func `a page is awaited until the shell has made it`() {
        turns.awaitPage(address(1, on: connection))
        turns.awaitPage(address(1, on: other))
        #expect(turns.awaitsPage(RequestID(1)!, of: connection))
        #expect(!turns.awaitsPage(RequestID(2)!, of: connection))
        turns.pageMade(address(1, on: connection))
        #expect(!turns.awaitsPage(RequestID(1)!, of: connection) && !turns.isEmpty)
        #expect(turns.awaitsPage(RequestID(1)!, of: other))
        turns.pageMade(address(1, on: other))
        #expect(turns.isEmpty)
    }
}
