import Channels
import Configuration
import FastCGI
import Liveness
import Testing
import Text

@testable import Core
@testable import Endpoint

@Suite struct `A core that takes over` {
    @Test func `answers a poll with the message as the old one would have`() throws {
        let (old, twin) = (World(), World())
        for world in [old, twin] {
            let connection = world.connect()
            world.get("/push/news?since=k7f2-0&wait=60", on: connection)
            #expect(world.heldCount == 1)
        }
        let connection = ConnectionID(index: 0, generation: 0)
        #expect(old.pause())
        let new = try old.handOver([connection])
        #expect(new.heldCount == 1 && new.take(connection).isEmpty)
        for world in [new, twin] { world.commit(("news", "one")) }
        let answer = new.take(connection)
        #expect(answer == twin.take(connection))
        #expect(answer.first?.text.contains("one") == true && answer.first?.isLast == true)
        #expect(new.heldCount == 0 && new.endings == twin.endings)
    }

    @Test(arguments: [
        "/push/news?since=k7f2-0&wait=60", "/push/news?format=bare&since=now&wait=60",
        "/push/a,b,news?limit=1&since=now&wait=60",
        "/push/news?stream=sse", "/push/news?stream=ndjson&line_limit=2000",
        "/push/news?stream=sse&format=bare",
    ])
    func `makes the same bytes for every form`(uri: String) throws {
        let (old, twin) = (World(), World())
        let connection = ConnectionID(index: 0, generation: 0)
        for world in [old, twin] {
            _ = world.connect()
            world.get(uri, on: connection, ["HTTP_ORIGIN": "https://a.example"])
            _ = world.take(connection)
        }
        #expect(old.pause())
        let new = try old.handOver([connection])
        for world in [new, twin] {
            world.commit(("news", "one"), ("news", "two"))
            world.commit(("other", "three"))
        }
        #expect(new.take(connection) == twin.take(connection))
        for world in [new, twin] { world.pass(600_000) }
        #expect(new.endings == twin.endings)
    }

    @Test func `keeps deadlines`() throws {
        let (old, twin) = (World(), World())
        let connection = ConnectionID(index: 0, generation: 0)
        for world in [old, twin] {
            _ = world.connect()
            world.get("/push/news?since=k7f2-0&wait=20", on: connection)
            world.pass(8000)
        }
        #expect(old.pause())
        let new = try old.handOver([connection])
        new.pass(11_500)
        #expect(new.heldCount == 1)
        new.pass(700)
        #expect(new.heldCount == 0 && new.endings == [.deadline: 1])
    }

    @Test func `tells what came meanwhile, once`() throws {
        let old = World()
        let (poll, stream) = (old.connect(), old.connect())
        old.get("/push/news?stream=ndjson", on: stream)
        old.commit(("news", "one"))
        old.get("/push/news?since=k7f2-1&wait=60", on: poll)
        _ = old.take(stream)
        #expect(old.pause())
        let new = try old.handOver(
            [poll, stream],
            missed: [old.message("news", "two", at: 2)],
            kept: [old.message("news", "one", at: 1)]
        )
        let texts = new.texts(stream)
        #expect(texts.count == 1 && texts[0].contains("two"))
        #expect(new.texts(poll).first?.contains("two") == true)
        new.commit(("news", "three"))
        #expect(new.texts(stream).count == 1)
    }

    @Test func `tells of what retention has removed meanwhile`() throws {
        let old = World()
        let (poll, stream) = (old.connect(), old.connect())
        old.get("/push/news?stream=ndjson", on: stream)
        old.get("/push/news?since=k7f2-0&wait=60", on: poll)
        _ = old.take(stream)
        #expect(old.pause())
        // Two came, and one of them is gone before the newer process has read it.
        let new = try old.handOver(
            [poll, stream],
            missed: [old.message("news", "two", at: 2)],
            trims: [TrimMark(channel: channel("news"), through: Offset(1), reason: .trimmed)]
        )
        for connection in [poll, stream] {
            let text = new.texts(connection).joined()
            #expect(text.contains("two") && text.contains("trimmed"))
        }
    }

    @Test func `goes on with the streams of the service's own figures`() throws {
        let old = World()
        let stream = old.connect()
        old.get("/push/-/status?stream=sse", on: stream, ["HOLDFAST_OPERATOR": "1"])
        #expect(old.heldCount == 1)
        _ = old.take(stream)
        #expect(old.pause())
        let new = try old.handOver([stream])
        #expect(new.heldCount == 1 && new.figuresAsked == [true])
        new.core.figures(Array("\"held\":1".utf8), at: new.moment)
        new.drain()
        #expect(new.texts(stream).joined().contains("\"held\":1"))
    }

    @Test func `lets streams read what memory does not keep`() throws {
        let old = World()
        let stream = old.connect()
        old.get("/push/news?stream=ndjson", on: stream)
        #expect(old.pause())
        let new = try old.handOver([stream], missed: [old.message("news", "nine", at: 9)], floor: 5)
        _ = new.take(stream)
        #expect(new.reads.count == 1)
        new.answerHistory(
            [new.message("news", "two", at: 2), new.message("news", "nine", at: 9)],
            scanned: 9
        )
        #expect(new.texts(stream).joined().contains("two"))
        new.commit(("news", "ten"))
        #expect(new.texts(stream).joined().contains("ten"))
    }

    @Test func `lets polls ask again, from their place, for what memory does not keep`() throws {
        let old = World()
        let poll = old.connect()
        old.commit(("news", "one"))
        old.get("/push/news?since=k7f2-1&wait=60", on: poll)
        #expect(old.pause())
        let new = try old.handOver([poll], missed: [old.message("news", "nine", at: 9)], floor: 5)
        let answer = new.texts(poll).joined()
        #expect(answer.contains("\"cursor\":\"k7f2-1\",\"messages\":[]"))
    }

    @Test func `says a gap where the log is another one`() throws {
        let old = World()
        let (poll, stream) = (old.connect(), old.connect())
        old.commit(("news", "one"))
        old.get("/push/news?stream=ndjson", on: stream)
        old.get("/push/news?since=k7f2-1&wait=60", on: poll)
        _ = (old.take(stream), old.take(poll))
        #expect(old.pause())
        old.replaceLogUnnoticed()
        let new = try old.handOver([poll, stream])
        #expect(new.texts(poll).joined().contains("restarted"))
        #expect(new.texts(stream).joined().contains("restarted"))
    }

    @Test func `goes on with a stream that reads the log, at its place`() throws {
        let old = World()
        let stream = old.connect()
        old.fallBehind(to: 10)
        old.get("/push/news?stream=ndjson&since=k7f2-0", on: stream)
        #expect(old.reads.count == 1)
        old.answerHistory([old.message("news", "one", at: 1)], scanned: 1, more: true)
        #expect(old.texts(stream).joined().contains("one"))
        #expect(old.pause())
        let new = try old.handOver([stream], floor: 10)
        #expect(new.take(stream).isEmpty && new.reads.count == 1)
        new.answerHistory([new.message("news", "two", at: 2)], scanned: 10)
        let texts = new.texts(stream).joined()
        #expect(texts.contains("two") && !texts.contains("one") && !texts.contains("hello"))
        new.commit(("news", "eleven"))
        #expect(new.texts(stream).joined().contains("eleven"))
    }

    @Test(arguments: [2, 58, 400_000] as [Int64])
    func `the gaps that a stream had been told of were read as something else`(
        through: Int64
    ) throws {
        let old = World()
        let stream = old.connect()
        old.fallBehind(to: 500_000)
        old.get("/push/news?stream=ndjson&since=k7f2-0", on: stream)
        let mark = TrimMark(channel: channel("news"), through: Offset(through), reason: .deleted)
        let one = old.message("news", "one", at: 1)
        old.answerHistory([one], scanned: 1, more: true, gap: .deleted, marks: [mark])
        #expect(old.texts(stream).joined().contains("deleted"))
        #expect(old.pause())
        let new = try old.handOver([stream], floor: 500_000)
        let two = new.message("news", "two", at: 450_000)
        new.answerHistory([two], scanned: 500_000, gap: .deleted, marks: [mark])
        let texts = new.texts(stream).joined()
        #expect(texts.contains("two") && !texts.contains("deleted"))
    }

    @Test func `forgot what it knew of the servers in front, or mistook one for another`() throws {
        let old = World { $0.hold.heartbeatSeconds = 5 }
        let (poll, stream) = (old.connect(), old.connect())
        old.get("/push/news?wait=60&since=now", on: poll, ["SERVER_SOFTWARE": "one"])
        old.get("/push/news?stream=ndjson", on: stream, ["SERVER_SOFTWARE": "two"])
        let again = "/push/other?wait=25&since=now&subscriber=0123456789abcdef"
        for _ in 0..<8 {
            old.get(again, on: old.connect(), ["SERVER_SOFTWARE": "three"])
            old.pass(1500)
        }
        #expect(old.policy.entries[3].isSilent && !old.policy.entries[2].isSilent)
        #expect(old.pause())
        let new = try old.handOver([poll, stream])
        #expect(new.policy.entries == old.policy.entries)
        // It begins at once as it would have before, and nobody is told again.
        let (next, hidden) = (new.connect(), new.connect())
        new.get("/push/news?wait=25&since=now", on: next, ["SERVER_SOFTWARE": "one"])
        new.get("/push/news?wait=25&since=now", on: hidden, ["SERVER_SOFTWARE": "three"])
        #expect(new.take(next).isEmpty && new.take(hidden).map(\.form) == [.part])
        #expect(new.notices.isEmpty)
        // What is held shows something of its own server.
        let before = new.policy.entries
        new.lose(poll)
        new.lose(stream)
        let after = new.policy.entries
        #expect(after[1].evidence.shown == before[1].evidence.shown + 1)
        #expect(after[2].streams.shown == before[2].streams.shown + 1)
        #expect(after[0] == before[0] && after[3].evidence == before[3].evidence)
    }

    @Test func `does not let members leave, nor join again`() throws {
        func change(_ settings: inout Settings) {
            settings.presence = [PresenceRule(pattern: ChannelPattern("room")!, graceSeconds: 10)]
        }
        func load(_ world: World, _ known: [Message]) {
            let entry = ChannelListing.Entry(
                name: channel("room").presence!,
                messages: known.count,
                bytes: 0,
                newest: nil,
                newestMilliseconds: nil
            )
            let listing = ChannelListing(entries: known.isEmpty ? [] : [entry], next: nil)
            world.core.log(
                .channels(ticket: world.takeReads()[0].ticket, .success(listing)),
                toldAt: 0,
                at: world.moment
            )
            world.drain()
            if !known.isEmpty { world.answerHistory(known, scanned: 2) }
        }
        let old = World(change)
        load(old, [])
        let (held, gone) = (old.connect(), old.connect())
        let uri = "/push/room?since=k7f2-0&wait=60"
        old.get(uri + "&subscriber=0123456789abcde1&name=ann", on: held)
        old.get(uri + "&subscriber=0123456789abcde2&name=bob", on: gone)
        old.pass(200)
        let joins = old.takeAppends()
        #expect(joins.count == 2)
        let known = joins.enumerated().map { index, join in
            Message(
                offset: Offset(Int64(index) + 1),
                epoch: epoch("k7f2"),
                channel: join.drafts[0].channel,
                timeMilliseconds: old.now,
                kind: join.drafts[0].kind,
                contentType: join.drafts[0].contentType,
                body: join.drafts[0].body,
                type: join.drafts[0].type,
                topic: join.drafts[0].topic
            )
        }
        for join in joins { old.tell(.appended(ticket: join.ticket, .committed(ids: []))) }
        old.lose(gone)
        old.pass(1000)
        #expect(old.pause())
        let new = try old.handOver([held], change, keepsReads: true)
        load(new, known)
        new.pass(8000)
        #expect(new.memberCount == 2 && new.appends.isEmpty)
        // The absent member leaves when the old process would have reported it.
        new.pass(2000)
        #expect(new.takeAppends().map { $0.drafts[0].topic } == ["name bob"])
    }

    @Test func `ends what the newer ini file closes`() throws {
        let old = World()
        let (poll, stream, other) = (old.connect(), old.connect(), old.connect())
        old.get("/push/news?since=k7f2-0&wait=60", on: poll)
        old.get("/push/news,open?stream=ndjson", on: stream)
        old.get("/push/open?since=k7f2-0&wait=60", on: other)
        _ = old.take(stream)
        #expect(old.pause())
        let new = try old.handOver([poll, stream, other]) {
            $0.allow = [AllowRule(pattern: ChannelPattern("open")!, read: .everyone, publish: nil)]
        }
        #expect(new.heldCount == 1 && new.endings == [.revoked: 2])
        #expect(new.texts(stream).joined().contains("revoked") && new.take(other).isEmpty)
    }

    @Test func `keeps deadlines however often they are handed over`() throws {
        var world = World(at: 1_000_037)
        let poll = world.connect()
        world.get("/push/news?since=k7f2-0&wait=20", on: poll)
        for _ in 0..<20 {
            world.pass(513)
            #expect(world.pause())
            world = try world.handOver([poll])
        }
        world.pass(20_000 - 20 * 513 - 64)
        #expect(world.heldCount == 1)
        world.pass(300)
        #expect(world.endings == [.deadline: 1])
    }

    @Test func `keeps the subscriber of each request, and the order in which requests came`() throws
    {
        let old = World()
        let (first, second) = (old.connect(), old.connect())
        old.get("/push/news?since=k7f2-0&wait=60&subscriber=0123456789abcdef", on: first)
        old.get("/push/news?since=k7f2-0&wait=60", on: second)
        #expect(old.pause())
        let new = try old.handOver([second, first])
        #expect(new.giveWay() == first)
        let old2 = World()
        let only = old2.connect()
        old2.get("/push/news?since=k7f2-0&wait=60&subscriber=0123456789abcdef", on: only)
        #expect(old2.pause())
        let new2 = try old2.handOver([only])
        let again = new2.connect()
        new2.get("/push/news?since=k7f2-0&wait=60&subscriber=0123456789abcdef", on: again)
        #expect(new2.take(only).count == 1 && new2.take(again).isEmpty)
        #expect(new2.endings == [.superseded: 1])
    }

    @Test func `knows by which names requests are found in the log`() throws {
        let old = World { $0.log.level = .debug }
        let (poll, stream) = (old.connect(), old.connect())
        old.fallBehind(to: 10)
        old.get("/push/news?since=now&wait=60", on: poll, ["HOLDFAST_REQUEST_ID": "A"])
        old.get(
            "/push/news?stream=ndjson&since=k7f2-0",
            on: stream,
            ["HOLDFAST_REQUEST_ID": "B"]
        )
        #expect(old.heldCount == 2)
        #expect(old.pause())
        let new = try old.handOver([poll, stream], floor: 10) { $0.log.level = .debug }
        #expect(new.traces.isEmpty)
        new.lose(poll)
        new.lose(stream)
        let ends = new.traces.map { trace in
            if case .ended(let reason) = trace.event { "\(trace.name.text) \(reason)" } else { "" }
        }
        #expect(ends == ["A closed", "B closed"])
    }

    @Test func `waits for publications, and for nothing else of long`() throws {
        let old = World()
        let (publisher, poll) = (old.connect(), old.connect())
        old.get("/push/news?since=k7f2-0&wait=60", on: poll)
        old.post("/push/news", "one", on: publisher)
        #expect(!old.pause())
        old.answerAppend(.committed(ids: []))
        #expect(old.isSettled)
        #expect(old.take(publisher).count == 1)
    }

    @Test func `gives out no time at which a request came to the old one`() throws {
        let old = World()
        let (first, second) = (old.connect(), old.connect())
        let poll = "/push/news?since=k7f2-0&wait=60&subscriber=0123456789abcdef"
        // The newer process reads the clock later, and may still find the time of the old one there.
        for _ in 0..<100 { _ = old.moment }
        old.get(poll, on: first)
        #expect(old.pause())
        let new = try old.handOver([first, second])
        new.get(poll, on: second)
        #expect(new.heldCount == 1 && new.endings == [.superseded: 1])
    }

    @Test(arguments: 0..<200)
    func `reads nothing into damaged bytes, and does not fail`(seed: Int) throws {
        let old = World()
        let (poll, stream, client) = (old.connect(), old.connect(), old.connectBus())
        old.get("/push/news?since=k7f2-0&wait=60&subscriber=0123456789abcdef", on: poll)
        old.get("/push/news?stream=sse", on: stream)
        old.say("put news 5\nab", on: client)
        #expect(old.pause())
        var pack = Packer()
        let ours = old.core.handedCommon!
        pack.add(ours)
        old.core.handOver([poll, stream, client], ranks: old.core.holdRanks, into: &pack)
        var bytes = pack.bytes
        let place = seed * 7919 % bytes.count
        if seed % 3 == 0 { bytes.removeSubrange(place...) } else { bytes[place] = UInt8(seed) }
        var unpack = Unpacker(bytes)
        do {
            _ = try HandedCommon(from: &unpack)
            _ = try Core.connections(from: &unpack)
        } catch {
            #expect(!error.description.isEmpty)
        }
    }
}
