import Channels
import Configuration
import Testing

@testable import Core

@Suite struct PollTests {
    @Test func `a poll is held until a message comes on its channel`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        #expect(world.take(connection).isEmpty)
        #expect(world.heldCount == 1)
        world.commit(("other", "no"))
        #expect(world.take(connection).isEmpty)
        world.commit(("news", "hello"))
        let sent = world.take(connection)
        #expect(sent.count == 1)
        #expect(sent.first?.status == 200 && sent.first?.isLast == true)
        #expect(sent.first?.text.contains(#""cursor":"k7f2-2""#) == true)
        #expect(sent.first?.text.contains("hello") == true)
        #expect(world.endings == [.released: 1])
        #expect(world.delivered == 1 && world.counters.deliveries == 1)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `equal polls share one payload, and other words of the same share its body`() {
        let world = World()
        let equal = (0..<50).map { _ in world.connect() }
        for connection in equal { world.get("/push/news?wait=20&since=now", on: connection) }
        let other = world.connect()
        world.get("/push/news?wait=20&since=now&colour=red", on: other)
        #expect(world.interestCount == 2)
        world.commit(("news", "hello"))
        #expect(world.payloadCount == 2)
        #expect(equal.allSatisfy { world.take($0).count == 1 })
        #expect(world.take(other).count == 1)
        #expect(world.delivered == 51)
    }

    @Test func `what came behind its cursor is answered at once`() {
        let world = World()
        world.commit(("news", "one"), ("news", "two"))
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-1", on: connection)
        let texts = world.texts(connection)
        #expect(texts.count == 1)
        #expect(texts.first?.contains("two") == true && texts.first?.contains("one") == false)
        #expect(world.counters.holds == 0)
    }

    @Test func `answers at once from one position have the same body, until more came`() throws {
        let world = World()
        world.commit(("news", "one"), ("news", "two"), ("news", "three"))
        func body(_ query: String) throws -> Substring {
            let connection = world.connect()
            world.get("/push/news?\(query)", on: connection)
            let text = try #require(world.texts(connection).first)
            return text[try #require(text.firstRange(of: "\r\n\r\n")).upperBound...]
        }
        let first = try body("since=k7f2-1")
        #expect(first.contains("two") && first.contains("three") && !first.contains("one"))
        #expect(try body("wait=20&since=k7f2-1&colour=red") == first)
        #expect(try body("since=k7f2-0") != first)
        #expect(try body("since=k7f2-1&limit=1").contains("three") == false)
        #expect(try body("since=k7f2-1") == first)
        let head = world.connect()
        world.request("HEAD", "/push/news?since=k7f2-1", on: head)
        #expect(world.texts(head).first?.hasSuffix("\r\n\r\n") == true)
        #expect(try body("since=k7f2-1") == first)
        world.commit(("news", "four"))
        #expect(try body("since=k7f2-1").contains("four"))
        world.replaceLog()
        world.commit(("news", "uno"), ("news", "due"), ("news", "tre"))
        let other = try body("since=zz99-1")
        #expect(other.contains("due") && other.contains("tre") && !other.contains("three"))
    }

    @Test func `what is below memory is read from the log`() {
        let world = World()
        world.fallBehind(to: 10)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-3", on: connection)
        #expect(world.take(connection).isEmpty)
        guard case .history(let request)? = world.reads.first else {
            Issue.record("nothing was asked")
            return
        }
        #expect(request.start == .after(Offset(3)))
        #expect(world.standing(of: connection) == .busy)
        world.answerHistory([world.message("news", "five", at: 5)], scanned: 10)
        #expect(world.texts(connection).first?.contains("five") == true)
        #expect(world.standing(of: connection) == .kept)
    }

    @Test func `a history without news makes it wait, and what came meanwhile is not missed`() {
        let world = World()
        world.fallBehind(to: 10)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-3", on: connection)
        world.commit(("news", "eleven"))
        #expect(world.take(connection).isEmpty)
        world.answerHistory([], scanned: 10)
        #expect(world.texts(connection).first?.contains("eleven") == true)
    }

    @Test func `a cursor of the future is looked up before it is called unknown`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-5", on: connection)
        #expect(world.take(connection).isEmpty && world.reads.count == 1)
        world.answerHistory([], scanned: 0)
        let text = world.texts(connection).first ?? ""
        #expect(text.contains(#""reason":"future""#))
    }

    @Test func `a cursor that another process gave out is no gap once the news has come`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-1", on: connection)
        world.commit(("news", "one"))
        world.answerHistory([], scanned: 1)
        #expect(world.take(connection).isEmpty)
        #expect(world.heldCount == 1)
    }

    @Test func `a poll waits for what others have committed, not for ever`() {
        let world = World()
        world.committed = Offset(1)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-0", on: connection)
        #expect(world.reads.isEmpty && world.waitingCount == 1)
        world.commit(("news", "one"))
        #expect(world.texts(connection).first?.contains("one") == true)
        world.committed = Offset(2)
        world.get("/push/news?wait=20&since=k7f2-1", on: connection)
        world.pass(9999)
        #expect(world.take(connection).isEmpty)
        world.pass(1)
        #expect(world.take(connection).first?.status == 503)
        #expect(world.waitingCount == 0)
    }

    @Test func `a poll that waits for news is given what was committed since it came`() {
        let world = World()
        world.committed = Offset(1)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        #expect(world.waitingCount == 1)
        // The news of both come at once.
        world.commit(("news", "before"), ("news", "since"))
        let texts = world.texts(connection)
        #expect(texts.count == 1)
        #expect(texts.first?.contains("since") == true)
        #expect(texts.first?.contains("before") == false)
    }

    @Test func `a bare poll of two channels lost a message that a bare poll of one had passed`() {
        let world = World()
        let one = world.connect()
        let both = world.connect()
        world.get("/push/a?wait=20&since=now&format=bare", on: one)
        world.get("/push/a,b?wait=20&since=now&format=bare", on: both)
        world.commit(("a", "first"), ("b", "second"))
        #expect(world.texts(one).first?.contains("Holdfast-Cursor: k7f2-2") == true)
        #expect(world.texts(both).first?.contains("Holdfast-Cursor: k7f2-1") == true)
    }

    @Test func `a poll lost what came since when the log was opened anew`() {
        let world = World()
        world.committed = Offset(1)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        world.committed = Offset(2)
        world.open()
        #expect(world.waitingCount == 1)
        world.commit(("news", "before"), ("news", "since"))
        let texts = world.texts(connection)
        #expect(texts.first?.contains("since") == true)
        #expect(texts.first?.contains("before") == false)
    }

    @Test func `a gap that was owed is told where a newer request has overtaken the poll`() {
        let world = World { $0.endpoints = [Self.classic(.close)] }
        let connection = world.connect()
        world.get("/sub?since=aaaaaaaa-5", on: connection)
        world.get("/push/-/live", on: connection, id: 2)
        #expect(world.take(connection).count == 1)
        world.answerHistory([], scanned: 0)
        #expect(world.texts(connection).first?.contains(#""reason":"restarted""#) == true)
    }

    @Test func `a wait that ended without an answer was counted as a good one`() {
        let world = World { $0.endpoints = [Self.classic(.close)] }
        let connection = world.connect()
        world.get("/sub?since=now", on: connection)
        world.pass(21_000)
        #expect(world.endings == [.deadline: 1])
        #expect(world.counters.answers == [1, 0, 0, 0, 0, 0])
    }

    /// Holds for 20 s.
    private static func classic(_ onTimeout: FixedEndpoint.OnTimeout) -> FixedEndpoint {
        var endpoint = FixedEndpoint(path: "/sub", action: .subscribe)
        endpoint.channels = [channel("news")]
        endpoint.waitSeconds = 20
        endpoint.onTimeout = onTimeout
        return endpoint
    }

    @Test func `the end of a wait as on_timeout wants it was counted as a fault`() {
        let world = World { $0.endpoints = [Self.classic(.unavailable)] }
        let connections = [world.connect(), world.connect()]
        for connection in connections { world.get("/sub?since=now", on: connection) }
        world.pass(21_000)
        for connection in connections {
            #expect(world.texts(connection).first?.contains("nothing_new") == true)
        }
        #expect(world.counters.answers == [2, 0, 0, 0, 0, 0])
    }

    @Test func `a log that is replaced ends a held poll with a gap`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        world.replaceLog()
        let text = world.texts(connection).first ?? ""
        #expect(text.contains(#""cursor":"zz99-0""#) && text.contains(#""reason":"restarted""#))
        #expect(world.endings == [.gap: 1])
    }

    @Test func `a poll asked of a log that was replaced meanwhile is judged anew`() {
        let world = World()
        world.fallBehind(to: 10)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=k7f2-3", on: connection)
        let old = world.takeReads()
        world.replaceLog()
        world.tell(
            .history(
                ticket: old[0].ticket,
                .success(
                    HistoryPage(
                        messages: [world.message("news", "stale", at: 5)],
                        scanned: Offset(10),
                        more: false,
                        gap: nil,
                        newest: Offset(10)
                    )
                )
            )
        )
        #expect(world.take(connection).isEmpty)
        world.answerHistory([], scanned: 0)
        let text = world.texts(connection).first ?? ""
        #expect(text.contains("restarted") && !text.contains("stale"))
    }

    @Test func `where more came than memory keeps, polls come back and ask the log`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        world.fallBehind(to: 100)
        let text = world.texts(connection).first ?? ""
        #expect(text.contains(#""cursor":"k7f2-0""#) && text.contains(#""gap":null"#))
        #expect(world.endings == [.behind: 1] && world.counters.deliveries == 0)
    }

    @Test func `a message of a batch that is not whole in an answer is more`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now&limit=1", on: connection)
        world.commit(("news", "one"), ("news", "two"))
        let text = world.texts(connection).first ?? ""
        #expect(text.contains(#""cursor":"k7f2-1""#) && text.contains(#""more":true"#))
    }

    @Test func `deleted messages end a wait with a gap`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        let mark = TrimMark(channel: channel("news"), through: Offset(1), reason: .deleted)
        world.commit([], trims: [mark])
        #expect(world.texts(connection).first?.contains(#""reason":"deleted""#) == true)
        #expect(world.endings == [.gap: 1])
    }

    @Test func `no log, no poll`() {
        let world = World(isOpen: false)
        let connection = world.connect()
        world.get("/push/news?wait=20", on: connection)
        #expect(world.take(connection).first?.status == 503)
        #expect(!world.isReady)
        world.open()
        #expect(world.isReady)
        world.tell(.unavailable("the disk is gone"))
        #expect(!world.isReady && world.position != nil)
    }

    @Test func `big answers are handed over one after the other`() {
        let world = World()
        let body = String(repeating: "x", count: 60_000)
        let count = 150
        let connections = (0..<count).map { number in
            let connection = world.connect()
            // Each has a channel of its own, so that no two answers are the same.
            world.get("/push/all,c\(number)?wait=20&since=now", on: connection)
            return connection
        }
        var messages = [(channel: "all", text: body)]
        messages += (0..<count).map { ("c\($0)", body) }
        world.commit(messages)
        #expect(world.handovers > 1)
        #expect(connections.allSatisfy { world.take($0).count == 1 })
        #expect(world.delivered == count)
    }

    @Test func `polls that waited for the same news are answered in portions`() {
        let world = World()
        world.committed = Offset(1)
        let body = String(repeating: "x", count: 60_000)
        let connections = (0..<150).map { number in
            let connection = world.connect()
            world.get("/push/all,c\(number)?wait=20&since=k7f2-0", on: connection)
            return connection
        }
        #expect(world.waitingCount == 150)
        world.commit(("all", body))
        #expect(world.handovers > 1)
        #expect(connections.allSatisfy { world.take($0).first?.status == 200 })
        #expect(world.waitingCount == 0 && world.nextAlarm > world.now)
    }

    @Test func `a peer lost while a batch is told does not have the rest made at once`() {
        let world = World()
        let body = String(repeating: "x", count: 60_000)
        let connections = (0..<250).map { number in
            let connection = world.connect()
            world.get("/push/all,c\(number)?wait=20&since=now", on: connection)
            return connection
        }
        var messages = [world.message("all", body, at: 1)]
        for number in 0..<250 {
            messages.append(world.message("c\(number)", body, at: Int64(number) + 2))
        }
        let batch = CommittedBatch(
            previous: Offset(0),
            head: Offset(251),
            messages: messages,
            trims: []
        )
        world.core.log(.committed(batch), toldAt: 0, at: world.moment)
        var actions = Actions()
        world.core.exchange(&actions)
        let first = actions.payloads.count
        #expect(first < 50)
        // In no order that matters: one that has its answer, and some that may not have it.
        for lost in 0..<20 {
            world.core.connectionLost(connections[lost * 10], .slow, at: world.moment)
        }
        world.core.exchange(&actions)
        #expect(actions.payloads.count < 50)
        world.drain()
        #expect(world.heldCount == 0)
        let ended = world.endings
        #expect((ended[.released] ?? 0) + (ended[.slow] ?? 0) == 250)
    }

    @Test
    func `a batch is delivered to its end before the next event, whatever room its answers take`() {
        let world = World()
        let polls = ["a", "b", "c"].map { name in
            let connection = world.connect()
            world.get("/push/\(name)?wait=25&since=now", on: connection)
            return connection
        }
        let text = String(repeating: "x", count: 5 << 20)
        func batch(_ messages: [Message]) -> LogEvent {
            .committed(
                CommittedBatch(
                    previous: messages[0].offset.previous,
                    head: messages[messages.count - 1].offset,
                    messages: messages,
                    trims: []
                )
            )
        }
        let events = [
            batch([world.message("a", text, at: 1), world.message("b", text, at: 2)]),
            batch([world.message("c", "here", at: 3)]),
        ]
        for event in events { world.core.log(event, toldAt: 0, at: world.moment) }
        world.drain()
        #expect(polls.map { world.take($0).count } == [1, 1, 1])
        #expect(world.endings == [.released: 3])
    }

    @Test func `a log that cannot be used is not ready before it is opened, whatever it tells of`()
    {
        let world = World()
        world.tell(.unavailable("the disk is full"))
        world.fallBehind(to: 5)
        world.commit(("news", "one"))
        #expect(!world.isReady)
        world.open()
        #expect(world.isReady)
    }
}
