import Core
import FastCGI
import Glibc
import Reactor
import Testing

@testable import Responder

@Suite struct `The table of connections` {
    private let table: ConnectionTable

    init() throws {
        let bounds = ConnectionTable.Bounds(web: 1, bus: 1)
        table = ConnectionTable(FramingLimits(), bounds, epoll: try Epoll())
    }

    private func connect() throws -> (SocketPair, ConnectionID) {
        let pair = try SocketPair()
        pair.isNearOurs = false
        return (pair, table.add(pair.near, isBusSocket: false))
    }

    private func request(_ id: UInt16 = 1, body: [UInt8] = []) -> [UInt8] {
        let variables = [(name: Array("A".utf8), value: Array("b".utf8))]
        return Record.request(
            id: RequestID(id)!,
            keepConnection: true,
            variables: variables,
            body: body
        )
    }

    /// Receives and frames what the peer has sent; returns what it is.
    private func frame(_ id: ConnectionID, now: Int64 = 0) -> [String] {
        var events: [String] = []
        let (_, bytes) = table.receive(id)
        table.frame(id, bytes, now: now, judge: { _ in .keep }) { event in
            switch event {
            case .request(let framed): events.append("request \(framed.id.value)")
            case .violation: events.append("violation")
            default: events.append("other")
            }
        }
        return events
    }

    @Test
    func `a connection that is given up is closed in one place, and its name is not used again`()
        throws
    {
        let (pair, id) = try connect()
        #expect(table.isOpen(id) && table.webCount == 1 && table.all == [id] && table.isCrowded)
        #expect(table.mark(id, .closed))
        #expect(!table.isOpen(id) && !table.mark(id, .slow))
        #expect(table.webCount == 1 && !table.isCrowded)
        #expect(!pair.isClosed)
        let lost = table.takeLost()
        #expect(lost.count == 1 && lost[0].id == id && table.takeLost().isEmpty)
        #expect(table.closeMarked())
        #expect(pair.isClosed && table.isEmpty && !table.closeMarked())
        // The next one with this descriptor.
        let next = table.add(id.index, isBusSocket: true)
        #expect(next.index == id.index && next != id && table.busCount == 1)
        table.mark(next, nil)
    }

    @Test func `the core is not told of what it has given up itself`() throws {
        let (_, id) = try connect()
        table.mark(id, .closed)
        table.mark(id, nil)
        #expect(table.takeLost().isEmpty)
        table.closeMarked()
    }

    @Test func `a request that comes in pieces is whole with its last one, and counts until then`()
        throws
    {
        let (pair, id) = try connect()
        let bytes = request(3, body: [UInt8](repeating: 1, count: 100))
        pair.write(Array(bytes[..<60]))
        #expect(frame(id, now: 10) == [])
        #expect(table.isReceiving(id) && !table.isIdle(id) && table.unfinishedBytes > 0)
        #expect(table.overdue(milliseconds: 100, now: 110) == [])
        #expect(table.overdue(milliseconds: 100, now: 111) == [id])
        #expect(table.oldestUnfinished(milliseconds: 0, holdingMemory: true, now: 10) == id)
        pair.write(Array(bytes[60...]))
        #expect(frame(id, now: 20) == ["request 3"])
        #expect(!table.isReceiving(id) && table.isIdle(id) && table.unfinishedBytes == 0)
        #expect(table.tidy() && !table.hasUnfinished)
        table.mark(id, nil)
        table.closeMarked()
    }

    @Test func `what one connection has sent means nothing for another`() throws {
        let (first, one) = try connect()
        let (second, two) = try connect()
        let bytes = request(3)
        first.write(Array(bytes[..<20]))
        #expect(frame(one) == [])
        second.write(request(1))
        #expect(frame(two) == ["request 1"])
        first.write(Array(bytes[20...]))
        #expect(frame(one) == ["request 3"])
        // Behind the end of a request with this id, this record would be a violation.
        first.write([1, 5, 0, 1, 0, 1, 0, 0, 65])
        #expect(frame(one) == [])
        second.write(Array("GET / HTTP/1.1".utf8))
        var isHTTP = false
        let (_, http) = table.receive(two)
        table.frame(two, http, now: 0, judge: { _ in .keep }) { event in
            if case .violation(let violation) = event { isHTTP = violation.isHTTP }
        }
        #expect(isHTTP)
        first.write(request(4))
        #expect(frame(one) == ["request 4"])
        for id in [one, two] { table.mark(id, nil) }
        table.closeMarked()
    }

    @Test func `nothing is framed behind what has ended the connection`() throws {
        let (pair, id) = try connect()
        pair.write(request(1) + request(2))
        var seen = 0
        let (_, bytes) = table.receive(id)
        table.frame(id, bytes, now: 0, judge: { _ in .keep }) { _ in
            seen += 1
            table.mark(id, .closed)
        }
        #expect(seen == 1)
        table.closeMarked()
    }

    @Test func `what is given up for memory is passed over to its end`() throws {
        let (pair, id) = try connect()
        let bytes = request(4, body: [UInt8](repeating: 1, count: 100))
        pair.write(Array(bytes[..<80]))
        _ = frame(id)
        let given = table.giveUpUnfinished(id)
        #expect(given.map(\.id.value) == [4] && given[0].keepConnection)
        #expect(!table.isIdle(id) && !table.takePassedOver(id))
        pair.write(Array(bytes[80...]))
        #expect(frame(id) == [])
        #expect(table.takePassedOver(id) && table.isIdle(id))
        table.mark(id, nil)
        table.closeMarked()
    }

    @Test func `what the core keeps of a connection counts too`() throws {
        let (_, id) = try connect()
        var kept = Kept()
        kept.queuedBytes = 500
        table.account(id, kept, now: 0)
        #expect(table.unfinishedBytes == 500 && !table.isIdle(id))
        table.account(id, Kept(), now: 0)
        #expect(table.unfinishedBytes == 0 && table.isIdle(id))
        kept = Kept()
        kept.command = (bytes: 70, line: 3)
        table.account(id, kept, now: 5)
        table.account(id, kept, now: 50)
        #expect(table.overdue(milliseconds: 10, now: 16) == [id])
        kept.command = (bytes: 70, line: 4)
        table.account(id, kept, now: 50)
        #expect(table.overdue(milliseconds: 10, now: 51) == [])
        table.mark(id, nil)
        #expect(table.unfinishedBytes == 0)
        table.closeMarked()
    }

    @Test func `the hand passes over once a connection that was used since it came by`() throws {
        let pairs = try (0..<3).map { _ in try connect() }
        let ids = pairs.map(\.1)
        for id in ids { table.used(id) }
        table.noteIdle()
        // All were used; after a round the first it comes to has not been since.
        let first = try #require(table.leastUsed { _ in true })
        table.used(first)
        let second = try #require(table.leastUsed { _ in true })
        #expect(second != first)
        // Those on which something goes on are not found.
        #expect(table.leastUsed { _ in false } == nil)
        #expect(table.leastUsed { _ in true } == nil)
        table.noteIdle()
        #expect(table.leastUsed { _ in true } != nil)
        for id in ids { table.mark(id, nil) }
        table.closeMarked()
    }

    @Test func `a peer that goes is seen before any event tells of it`() throws {
        let (pair, id) = try connect()
        #expect(!table.hasGone(id, .sending) && !table.hasInput(id))
        shutdown(pair.far, Int32(SHUT_WR))
        #expect(table.hasGone(id, .sending) && !table.hasGone(id, .whole) && table.hasInput(id))
        pair.closeFar()
        #expect(table.hasGone(id, .whole))
        table.mark(id, nil)
        table.closeMarked()
    }

    @Test func `what a peer has not taken keeps its connection from being idle, and goes with it`()
        throws
    {
        let pair = try SocketPair(bufferBytes: 4096)
        pair.isNearOurs = false
        let id = table.add(pair.near, isBusSocket: false)
        let bytes = [UInt8](repeating: 1, count: 1 << 20)
        _ = table.send(bytes, to: id, limit: nil)
        #expect(table.unsentBytes > 0 && table.hasUnsent(id) && !table.isIdle(id))
        table.mark(id, .slow)
        #expect(table.unsentBytes == 0 && !table.hasUnsent)
        table.closeMarked()
    }

    @Test func `a connection with more input is read on once`() throws {
        let (_, id) = try connect()
        table.readLater(id)
        table.readLater(id)
        #expect(table.hasMoreInput && table.takeReadAgain() == [id] && !table.hasMoreInput)
        table.readLater(id)
        table.mark(id, nil)
        #expect(table.takeReadAgain() == [])
        table.closeMarked()
    }
}
