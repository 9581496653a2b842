import Channels
import Configuration
import Testing

@testable import Core

@Suite struct BusSocketTests {
    let id = Cursor(epoch: epoch("k7f2"), offset: Offset(1))

    @Test func `answers come in the order of the commands`() {
        let world = World()
        let bus = world.connectBus()
        world.say("publish news one\nping\npublish news two\n", on: bus)
        #expect(world.take(bus).isEmpty)
        let appends = world.takeAppends()
        #expect(appends.count == 2)
        world.tell(.appended(ticket: appends[1].ticket, .full))
        #expect(world.take(bus).isEmpty)
        world.tell(.appended(ticket: appends[0].ticket, .committed(ids: [id])))
        let lines = world.texts(bus).joined().split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[0].contains(#""kind":"ok""#) && lines[1].contains("pong"))
        #expect(lines[2].contains("error"))
        #expect(world.counters.busCommands == 3)
    }

    @Test func `a subscription waits for the answers before it, and commands for its greeting`() {
        let world = World()
        let bus = world.connectBus()
        world.say("publish news one\nsubscribe news\nping\n", on: bus)
        #expect(!world.mayRead(bus))
        world.answerAppend(.committed(ids: [id]))
        world.turn()
        world.turn()
        let text = world.texts(bus).joined()
        let order = ["\"ok\"", "\"hello\"", "\"pong\""].map {
            text.ranges(of: $0).first?.lowerBound
        }
        #expect(order[0] != nil && order[1] != nil)
        #expect(order[0]! < order[1]!)
        #expect(world.mayRead(bus))
        world.commit(("news", "live"))
        #expect(world.texts(bus).joined().contains("live"))
        world.say("subscribe other\n", on: bus)
        #expect(world.texts(bus).joined().contains("already_subscribed"))
    }

    @Test func `a subscription that waited its turn was judged by the rules before a reload`() {
        let world = World()
        let bus = world.connectBus(isOwner: false)
        world.say("publish news one\nsubscribe news\n", on: bus)
        var settings = settingsOfTests
        settings.allow = [
            AllowRule(pattern: ChannelPattern("**")!, read: .nobody, publish: .everyone)
        ]
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        world.answerAppend(.committed(ids: [id]))
        world.turn()
        world.turn()
        let lines = world.texts(bus).joined().split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.first?.contains(#""kind":"ok""#) == true)
        #expect(lines.last?.contains(#""kind":"error""#) == true)
        world.commit(("news", "secret"))
        #expect(world.texts(bus).isEmpty)
    }

    @Test func `a peer that does not read its answers is not read from`() {
        let world = World()
        let bus = world.connectBus()
        world.unsent(bus, 70_000)
        #expect(!world.mayRead(bus))
        world.unsent(bus, 100)
        world.turn()
        #expect(world.reading == [bus] && world.mayRead(bus))
    }

    @Test func `a peer that closed its sending side is still answered`() {
        let world = World()
        let bus = world.connectBus()
        world.say("publish news one\npubl", on: bus)
        world.end(bus)
        #expect(world.standing(of: bus) == .busy)
        world.answerAppend(.committed(ids: [id]))
        let text = world.texts(bus).joined()
        #expect(text.contains(#""kind":"ok""#) && text.contains("unfinished_command"))
        #expect(world.standing(of: bus) == .done)
    }

    @Test func `a command that is not complete is accounted for, and may be given up`() {
        let world = World()
        let bus = world.connectBus()
        world.say("ping\nput news 1000\nabc", on: bus)
        _ = world.take(bus)
        #expect(world.kept(of: bus).command?.line == 2)
        world.core.endCommand(of: bus, .outOfTime, at: world.moment)
        world.drain()
        #expect(world.texts(bus).joined().contains("request_timeout"))
        #expect(world.kept(of: bus).command == nil)
        #expect(world.standing(of: bus) == .done)
    }

    @Test func `a log that does not answer leaves the outcome unknown`() {
        let world = World()
        let bus = world.connectBus()
        world.say("publish news one\n", on: bus)
        world.pass(2000)
        #expect(world.texts(bus).joined().contains("outcome_unknown"))
        world.answerAppend(.full)
        #expect(world.take(bus).isEmpty)
    }

    @Test func `the status is asked of all processes`() {
        let world = World()
        let (bus, web) = (world.connectBus(), world.connect())
        world.say("status\n", on: bus)
        world.get("/push/-/metrics", on: web, ["HOLDFAST_OPERATOR": "1"])
        #expect(world.surveys.count == 2)
        world.core.surveyed(
            world.surveys[0].ticket,
            .text(Array(#""held":3"#.utf8)),
            at: world.moment
        )
        world.drain()
        #expect(world.texts(bus) == [#"{"kind":"status","held":3}"# + "\n"])
        world.pass(300)
        #expect(world.endedSurveys == [world.surveys[1].ticket])
        for _ in 0..<2 {
            world.core.surveyed(
                world.surveys[1].ticket,
                .text(Array("figures".utf8)),
                at: world.moment
            )
            world.drain()
        }
        #expect(world.texts(web).first?.hasSuffix("figures") == true)
        #expect(world.waitingCount == 0)
    }

    @Test func `a listing adds the requests that wait in other processes`() {
        let world = World()
        let (bus, poll) = (world.connectBus(), world.connect())
        world.get("/push/news?wait=25&since=now", on: poll)
        world.say("channels\n", on: bus)
        let listing = ChannelListing(
            entries: [
                .init(
                    name: channel("news"),
                    messages: 0,
                    bytes: 0,
                    newest: nil,
                    newestMilliseconds: nil
                )
            ],
            next: nil
        )
        world.tell(.channels(ticket: world.takeReads()[0].ticket, .success(listing)))
        world.core.surveyed(
            world.surveys[0].ticket,
            .holders([channel("news"): 4]),
            at: world.moment
        )
        world.drain()
        #expect(world.texts(bus).joined().contains(#""held":5"#))
    }

    @Test func `a client with many commands in one piece is answered only as far as it reads`() {
        let world = World()
        let bus = world.connectBus()
        world.say(String(repeating: "x\n", count: 5000), on: bus)
        let bytes = world.texts(bus).joined().utf8.count
        #expect((65_536..<70_000).contains(bytes))
        #expect(!world.mayRead(bus))
        world.unsent(bus, bytes)
        world.turn()
        #expect(world.take(bus).isEmpty && !world.mayRead(bus))
        world.unsent(bus, 0)
        while world.nextAlarm == .min { world.turn() }
        #expect(world.counters.busCommands == 5000)
        #expect(world.reading.contains(bus) && world.mayRead(bus))
    }

    @Test func `a client has so many commands that wait for their outcome, and no more`() {
        let world = World()
        let bus = world.connectBus()
        world.say("publish news one\n" + String(repeating: "ping\n", count: 300), on: bus)
        #expect(world.counters.busCommands == 256)
        #expect(!world.mayRead(bus))
        world.answerAppend(.committed(ids: [id]))
        #expect(world.texts(bus).joined().split(separator: "\n").count == 256)
        while world.nextAlarm == .min { world.turn() }
        #expect(world.counters.busCommands == 301)
        #expect(world.texts(bus).count == 45 && world.mayRead(bus))
    }
}
