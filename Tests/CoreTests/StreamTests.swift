import Channels
import Configuration
import Testing

@testable import Core

@Suite struct StreamTests {
    @Test func `a stream is greeted and goes on after each message`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        let hello = world.take(connection)
        #expect(hello.map(\.form) == [.part])
        #expect(hello.first?.status == 200)
        #expect(hello.first?.text.hasSuffix(#"{"kind":"hello","cursor":"k7f2-0"}"# + "\n") == true)
        world.commit(("news", "one"))
        world.commit(("news", "two"))
        let texts = world.texts(connection)
        #expect(texts.count == 2 && texts[0].contains("one") && texts[1].contains("two"))
        #expect(world.heldCount == 1 && world.endings.isEmpty)
        #expect(world.delivered == 2)
    }

    @Test func `a message to many streams is one payload`() {
        let world = World()
        let connections = (0..<100).map { _ in world.connect() }
        for connection in connections {
            world.get("/push/news?stream=sse", on: connection)
            _ = world.take(connection)
        }
        world.commit(("news", "one"))
        #expect(world.payloadCount == 1)
        #expect(connections.allSatisfy { world.take($0).count == 1 })
    }

    @Test func `streams of other channels share the chunk where they are told the same`() {
        let world = World()
        let (a, b) = (world.connect(), world.connect())
        world.get("/push/news?stream=ndjson", on: a)
        world.get("/push/news,other?stream=ndjson", on: b)
        world.commit(("news", "one"))
        #expect(world.payloadCount == 1)
    }

    @Test func `a peer that does not read is let go of with the position behind which it goes on`()
    {
        let world = World { $0.limits.unsentBytes = 3000 }
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        _ = world.take(connection)
        world.commit(("news", "one"))
        world.unsent(connection, 1000)
        world.commit(("news", "two"))
        #expect(world.texts(connection).count == 2)
        world.unsent(connection, 2500)
        world.commit(("news", "three"))
        let bye = world.take(connection)
        #expect(bye.count == 1 && bye.first?.isLast == true)
        #expect(
            bye.first?.text == #"{"kind":"bye","reason":"slow","cursor":"k7f2-2"}"# + "\n"
        )
        #expect(world.endings == [.slow: 1] && world.counters[.unsentBytes] == 1)
    }

    @Test func `heartbeats come in time, but not behind unread output`() {
        let world = World { $0.hold.heartbeatSeconds = 15 }
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        _ = world.take(connection)
        world.pass(15_000)
        #expect(world.texts(connection) == [#"{"kind":"ping","cursor":"k7f2-0"}"# + "\n"])
        world.unsent(connection, 10)
        world.pass(15_000)
        #expect(world.take(connection).isEmpty)
        world.unsent(connection, 0)
        world.pass(15_000)
        #expect(world.take(connection).count == 1)
    }

    @Test func `a stream ends at the end of its life`() {
        let world = World {
            $0.hold.streamSeconds = 60
            $0.hold.heartbeatSeconds = 15
        }
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection, ["SERVER_SOFTWARE": "nginx/1.26"])
        world.pass(60_000 + DeadlineWheel.tickMilliseconds)
        #expect(world.texts(connection).last?.contains(#""reason":"lifetime""#) == true)
        #expect(world.endings == [.lifetime: 1])
    }

    @Test func `a newer request on a connection that does not multiplex ends a stream`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        _ = world.take(connection)
        world.get("/push/-/live", on: connection, id: 2)
        let sent = world.take(connection)
        #expect(sent.map(\.id) == [1, 2])
        #expect(sent.first?.text.contains("superseded") == true)
        #expect(world.endings == [.newerRequest: 1])
    }

    @Test func `on one that multiplexes it goes on`() {
        let world = World()
        let connection = world.connect()
        world.core.askedAboutMultiplexing(connection)
        world.get("/push/news?stream=ndjson", on: connection)
        world.get("/push/-/live", on: connection, id: 2)
        #expect(world.heldCount == 1 && world.endings.isEmpty)
        world.get("/push/-/live", on: connection, id: 1)
        #expect(world.endings == [.newerRequest: 1])
    }

    /// A full connection was given up for the greeting, with all that it held, and no stream on it was told.
    @Test
    func `one that begins behind what others on its connection were sent does not end these`() {
        let world = World { $0.limits.unsentBytes = 3000 }
        let connection = world.connect()
        world.core.askedAboutMultiplexing(connection)
        world.get("/push/news?stream=ndjson", on: connection)
        world.get("/push/other?stream=ndjson&since=first", on: connection, id: 2)
        world.unsent(connection, 2990)
        _ = world.take(connection)
        world.answerHistory([], scanned: 0)
        let sent = world.take(connection)
        #expect(sent.map(\.id) == [2] && sent.first?.text.contains("hello") == true)
        #expect(sent.first?.isBounded == false)
        #expect(world.heldCount == 2)
    }

    @Test func `an aborted stream says nothing more`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        _ = world.take(connection)
        world.abort(1, on: connection)
        #expect(world.take(connection).map(\.form) == [.end])
        #expect(world.endings == [.aborted: 1])
    }

    @Test func `the figures go to their watchers, each second`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/-/status?stream=ndjson", on: connection, ["HOLDFAST_OPERATOR": "1"])
        _ = world.take(connection)
        world.turn()
        #expect(world.figuresAsked == [true])
        world.core.figures(Array(#""held":1"#.utf8), at: world.moment)
        world.drain()
        #expect(world.texts(connection) == [#"{"kind":"status","held":1}"# + "\n"])
        world.pass(2000)
        #expect(world.figuresAsked == [true, true, true])
        world.lose(connection)
        world.pass(1000)
        #expect(world.figuresAsked.last == false)
        #expect(world.nextAlarm == .max)
    }

    @Test func `a stream of figures that was not live at once got none`() {
        let world = World()
        let connection = world.connect()
        world.unsent(connection, 100)
        world.get("/push/-/status?stream=ndjson", on: connection, ["HOLDFAST_OPERATOR": "1"])
        world.pass(2000)
        #expect(!world.figuresAsked.contains(true))
        world.unsent(connection, 0)
        world.turn()
        #expect(world.figuresAsked.last == true)
    }

    @Test func `a stream of figures got none after the log was replaced`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/-/status?stream=ndjson", on: connection, ["HOLDFAST_OPERATOR": "1"])
        world.turn()
        world.unsent(connection, 100)
        world.replaceLog()
        world.pass(2000)
        #expect(world.figuresAsked.last == false)
        world.unsent(connection, 0)
        world.turn()
        #expect(world.figuresAsked.last == true)
    }
}

@Suite struct ReplayTests {
    @Test func `a stream reads what memory has, piece by piece, and goes live`() {
        let world = World()
        let body = String(repeating: "x", count: 30_000)
        world.commit((0..<10).map { ("news", "\($0)" + body) })
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=first", on: connection)
        // Where the log begins it says itself.
        world.answerHistory(
            [world.message("news", "0" + body, at: 1)],
            scanned: 1,
            more: true
        )
        #expect(world.take(connection).count == 2)
        #expect(world.nextAlarm == .min)
        var pieces = 0
        while world.nextAlarm == .min, pieces < 20 {
            world.turn()
            #expect(world.take(connection).count == 1)
            pieces += 1
        }
        #expect(pieces > 3)
        world.commit(("news", "live"))
        #expect(world.texts(connection).first?.contains("live") == true)
    }

    @Test func `it waits for a peer that does not read, and goes on when that has`() {
        let world = World()
        let body = String(repeating: "x", count: 60_000)
        world.commit((0..<4).map { _ in ("news", body) })
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=k7f2-0", on: connection)
        _ = world.take(connection)
        world.unsent(connection, 40_000)
        for _ in 0..<5 { world.turn() }
        #expect(world.take(connection).isEmpty)
        #expect(world.nextAlarm != .min)
        world.unsent(connection, 10)
        world.turn()
        #expect(world.take(connection).isEmpty)
        world.unsent(connection, 0)
        world.turn()
        #expect(world.take(connection).count == 1)
    }

    @Test func `what is committed while it reads comes in order and once`() {
        let world = World()
        world.fallBehind(to: 5)
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=k7f2-3", on: connection)
        world.commit(("news", "six"))
        #expect(world.take(connection).isEmpty)
        world.answerHistory([world.message("news", "four", at: 4)], scanned: 5)
        world.turn()
        world.commit(("news", "seven"))
        let text = world.texts(connection).joined()
        let places = ["four", "six", "seven"].map { text.ranges(of: $0).map(\.lowerBound) }
        #expect(places.allSatisfy { $0.count == 1 })
        #expect(places.map { $0[0] } == places.map { $0[0] }.sorted())
    }

    @Test func `a cursor of another log is a gap before the first message`() {
        let world = World()
        world.commit(("news", "one"))
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=old1-9", on: connection)
        world.answerHistory([], scanned: 1)
        let text = world.texts(connection).joined()
        #expect(text.contains(#"{"kind":"hello","cursor":"old1-9"}"#))
        #expect(text.contains(#"{"kind":"gap","reason":"restarted","cursor":"k7f2-0"}"#))
        #expect(text.contains("one"))
    }

    @Test func `live streams read the log again where more came than memory keeps`() {
        let world = World()
        let (web, bus) = (world.connect(), world.connectBus())
        world.get("/push/news?stream=ndjson", on: web)
        world.say("subscribe news\n", on: bus)
        _ = (world.take(web), world.take(bus))
        world.fallBehind(to: 50)
        #expect(world.heldCount == 2 && world.endings.isEmpty)
        world.turn()
        #expect(world.reads.count == 2)
        world.answerHistory([world.message("news", "old", at: 7)], scanned: 50)
        world.answerHistory([world.message("news", "old", at: 7)], scanned: 50)
        #expect(world.texts(web).joined().contains("old"))
        #expect(world.texts(bus).joined().contains("old"))
        world.commit(("news", "new"))
        #expect(world.texts(web).joined().contains("new"))
        #expect(world.texts(bus).joined().contains("new"))
        #expect(world.counters.holds == 2)
    }

    @Test func `in another log they are told of the gap`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        _ = world.take(connection)
        world.replaceLog()
        world.turn()
        let text = world.texts(connection).joined()
        #expect(text == #"{"kind":"gap","reason":"restarted","cursor":"zz99-0"}"# + "\n")
        world.commit(("news", "one"))
        #expect(world.texts(connection).joined().contains("one"))
    }

    @Test func `a log that can't be read ends it, with where it stands`() {
        let world = World()
        world.fallBehind(to: 5)
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=k7f2-3", on: connection)
        world.failHistory()
        let text = world.texts(connection).joined()
        #expect(text.contains(#"{"kind":"bye","reason":"unavailable","cursor":"k7f2-3"}"#))
        #expect(world.endings == [.closed: 1])
        world.get("/push/news?stream=ndjson&since=k7f2-3", on: connection)
        world.pass(30_000)
        #expect(world.texts(connection).joined().contains("unavailable"))
    }

    @Test func `a lost connection leaves no trace of it`() {
        let world = World()
        world.fallBehind(to: 5)
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=k7f2-3", on: connection)
        world.lose(connection)
        world.answerHistory([world.message("news", "four", at: 4)], scanned: 5)
        #expect(world.take(connection).isEmpty)
        #expect(world.endings == [.closed: 1])
        #expect(world.isEmpty)
    }

    @Test func `a stream whose peer has gone while it queued is not held`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/other", "hello", on: connection)
        world.get("/push/news?stream=ndjson", on: connection)
        world.end(connection)
        world.answerAppend(.full)
        world.turn()
        #expect(world.heldCount == 0 && world.endings == [.left: 1])
        #expect(world.standing(of: connection) == .done)
    }

    @Test func `a stream whose peer left while it queued was held until that had read`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/other", "hello", on: connection)
        world.get("/push/news?stream=ndjson&since=first", on: connection)
        world.end(connection)
        world.answerAppend(.full)
        world.unsent(connection, 100)
        world.turn()
        #expect(world.heldCount == 0 && world.endings == [.left: 1] && world.reads.isEmpty)
    }
}
