import Channels
import Configuration
import Testing

@testable import Core
@testable import Endpoint

@Suite struct PublishTests {
    let id = Cursor(epoch: epoch("k7f2"), offset: Offset(1))

    @Test func `a publication goes to the log, and its outcome to the publisher`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        #expect(world.take(connection).isEmpty)
        #expect(world.appends.first?.drafts.map(\.body) == [Array("hello".utf8)])
        world.answerAppend(.committed(ids: [id]))
        #expect(world.take(connection).first?.status == 201)
        #expect(world.waitingCount == 0 && world.nextAlarm == .max)
    }

    @Test func `a log that does not answer in time leaves the outcome unknown`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.pass(1999)
        #expect(world.take(connection).isEmpty)
        world.pass(1)
        #expect(world.take(connection).first?.text.contains("outcome_unknown") == true)
        #expect(world.counters[.publishTime] == 1 && world.publisherWaits == 1)
        world.answerAppend(.committed(ids: [id]))
        #expect(world.take(connection).isEmpty)
    }

    @Test func `that publishers wait is told once in ten seconds`() {
        let world = World()
        let connections = (0..<3).map { _ in world.connect() }
        for connection in connections { world.post("/push/news", "hello", on: connection) }
        world.pass(2000)
        #expect(world.counters[.publishTime] == 3 && world.publisherWaits == 1)
        world.pass(10_000)
        world.post("/push/news", "hello", on: connections[0])
        world.pass(2000)
        #expect(world.publisherWaits == 2)
    }

    @Test func `the queue has a bound, until the log answers, whatever waits`() {
        let world = World { $0.limits.publishQueueMessages = 2 }
        let (a, b, c) = (world.connect(), world.connect(), world.connect())
        world.post("/push/news", "1", on: a)
        world.post("/push/news", "2", on: b)
        world.post("/push/news", "3", on: c)
        #expect(world.take(c).first?.status == 503)
        #expect(world.counters[.publishQueue] == 1)
        // The first publisher has gone, but the log still has the message.
        world.lose(a)
        world.post("/push/news", "3", on: c)
        #expect(world.take(c).first?.status == 503)
        world.answerAppend(.committed(ids: [id]))
        world.post("/push/news", "3", on: c)
        #expect(world.take(c).isEmpty && world.appends.count == 2)
    }

    @Test func `what is larger than the whole queue goes alone`() {
        let world = World { $0.limits.publishQueueBytes = 3 }
        let (a, b) = (world.connect(), world.connect())
        world.post("/push/news", "larger", on: a)
        #expect(world.appends.count == 1)
        world.post("/push/news", "x", on: b)
        #expect(world.take(b).first?.status == 503)
    }

    @Test func `an aborted publisher hears nothing but the end`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.abort(1, on: connection)
        #expect(world.take(connection).map(\.form) == [.end])
        world.answerAppend(.committed(ids: [id]))
        #expect(world.take(connection).isEmpty)
    }

    @Test func `a pipe's lines wait for room, and their outcome names the pipe`() {
        let world = World { $0.limits.publishQueueMessages = 1 }
        let draft = Draft(
            channel: channel("news"),
            kind: .text,
            contentType: "text/plain",
            body: []
        )
        let publication = Publication(drafts: [draft], publisher: "pipe:x")
        #expect(world.publish(publication, ofPipe: 3))
        #expect(!world.publish(publication, ofPipe: 4))
        world.drain()
        world.answerAppend(.full)
        #expect(world.piped.map(\.pipe) == [3])
        #expect(world.piped.first?.outcome == .full)
        #expect(world.isEmpty)
    }

    @Test func `pipes that belong to another process are not told`() {
        let world = World()
        let publication = Publication(dropping: [channel("news")], publisher: "pipe:x")
        #expect(world.publish(publication, ofPipe: 0))
        world.drain()
        world.core.forgetPipes()
        world.answerAppend(.committed(ids: []))
        #expect(world.piped.isEmpty && world.isEmpty)
    }

    @Test func `one message is read by its id`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/-/messages/k7f2-5", on: connection)
        guard case .message(let ticket, let asked)? = world.reads.first else {
            Issue.record("nothing was asked")
            return
        }
        #expect(asked.offset == Offset(5))
        world.tell(.message(ticket: ticket, .success(world.message("news", "five", at: 5))))
        #expect(world.texts(connection).first?.contains("five") == true)
    }
}
