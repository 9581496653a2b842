import Channels
import Configuration
import Testing

@testable import Core

/// An older log is put in the place of the log of a machine of a site, or none: what is missing comes again.
@Suite struct FilledLogTests {
    private func world() -> World {
        let world = World { $0.bus.engine = EngineSettings(postgresql: "") }
        for text in ["one", "two", "three"] { world.commit(("news", text)) }
        return world
    }

    @Test func `an older log in the place of a machine's was reported as a loss`() {
        let world = world()
        let (poll, stream, later) = (world.connect(), world.connect(), world.connect())
        world.get("/push/news?since=k7f2-3&wait=25", on: poll)
        world.get("/push/news?since=k7f2-3&stream=ndjson", on: stream)
        world.fillAgain(from: 1)
        world.get("/push/news?since=k7f2-1", on: later)
        #expect(world.texts(later).joined().contains(#""gap":null"#))
        for text in ["two", "three", "four"] {
            #expect(world.texts(poll).isEmpty)
            world.commit(("news", text))
            for _ in 0..<3 { world.turn() }
        }
        let answer = world.texts(poll).joined()
        #expect(answer.contains("four") && answer.contains(#""gap":null"#), "\(answer)")
        let lines = world.texts(stream).joined()
        #expect(!lines.contains("two") && !lines.contains("gap"), "\(lines)")
        #expect(lines.contains("four"), "\(lines)")
        // A new reader gets from memory what holders had before.
        let next = world.connect()
        world.get("/push/news?since=k7f2-1", on: next)
        let all = world.texts(next).joined()
        #expect(["two", "three", "four"].allSatisfy { all.contains($0) }, "\(all)")
    }

    @Test func `a log that is filled in large steps is not a loss either`() {
        let world = world()
        let poll = world.connect()
        world.get("/push/news?since=k7f2-3&wait=25", on: poll)
        world.fillAgain(from: 0)
        world.fillAgain(from: 2)
        #expect(world.texts(poll).isEmpty)
        world.fillAgain(from: 3)
        world.commit(("news", "four"))
        let answer = world.texts(poll).joined()
        #expect(answer.contains("four") && answer.contains(#""gap":null"#), "\(answer)")
    }

    @Test func `epochs that come again are waited for, too`() {
        let world = world()
        let before = world.epochs
        world.epochs = EpochHistory(
            before.stretches + [.init(epoch: epoch("next"), start: Offset(4), told: Offset(3))]
        )
        world.tell(.opened(world.state(floor: 3)))
        let poll = world.connect()
        world.get("/push/news?since=next-3&wait=25", on: poll)
        let after = world.epochs
        world.epochs = before
        world.fillAgain(from: 1)
        world.fillAgain(from: 3)
        #expect(world.texts(poll).isEmpty)
        world.epochs = after
        world.fillAgain(from: 3)
        world.commit(("news", "four"))
        let answer = world.texts(poll).joined()
        #expect(answer.contains("four") && answer.contains(#""gap":null"#), "\(answer)")
    }

    @Test func `what was lost while a log is filled again is told`() {
        let world = world()
        let poll = world.connect()
        world.get("/push/news?since=k7f2-3&wait=25", on: poll)
        world.fillAgain(from: 1)
        // A new primary had only this.
        world.epochs = EpochHistory(
            world.epochs.stretches
                + [.init(epoch: epoch("loss"), start: Offset(2), told: Offset(2))]
        )
        world.fillAgain(from: 1)
        let answer = world.texts(poll).joined()
        #expect(
            answer.contains(#""gap":{"reason":"restarted","resumed":"loss-1"}"#),
            "\(answer)"
        )
    }
}
