import Channels
import Configuration
import Testing

@testable import Core

/// A machine of a site whose engine has lost something goes back before it knows the epoch that tells of it.
@Suite struct SiteLossTests {
    private func world() -> World {
        let world = World { $0.bus.engine = EngineSettings(postgresql: "") }
        for text in ["one", "two", "three"] { world.commit(("news", text)) }
        return world
    }

    @Test
    func `a cursor that was lost while the log was asked is told so, once, not called unknown`() {
        let world = world()
        let (poll, stream) = (world.connect(), world.connect())
        world.get("/push/news?since=k7f2-5&wait=25", on: poll)
        world.get("/push/news?since=k7f2-5&stream=ndjson", on: stream)
        #expect(world.reads.count == 2)
        world.goBack(to: 1)
        for _ in 0..<2 { world.answerHistory([], scanned: 1) }
        world.turn()
        #expect(world.texts(poll).isEmpty)
        world.beginEpochOfLoss()
        world.turn()
        let answer = world.texts(poll).joined()
        #expect(answer.contains(#""gap":{"reason":"restarted","resumed":"m3x9-1"}"#), "\(answer)")
        let lines = world.texts(stream).joined()
        #expect(lines.occurrences(of: #""reason":"restarted""#) == 1, "\(lines)")
    }

    @Test func `a loss is told once to who is held, with a cursor that says so`() {
        let world = world()
        let (poll, stream) = (world.connect(), world.connect())
        world.get("/push/news?since=k7f2-3&wait=25", on: poll)
        world.get("/push/news?since=k7f2-3&stream=ndjson", on: stream)
        _ = world.take(stream)
        world.goBack(to: 1)
        world.turn()
        #expect(world.texts(poll).isEmpty && world.heldCount == 2)
        world.beginEpochOfLoss()
        world.turn()
        let answer = world.texts(poll).joined()
        #expect(answer.contains(#""gap":{"reason":"restarted","resumed":"m3x9-1"}"#), "\(answer)")
        // It comes again with the cursor that it was given, and is held.
        world.get("/push/news?since=m3x9-1&wait=25", on: poll)
        world.turn()
        #expect(world.texts(poll).isEmpty && world.heldCount == 2)
        let lines = world.texts(stream).joined()
        #expect(lines.occurrences(of: #""reason":"restarted""#) == 1, "\(lines)")
        // Nothing is left of it: another cursor that nobody has issued is told of.
        let other = world.connect()
        world.get("/push/news?since=m3x9-9&wait=25", on: other)
        world.answerHistory([], scanned: 1)
        #expect(world.texts(other).joined().contains(#""reason":"restarted""#))
    }

    @Test func `a hold that ends before the loss is known is told of it when it comes again`() {
        let world = world()
        let poll = world.connect()
        world.get("/push/news?since=k7f2-3&wait=25", on: poll)
        world.goBack(to: 1)
        world.pass(26_000)
        let answer = world.texts(poll).joined()
        #expect(answer.contains(#""cursor":"k7f2-1""#), "\(answer)")
        #expect(!answer.contains("restarted"), "\(answer)")
        world.beginEpochOfLoss()
        world.get("/push/news?since=k7f2-1&wait=25", on: poll)
        #expect(world.texts(poll).joined().contains(#""reason":"restarted""#))
    }

    @Test func `a stream that had read what was lost is told so, not that its cursor is unknown`() {
        let world = World { $0.bus.engine = EngineSettings(postgresql: "") }
        let body = String(repeating: "x", count: 60_000)
        world.commit((0..<4).map { _ in ("news", body) })
        let stream = world.connect()
        world.get("/push/news?since=k7f2-0&stream=ndjson", on: stream)
        #expect(world.texts(stream).joined().contains(#""id":"k7f2-1""#))
        // The rest waits until the peer has taken this.
        world.unsent(stream, 40_000)
        world.goBack(to: 0)
        world.unsent(stream, 0)
        for _ in 0..<3 { world.turn() }
        world.beginEpochOfLoss()
        world.commit(("news", "other"))
        for _ in 0..<3 { world.turn() }
        let lines = world.texts(stream).joined()
        #expect(lines.occurrences(of: #""reason":"restarted""#) == 1, "\(lines)")
        #expect(lines.contains("other"), "\(lines)")
    }

    @Test func `a machine without a site has issued all that it knows, and calls the rest unknown`()
    {
        let world = World()
        let poll = world.connect()
        world.get("/push/news?since=k7f2-5&wait=25", on: poll)
        world.answerHistory([], scanned: 0)
        let answer = world.texts(poll).joined()
        #expect(answer.contains(#""reason":"future""#), "\(answer)")
    }
}

extension String {
    /// How often a text stands here.
    fileprivate func occurrences(of text: String) -> Int {
        ranges(of: text).count
    }
}
