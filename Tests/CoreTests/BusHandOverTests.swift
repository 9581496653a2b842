import Channels
import Configuration
import Testing

@testable import Core
@testable import Endpoint

/// Its commands and their answers go on in the process that takes over.
@Suite struct `A client of the bus socket whose process is replaced` {
    @Test func `goes on in the middle of its commands`() throws {
        let (old, twin) = (World(), World())
        let client = ConnectionID(index: 0, generation: 0)
        for world in [old, twin] {
            _ = world.connectBus()
            world.say("subscribe news\nput news 5\nab", on: client)
            _ = world.take(client)
        }
        #expect(old.pause())
        let before = old.core.kept(of: client)
        let new = try old.handOver([client])
        // The time that it may take goes on: the shell hears of the same command.
        #expect(before.command?.line == 2 && new.core.kept(of: client).command?.line == 2)
        for world in [new, twin] {
            #expect(world.heldCount == 1)
            world.say("cde\nstatus\nnonsense here\n", on: client)
            #expect(world.appends.count == 1)
            #expect(
                world.appends.first.map { String(decoding: $0.drafts[0].body, as: UTF8.self) }
                    == "abcde"
            )
            world.answerAppend(.committed(ids: []))
            world.commit(("news", "one"))
        }
        #expect(new.texts(client).joined() == twin.texts(client).joined())
    }

    @Test func `passes over the rest of a body that was refused`() throws {
        let old = World { $0.limits.messageBytes = 10 }
        let client = old.connectBus()
        old.say("put news 1200000\nabc", on: client)
        #expect(old.pause())
        let new = try old.handOver([client]) { $0.limits.messageBytes = 10 }
        new.say(String(repeating: "x", count: 1_199_997) + "bogus\n", on: client)
        let texts = new.texts(client).joined()
        #expect(texts.split(separator: "\n").count == 2 && new.appends.isEmpty)
    }

    @Test func `was read from the middle of a line that was refused as too long`() throws {
        let (old, twin) = (World(), World())
        let client = ConnectionID(index: 0, generation: 0)
        let long = String(repeating: "x", count: old.core.busInterface.lineLimit + 1)
        for world in [old, twin] {
            _ = world.connectBus()
            world.say("publish news \(long)", on: client)
            #expect(world.take(client).count == 1)
        }
        #expect(old.pause())
        let new = try old.handOver([client])
        #expect(new.core.kept(of: client).command?.line == 1)
        for world in [new, twin] { world.say("publish news y\nping\nnonsense\n", on: client) }
        #expect(new.appends.isEmpty)
        let texts = new.texts(client).joined()
        #expect(texts == twin.texts(client).joined())
        #expect(texts.split(separator: "\n").count == 2)
    }

    @Test func `was read from after its last answer`() throws {
        let old = World()
        let client = old.connectBus()
        old.say("put news x\npublish news one\n", on: client)
        #expect(old.take(client).count == 1)
        old.unsent(client, 100)
        #expect(old.pause())
        let new = try old.handOver([client], unsent: [client: 100])
        #expect(!new.mayRead(client))
        new.say("publish news two\n", on: client)
        #expect(new.appends.isEmpty && new.take(client).isEmpty)
        new.unsent(client, 0)
        new.turn()
        #expect(new.appends.isEmpty && new.standing(of: client) == .done)
    }

    @Test(arguments: ["publish news o", "put news 5\nab", "ping\nping\nput news 5 x=y"])
    func `was not told of the command that its end had cut off`(text: String) throws {
        let (old, twin) = (World(), World())
        let client = ConnectionID(index: 0, generation: 0)
        for world in [old, twin] { _ = world.connectBus() }
        // What comes from now on is executed by the next process.
        #expect(old.pause())
        for world in [old, twin] {
            world.say(text, on: client)
            world.end(client)
        }
        #expect(old.take(client).isEmpty)
        let new = try old.handOver([client])
        let texts = new.texts(client).joined()
        #expect(!texts.isEmpty && texts == twin.texts(client).joined())
        #expect(new.standing(of: client) == .done)
        new.turn()
        #expect(new.take(client).isEmpty)
    }

    @Test func `executes no further command while it is paused, and all afterwards`() throws {
        let old = World()
        let client = old.connectBus()
        #expect(old.pause())
        old.say("publish news one\n", on: client)
        #expect(old.appends.isEmpty)
        old.goOn()
        #expect(old.appends.count == 1)
    }
}
