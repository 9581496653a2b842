import Channels
import Configuration
import Endpoint
import FastCGI
import Testing

@testable import Core

@Suite struct ConnectionTests {
    @Test func `a newer request on a connection that does not multiplex answers the older`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=25&since=now", on: connection)
        world.get("/push/-/live", on: connection, id: 2)
        let sent = world.take(connection)
        #expect(sent.map(\.id) == [1, 2])
        #expect(world.endings == [.newerRequest: 1])
    }

    @Test func `one that is not kept is done after its answer`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=25&since=now", on: connection, keep: false)
        #expect(world.standing(of: connection) == .busy)
        world.commit(("news", "hello"))
        #expect(world.standing(of: connection) == .done)
    }

    @Test func `a lost connection ends what it holds, by the reason given`() {
        let world = World()
        for loss in [Loss.closed, .slow, .shutdown] {
            let connection = world.connect()
            world.get("/push/news?wait=25&since=now", on: connection)
            world.lose(connection, loss)
        }
        #expect(world.endings == [.closed: 1, .slow: 1, .shutdown: 1])
        #expect(world.isEmpty)
    }

    @Test func `events of a connection that is gone have no effect`() {
        let world = World()
        let old = world.connect()
        world.get("/push/news?wait=25&since=now", on: old)
        world.lose(old)
        let new = ConnectionID(index: old.index, generation: 1)
        world.core.connected(new)
        world.get("/push/news?wait=25&since=now", on: new)
        world.lose(old)
        world.end(old)
        world.abort(1, on: old)
        world.get("/push/-/live", on: old)
        #expect(world.heldCount == 1 && world.take(old).isEmpty)
        #expect(world.standing(of: new) == .busy)
    }

    @Test func `an answer of the log to a connection that is gone is not sent`() {
        let world = World()
        world.fallBehind(to: 10)
        let old = world.connect()
        world.get("/push/news?wait=25&since=k7f2-3", on: old)
        world.lose(old)
        let new = ConnectionID(index: old.index, generation: 1)
        world.core.connected(new)
        world.answerHistory([world.message("news", "x", at: 4)], scanned: 10)
        #expect(world.take(old).isEmpty && world.take(new).isEmpty)
        #expect(world.standing(of: new) == .kept)
    }

    @Test func `a request with the id of one that waits for the log comes after it`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.get("/push/-/live", on: connection)
        #expect(world.take(connection).isEmpty)
        #expect(world.kept(of: connection).queuedBytes == 100)
        #expect(!world.mayJudge(RequestID(2)!, on: connection))
        world.answerAppend(.full)
        #expect(world.take(connection).count == 1)
        #expect(world.nextAlarm == .min)
        world.turn()
        #expect(world.texts(connection).first?.contains("live") == true)
        #expect(world.kept(of: connection).queuedBytes == 0)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `a connection whose requests had queued stood on the agenda once for each of them`()
    {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        for _ in 0..<3 { world.get("/push/-/live", on: connection) }
        world.answerAppend(.full)
        #expect(world.take(connection).count == 1)
        world.turn()
        #expect(world.take(connection).count == 3)
        #expect(world.core.agenda.isEmpty)
    }

    @Test func `what comes behind a page does not overtake it`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.get("/push/-/chat", on: connection)
        world.get("/push/-/live", on: connection)
        world.answerAppend(.full)
        #expect(world.take(connection).count == 1)
        world.turn()
        // The shell makes the page after this event.
        #expect(world.take(connection).map(\.status) == [404])
        #expect(world.nextAlarm == .min)
        world.turn()
        #expect(world.texts(connection).first?.contains("live") == true)
    }

    @Test func `what came in one piece with a request for a page was answered before it`() {
        let world = World()
        let connection = world.connect()
        world.request("GET", "/push/-/chat", on: connection, drains: false)
        #expect(!world.mayJudge(RequestID(1)!, on: connection))
        world.get("/push/-/live", on: connection)
        #expect(world.take(connection).map(\.status) == [404])
        world.turn()
        #expect(world.texts(connection).first?.contains("live") == true)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `the abort of what came in one piece with a request for a page ends it once`() {
        let world = World()
        let connection = world.connect()
        world.request("GET", "/push/-/chat", on: connection, drains: false)
        world.request("GET", "/push/-/live", on: connection, drains: false)
        world.abort(1, on: connection)
        #expect(world.take(connection).map(\.status) == [404])
        world.turn()
        #expect(world.take(connection).isEmpty)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `the abort of a request that only queued was not answered`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.get("/push/-/live", on: connection)
        world.answerAppend(.full)
        #expect(world.take(connection).count == 1)
        world.abort(1, on: connection)
        #expect(world.take(connection).map(\.form) == [.end])
        world.turn()
        #expect(world.take(connection).isEmpty)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `the abort of a stream that read the log began what waited behind it`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=first", on: connection)
        world.get("/push/-/live", on: connection)
        _ = world.take(connection)
        world.abort(1, on: connection)
        #expect(world.take(connection).map(\.form) == [.end])
        world.turn()
        #expect(world.take(connection).isEmpty)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `a stream ended twice over, and what came behind a page overtook it`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.get("/push/news?stream=ndjson&since=first", on: connection)
        world.get("/push/-/chat", on: connection)
        world.get("/push/-/live", on: connection)
        world.answerAppend(.full)
        world.turn()
        _ = world.take(connection)
        #expect(world.reads.count == 1)
        world.failHistory()
        #expect(world.take(connection).count == 1)
        world.turn()
        // The shell makes the page after this event.
        #expect(world.take(connection).map(\.status) == [404])
        world.turn()
        #expect(world.texts(connection).first?.contains("live") == true)
    }

    @Test func `more than so many on one connection drop it`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        for _ in 0..<16 { world.get("/push/-/live", on: connection) }
        #expect(world.dropped.isEmpty)
        world.get("/push/-/live", on: connection)
        #expect(world.dropped == [connection] && world.counters[.queuedRequests] == 1)
        world.answerAppend(.full)
        #expect(world.take(connection).isEmpty && world.isEmpty)
    }

    @Test func `an abort forgets those that wait behind it`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.get("/push/-/live", on: connection)
        world.abort(1, on: connection)
        #expect(world.take(connection).map(\.form) == [.end])
        world.turn()
        #expect(world.take(connection).isEmpty)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `a refused request with an id in use drops the connection`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=25&since=now", on: connection)
        let address = RequestAddress(connection: connection, id: .first, keepConnection: true)
        world.core.refused(address, records: [1, 2, 3], at: world.moment)
        world.drain()
        #expect(world.dropped == [connection])
        #expect(world.complaints == [.idInUse] && world.endings == [.closed: 1])
    }

    @Test func `a refused request was answered before one of its id that queued`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.get("/push/-/live", on: connection)
        world.answerAppend(.full)
        #expect(world.take(connection).count == 1)
        let address = RequestAddress(connection: connection, id: .first, keepConnection: true)
        world.core.refused(address, records: [1, 2, 3], at: world.moment)
        world.drain()
        #expect(world.take(connection).isEmpty)
        #expect(world.dropped == [connection] && world.complaints == [.idInUse])
    }

    @Test func `a refused request got its records amid those of a stream that waited for its peer`()
    {
        let world = World()
        let connection = world.connect()
        world.unsent(connection, 100)
        world.get("/push/news?stream=ndjson", on: connection)
        #expect(world.heldCount == 1)
        let address = RequestAddress(connection: connection, id: .first, keepConnection: true)
        world.core.refused(address, records: [1, 3], at: world.moment)
        world.drain()
        #expect(world.take(connection).isEmpty && world.dropped == [connection])
        #expect(world.heldCount == 0 && world.isEmpty)
    }

    @Test func `a refused request gets its records, one that is too large its answer`() {
        let world = World()
        let connection = world.connect()
        let address = RequestAddress(connection: connection, id: .first, keepConnection: true)
        world.core.refused(address, records: Array("end".utf8), at: world.moment)
        world.core.oversized(address, at: world.moment)
        world.core.gaveUp([address], on: connection, at: world.moment)
        world.drain()
        let sent = world.take(connection)
        #expect(sent.map(\.form) == [.plain, .answer, .answer])
        #expect(sent[0].text == "end" && sent[1].status == 431 && sent[2].status == 503)
        world.core.gaveUp([], on: connection, at: world.moment)
        world.drain()
        #expect(world.dropped == [connection])
    }

    @Test func `a poll that was overtaken while the log was asked is answered`() {
        let world = World()
        world.fallBehind(to: 10)
        let connection = world.connect()
        world.get("/push/news?wait=25&since=k7f2-3", on: connection)
        world.get("/push/-/live", on: connection, id: 2)
        _ = world.take(connection)
        world.answerHistory([], scanned: 10)
        let sent = world.take(connection)
        #expect(sent.first?.id == 1 && sent.first?.status == 200)
        #expect(world.heldCount == 0)
    }

    @Test func `a poll whose peer has closed meanwhile is not held`() {
        let world = World()
        world.fallBehind(to: 10)
        let connection = world.connect()
        world.get("/push/news?wait=25&since=k7f2-3", on: connection)
        world.end(connection)
        #expect(world.standing(of: connection) == .busy)
        world.answerHistory([], scanned: 10)
        #expect(world.take(connection).isEmpty && world.heldCount == 0)
        #expect(world.standing(of: connection) == .done)
    }

    @Test func `the reader is asked sixteen things at a time, and nothing for departed clients`() {
        let world = World()
        world.fallBehind(to: 10)
        let connections = (0..<20).map { _ in world.connect() }
        for connection in connections { world.get("/push/news?since=k7f2-3", on: connection) }
        #expect(world.reads.count == 16)
        world.end(connections[16])
        world.leaveSilently(connections[16])
        world.lose(connections[17])
        for _ in 0..<3 { world.answerHistory([], scanned: 10) }
        #expect(world.reads.count == 15)
        #expect(world.dropped == [connections[16]])
        for _ in 0..<15 { world.answerHistory([], scanned: 10) }
        #expect(world.reads.isEmpty && world.waitingCount == 0)
    }

    @Test func `queued requests with long answers do not all begin in one turn`() {
        let world = World()
        let text = String(repeating: "x", count: 60_000)
        world.commit((0..<20).map { _ in ("news", text) })
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        for _ in 0..<16 { world.get("/push/news?wait=0&since=k7f2-0", on: connection) }
        world.answerAppend(.full)
        #expect(world.take(connection).count == 1)
        world.turn()
        var count = world.take(connection).count
        #expect((1..<16).contains(count))
        while world.nextAlarm == .min {
            world.turn()
            count += world.take(connection).count
        }
        #expect(count == 16 && world.standing(of: connection) == .kept)
    }

    @Test func `what queued behind a stream was begun although its peer had left and did not read`()
    {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=first", on: connection)
        world.post("/push/other", "hello", on: connection)
        world.unsent(connection, 100)
        world.end(connection)
        #expect(world.heldCount == 0 && world.appends.isEmpty)
        world.turn()
        #expect(world.appends.count == 1)
        world.answerAppend(.full)
        #expect(world.take(connection).last?.status == 507)
    }
}
