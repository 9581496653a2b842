import Channels
import Configuration
import Liveness
import Testing

@testable import Core
@testable import Endpoint

@Suite struct ProbeTests {
    @Test
    func `a poll behind a server that hides departures begins with its headers and is probed`() {
        let world = World { $0.hold.probeSeconds = 5 }
        let connection = world.connect()
        world.get("/push/news?wait=25&since=now", on: connection, ["SERVER_SOFTWARE": "Apache/2.4"])
        let begun = world.take(connection)
        #expect(begun.map(\.form) == [.part] && begun.first?.status == 200)
        #expect(world.notices.count == 1)
        world.pass(5000)
        #expect(world.texts(connection) == [" "])
        world.pass(5000 + DeadlineWheel.tickMilliseconds)
        #expect(world.texts(connection) == [" "])
        world.commit(("news", "hello"))
        let answer = world.take(connection)
        #expect(answer.first?.status == nil)
        #expect(answer.first?.text.hasPrefix(#"{"cursor""#) == true)
    }

    @Test func `all that are due get one blank, but those that have unread output none`() {
        let world = World { $0.hold.probe = .always }
        let connections = (0..<10).map { _ in world.connect() }
        for connection in connections {
            world.get("/push/news?wait=25&since=now", on: connection)
            _ = world.take(connection)
        }
        world.unsent(connections[0], 1)
        world.pass(5000)
        #expect(world.take(connections[0]).isEmpty)
        #expect(connections.dropFirst().allSatisfy { world.texts($0) == [" "] })
    }

    @Test func `a departure right after a probe is counted as the probe's`() {
        let world = World { $0.hold.probe = .always }
        let (a, b) = (world.connect(), world.connect())
        world.get("/push/news?wait=25&since=now", on: a)
        world.get("/push/news?wait=25&since=now", on: b)
        _ = (world.take(a), world.take(b))
        world.pass(2000)
        world.lose(a)
        #expect(world.endings == [.closed: 1])
        while world.take(b).isEmpty { world.pass(10) }
        world.lose(b)
        #expect(world.endings == [.closed: 1, .probe: 1])
    }

    @Test func `a stream that ends right after a message shows nothing of its server`() {
        let world = World()
        let (stream, other) = (world.connect(), world.connect())
        world.get("/push/news?stream=ndjson", on: stream)
        world.get("/push/other?stream=ndjson", on: other)
        world.pass(1000)
        world.commit(("news", "hello"))
        world.lose(stream)
        #expect(world.policy.entries[1].streams.shown == 0)
        // The message went to another one.
        world.lose(other)
        #expect(world.policy.entries[1].streams.shown == 1)
    }

    @Test func `a stream that ends some time after a message does`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?stream=ndjson", on: connection)
        world.pass(1000)
        world.commit(("news", "hello"))
        world.pass(FrontEnds.echoMilliseconds + 1)
        world.lose(connection)
        #expect(world.policy.entries[1].streams.shown == 1)
        #expect(world.endings == [.closed: 1])
    }

    @Test func `a half-closed connection of a begun poll gets the rest of its answer`() {
        let world = World { $0.hold.earlyHeaders = true }
        let connection = world.connect()
        world.get("/push/news?wait=25&since=now", on: connection)
        _ = world.take(connection)
        world.end(connection)
        let sent = world.take(connection)
        #expect(sent.count == 1 && sent.first?.isLast == true)
        #expect(world.endings == [.closed: 1])
        #expect(world.standing(of: connection) == .done)
    }

    @Test func `that of a poll without a word ends silently`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=25&since=now", on: connection)
        world.end(connection)
        #expect(world.take(connection).isEmpty)
        #expect(world.endings == [.closed: 1])
        #expect(world.standing(of: connection) == .done)
    }
}

@Suite struct SupersedingTests {
    private let id = "subscriber=0123456789abcdef"

    @Test func `a subscriber that asks again ends what it asked before, here and elsewhere`() {
        let world = World()
        world.core.siblings(arePresent: true, at: world.moment)
        let (a, b) = (world.connect(), world.connect())
        world.get("/push/news?wait=25&since=now&\(id)", on: a)
        world.get("/push/news?wait=25&since=now&\(id)", on: b)
        #expect(world.take(a).count == 1 && world.take(b).isEmpty)
        #expect(world.endings == [.superseded: 1])
        #expect(world.words.map(\.kind) == [.cameAgain, .cameAgain])
    }

    @Test func `without members, nothing is reported`() {
        let world = World()
        world.get("/push/news?wait=25&since=now&\(id)", on: world.connect())
        #expect(world.words.isEmpty)
    }

    @Test func `a word of another process ends what came before it, not what came after`() {
        let world = World()
        let connection = world.connect()
        let before = world.moment
        world.get("/push/news?wait=25&since=now&\(id)", on: connection)
        let subscriber = world.core.holds.origin(of: 0).subscriber ?? 0
        func hear(_ time: Int64) {
            let word = SubscriberWord(kind: .cameAgain, time: time, subscriber: subscriber)
            world.core.heard(word, at: world.moment)
            world.drain()
        }
        hear(before.nanoseconds)
        #expect(world.take(connection).isEmpty)
        hear(world.moment.nanoseconds)
        #expect(world.endings == [.superseded: 1])
    }

    @Test func `of two that queued and begin in the same turn only the later one is held`() {
        let world = World()
        let connections = [world.connect(), world.connect()]
        for connection in connections {
            world.post("/push/other", "hello", on: connection)
            world.get("/push/news?wait=25&since=now&\(id)", on: connection)
        }
        for _ in connections { world.answerAppend(.full) }
        world.turn()
        #expect(world.heldCount == 1)
        #expect(world.endings == [.superseded: 1])
    }

    @Test func `what had been open for a second teaches that departures are hidden`() {
        let world = World()
        for round in 0..<4 {
            let connection = world.connect()
            world.get("/push/news?wait=25&since=now&\(id)", on: connection)
            #expect(world.policy.entries[1].evidence.overtaken == max(0, round))
            world.pass(1500)
        }
    }

    @Test func `but not if its client was about to be known as gone`() {
        let world = World()
        for _ in 0..<4 {
            let connection = world.connect()
            world.get("/push/news?wait=25&since=now&\(id)", on: connection)
            world.pass(1500)
            world.leaveSilently(connection)
        }
        let evidence = world.policy.entries[1].evidence
        #expect(evidence.overtaken == 0 && evidence.shown == 3)
        #expect(world.endings == [.closed: 3])
    }

    @Test func `what comes in one piece with its end does not take its id before its answer`() {
        let world = World()
        let connection = world.connect()
        world.core.askedAboutMultiplexing(connection)
        world.get("/push/news?wait=25&since=now&\(id)", on: connection, id: 1)
        let again = "/push/news?wait=25&since=now&\(id)"
        world.request("GET", again, on: connection, id: 2, drains: false)
        world.get("/push/-/live", on: connection, id: 1)
        world.turn()
        let sent = world.take(connection)
        #expect(sent.map(\.id) == [1, 1] && world.endings == [.superseded: 1])
        #expect(sent.first?.text.contains(#""messages":[]"#) == true)
        #expect(sent.last?.text.contains("live") == true)
    }

    @Test func `one that is aborted behind an answer of its id ended its id before it`() {
        let world = World()
        let connection = world.connect()
        world.core.askedAboutMultiplexing(connection)
        world.get("/push/news?wait=25&since=now&\(id)", on: connection, id: 1)
        let again = "/push/news?wait=25&since=now&\(id)"
        world.request("GET", again, on: connection, id: 2, drains: false)
        world.request("GET", "/push/-/live", on: connection, id: 1, drains: false)
        world.abort(1, on: connection)
        world.turn()
        let sent = world.take(connection)
        #expect(sent.map(\.id) == [1] && sent.first?.text.contains(#""messages":[]"#) == true)
    }

    @Test func `where several may be held, the oldest gives way`() {
        let world = World { $0.limits.heldPerSubscriber = 2 }
        let connections = (0..<3).map { _ in world.connect() }
        for connection in connections {
            world.get("/push/news?wait=25&since=now&\(id)", on: connection)
        }
        #expect(connections.map { world.take($0).count } == [1, 0, 0])
        #expect(world.counters[.heldPerSubscriber] == 1)
    }

    @Test func `what waits for the log ends empty where it was, as what is held`() {
        let world = World()
        world.fallBehind(to: 10)
        let (a, b) = (world.connect(), world.connect())
        world.get("/push/news?wait=25&since=k7f2-3&\(id)", on: a)
        world.get("/push/news?wait=25&since=now&\(id)", on: b)
        let sent = world.take(a)
        #expect(sent.first?.status == 200)
        #expect(sent.first?.text.contains(#""cursor":"k7f2-3","messages":[]"#) == true)
        #expect(world.heldCount == 1 && world.counters.answers[5] == 0)
        world.answerHistory([world.message("news", "x", at: 4)], scanned: 10)
        #expect(world.take(a).isEmpty)
    }

    @Test(arguments: ["wait=25&since=first", "since=first", "since=k7f2-3", "wait=25&since=now"])
    func `one without a position, or that would not wait, is told why it ends`(query: String) {
        let world = World()
        world.fallBehind(to: 10)
        // What others have committed is not here yet.
        if query.hasSuffix("now") { world.committed = Offset(12) }
        let (a, b) = (world.connect(), world.connect())
        world.get("/push/news?\(query)&\(id)", on: a)
        world.get("/push/news?wait=25&since=now&\(id)", on: b)
        let superseded = world.take(a)
        #expect(superseded.first?.status == 503)
        #expect(superseded.first?.text.contains(#""code":"superseded""#) == true)
        world.get("/push/news?\(query)&subscriber=fedcba9876543210", on: a)
        world.request("POST", "/push/-/leave?subscriber=fedcba9876543210", on: world.connect())
        #expect(world.texts(a).first?.contains(#""code":"left""#) == true)
        // Not a fault.
        #expect(world.counters.answers[5] == 0 && world.counters.answers[0] == 2)
    }

    @Test func `a client that leaves is answered, here and elsewhere`() {
        let world = World()
        world.core.siblings(arePresent: true, at: world.moment)
        let (poll, stream, leaving) = (world.connect(), world.connect(), world.connect())
        world.get("/push/news?wait=25&since=now&\(id)", on: poll)
        world.get("/push/news?stream=ndjson&subscriber=fedcba9876543210", on: stream)
        world.request("POST", "/push/-/leave?\(id)", on: leaving)
        #expect(world.take(leaving).first?.status == 204)
        #expect(world.take(poll).count == 1)
        #expect(world.endings == [.left: 1] && world.heldCount == 1)
        #expect(world.words.last?.kind == .left)
    }
}

@Suite struct BoundTests {
    @Test func `the oldest hold gives way to a newcomer, and is told when to come back`() {
        let world = World { $0.limits.heldRequests = 3 }
        let connections = (0..<4).map { _ in world.connect() }
        for connection in connections { world.get("/push/news?wait=25&since=now", on: connection) }
        let sent = world.take(connections[0])
        #expect(sent.first?.text.contains(#""retry_after":"#) == true)
        #expect(world.heldCount == 3)
        #expect(world.endings == [.limit: 1] && world.counters[.heldRequests] == 1)
    }

    @Test func `a tenth of the connections is never held`() {
        let world = World(connectionLimit: 11)
        #expect(world.heldLimit == 10)
        for _ in 0..<11 { world.get("/push/news?wait=25&since=now", on: world.connect()) }
        #expect(world.heldCount == 10)
    }

    @Test func `an address holds so many, whatever others hold`() {
        let world = World { $0.limits.heldPerAddress = 2 }
        let connections = (0..<5).map { _ in world.connect() }
        for (index, connection) in connections.enumerated() {
            world.get(
                "/push/news?wait=25&since=now",
                on: connection,
                ["REMOTE_ADDR": index == 1 ? "10.0.0.2" : "10.0.0.1"]
            )
        }
        #expect(connections.map { world.take($0).count } == [1, 0, 1, 0, 0])
        #expect(world.counters[.heldPerAddress] == 2)
    }

    @Test func `without an address it is said once that the bound can't be kept`() {
        let world = World { $0.limits.heldPerAddress = 1 }
        world.say("subscribe news\n", on: world.connectBus())
        #expect(world.notices.isEmpty)
        for _ in 0..<3 { world.get("/push/news?wait=25&since=now", on: world.connect()) }
        #expect(world.notices.count == 1 && world.heldCount == 4)
    }

    @Test func `streams that read count, and give way after those that are live`() {
        let world = World { $0.limits.heldRequests = 2 }
        world.fallBehind(to: 10)
        let (a, b, c, d) = (world.connect(), world.connect(), world.connect(), world.connect())
        world.get("/push/news?stream=ndjson&since=k7f2-3", on: a)
        world.get("/push/news?wait=25&since=now", on: b)
        world.get("/push/news?wait=25&since=now", on: c)
        #expect(world.take(b).count == 1)
        world.get("/push/news?stream=ndjson", on: d)
        #expect(world.take(c).count == 1)
        #expect(world.heldCount == 2)
        world.get("/push/news?stream=ndjson", on: b)
        #expect(world.texts(d).last?.contains(#""reason":"limit""#) == true)
    }

    @Test func `when descriptors are wanted, the oldest hold gives its connection`() {
        let world = World()
        let (a, b) = (world.connect(), world.connect())
        world.get("/push/news?wait=25&since=now", on: a)
        world.get("/push/news?wait=25&since=now", on: b)
        #expect(world.giveWay() == a)
        world.drain()
        #expect(world.take(a).count == 1)
        #expect(world.standing(of: a) == .done && world.standing(of: b) == .busy)
        _ = world.giveWay()
        #expect(world.giveWay() == nil)
    }
}
