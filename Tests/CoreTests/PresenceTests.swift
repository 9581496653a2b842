import Channels
import Configuration
import Liveness
import Testing

@testable import Core

@Suite struct PresenceTests {
    private let poll = "/push/room?wait=25&since=now&name=Ada&subscriber=0123456789abcdef"

    @Test func `what the log knows is read before anything is told`() {
        let world = World(isOpen: false) {
            $0.presence = [PresenceRule(pattern: ChannelPattern("room")!)]
        }
        let connection = world.connect()
        world.open()
        world.get(poll, on: connection)
        world.pass(1000)
        #expect(world.appends.isEmpty && world.reads.count == 1)
        let entry = ChannelListing.Entry(
            name: channel("room").presence!,
            messages: 1,
            bytes: 0,
            newest: nil,
            newestMilliseconds: nil
        )
        world.tell(
            .channels(
                ticket: world.takeReads()[0].ticket,
                .success(ChannelListing(entries: [entry], next: nil))
            )
        )
        world.answerHistory([], scanned: 0)
        world.pass(1000)
        #expect(world.appends.count == 1)
    }

    @Test func `a machine that lacks what others have reports no member until it has that`() {
        let world = World.withPresence()
        world.tell(.engine(.catchingUp))
        world.get(poll, on: world.connect())
        world.pass(1000)
        #expect(world.appends.isEmpty && world.memberCount == 1)
        world.tell(.engine(nil))
        world.pass(100)
        #expect(world.appends.map(\.drafts.first?.type) == ["join"])
    }

    @Test func `a held member joins, and leaves when the grace period is over`() {
        let world = World.withPresence()
        let connection = world.connect()
        world.get(poll, on: connection)
        world.pass(100)
        #expect(world.appends.count == 1 && world.memberCount == 1)
        let join = world.takeAppends()[0]
        #expect(join.drafts.first?.type == "join" && join.idempotency?.publisher == "presence")
        world.tell(.appended(ticket: join.ticket, .committed(ids: [])))
        let draft = join.drafts[0]
        world.tell(
            .committed(
                CommittedBatch(
                    previous: world.head,
                    head: world.head.next,
                    messages: [
                        world.message(
                            draft.channel.text,
                            "",
                            at: world.head.next.value,
                            type: "join",
                            topic: draft.topic
                        )
                    ],
                    trims: []
                )
            )
        )
        world.lose(connection)
        world.pass(9900)
        #expect(world.appends.isEmpty)
        world.pass(30_000)
        #expect(world.takeAppends().first?.drafts.first?.type == "leave")
    }

    @Test func `a member whose subscriber leaves has no grace period`() {
        let world = World.withPresence()
        let (connection, other) = (world.connect(), world.connect())
        world.get(poll, on: connection)
        world.pass(100)
        let draft = world.takeAppends()[0].drafts[0]
        world.commit(
            world.message(
                draft.channel.text,
                "",
                at: world.head.next.value,
                type: "join",
                topic: draft.topic
            )
        )
        world.post("/push/-/leave", "subscriber=0123456789abcdef", on: other)
        #expect(world.endings == [.left: 1])
        world.pass(100)
        #expect(world.takeAppends().map(\.drafts.first?.type) == ["leave"])
    }

    @Test func `the other processes are told where there are any`() {
        let world = World.withPresence()
        world.get(poll, on: world.connect())
        #expect(world.members.isEmpty)
        world.core.siblings(arePresent: true, at: world.moment)
        world.pass(100)
        #expect(world.members.map(\.member.name) == ["Ada"])
    }

    @Test func `the other processes are told again while the log's events are still to be read`() {
        let world = World(isOpen: false) {
            $0.presence = [PresenceRule(pattern: ChannelPattern("room")!, graceSeconds: 10)]
        }
        world.core.siblings(arePresent: true, at: world.moment)
        world.open()
        world.get(poll, on: world.connect())
        #expect(world.takeMembers().map(\.member.name) == ["Ada"])
        world.pass(Presence.tellMilliseconds + 1000)
        #expect(world.takeMembers().map(\.member.name) == ["Ada"])
        #expect(world.reads.count == 1 && world.appends.isEmpty)
    }

    @Test func `a channel that is full reports no further member`() {
        let world = World {
            $0.presence = [
                PresenceRule(pattern: ChannelPattern("room")!, graceSeconds: 10, members: 1)
            ]
        }
        world.get("/push/room?wait=25&since=now&name=Ada", on: world.connect())
        world.get("/push/room?wait=25&since=now&name=Bob", on: world.connect())
        #expect(world.memberCount == 1 && world.counters[.members] == 1)
        #expect(world.heldCount == 2)
    }

    @Test func `a log without a place for it is complained of`() {
        let world = World.withPresence()
        world.get(poll, on: world.connect())
        world.pass(100)
        world.answerAppend(.noMoreChannels)
        #expect(world.complaints == [.placelessPresence] && world.counters[.members] == 1)
    }

    @Test func `presence that begins anew counts the held members, and no older answers`() {
        let world = World.withPresence()
        world.get(poll, on: world.connect())
        world.pass(100)
        var settings = settingsOfTests
        settings.presence = [PresenceRule(pattern: ChannelPattern("**")!, graceSeconds: 20)]
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        #expect(world.memberCount == 1)
        world.answerAppend(.noMoreChannels)
        #expect(world.complaints.isEmpty)
    }

    @Test func `those held before presence was switched on are said to be listed later`() {
        let world = World()
        world.get("/push/room?wait=25&since=now&name=Ada", on: world.connect())
        world.get("/push/room?stream=ndjson&name=Eve", on: world.connect())
        world.get("/push/other?wait=25&since=now&name=Ada", on: world.connect())
        var settings = settingsOfTests
        settings.presence = [PresenceRule(pattern: ChannelPattern("room")!, graceSeconds: 20)]
        for _ in 0..<2 {
            world.core.reload(settings, numbers: [:], at: world.moment)
            world.drain()
        }
        #expect(world.notices.count { $0.hasSuffix("from their next request on: 2") } == 1)
        settings.presence[0].graceSeconds = 30
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        #expect(world.notices.count { $0.contains("from their next request on") } == 1)
    }

    @Test func `a log that is opened again and again is read once at a time`() {
        let world = World(isOpen: false) {
            $0.presence = [PresenceRule(pattern: ChannelPattern("room")!)]
        }
        for _ in 0..<5 { world.open() }
        #expect(world.reads.count == 1)
        // What was found before the last opening is out of date.
        func answer() {
            world.tell(
                .channels(
                    ticket: world.takeReads()[0].ticket,
                    .success(ChannelListing(entries: [], next: nil))
                )
            )
        }
        answer()
        #expect(world.reads.count == 1)
        answer()
        #expect(world.reads.isEmpty)
        world.open()
        #expect(world.reads.count == 1)
    }

    @Test func `a failure to read it is tried again`() {
        let world = World(isOpen: false) {
            $0.presence = [PresenceRule(pattern: ChannelPattern("room")!)]
        }
        world.open()
        world.tell(.channels(ticket: world.takeReads()[0].ticket, .failure(.unavailable)))
        #expect(world.reads.isEmpty)
        world.pass(5000)
        #expect(world.reads.count == 1)
    }
}

@Suite struct ReloadTests {
    @Test func `channels that are closed now end what waits for them`() {
        let world = World()
        let (poll, stream, other) = (world.connect(), world.connect(), world.connect())
        world.get("/push/news?wait=25&since=now", on: poll)
        world.get("/push/news?stream=ndjson", on: stream)
        world.get("/push/other?wait=25&since=now", on: other)
        _ = world.take(stream)
        var settings = settingsOfTests
        settings.allow = [AllowRule(pattern: ChannelPattern("other")!, read: .everyone)]
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        #expect(world.take(poll).count == 1 && world.take(other).isEmpty)
        #expect(world.texts(stream).joined().contains(#""reason":"revoked""#))
        #expect(world.endings == [.revoked: 2])
    }

    @Test func `bounds that have changed count from now on`() {
        let world = World()
        for _ in 0..<3 { world.get("/push/news?wait=25&since=now", on: world.connect()) }
        var settings = settingsOfTests
        settings.limits.heldRequests = 2
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.get("/push/news?wait=25&since=now", on: world.connect())
        #expect(world.heldCount == 2)
    }
}
