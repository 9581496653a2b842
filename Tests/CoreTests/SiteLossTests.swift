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

    @Test func `a cursor that was lost while the log was asked is told so, not called unknown`() {
        let world = world()
        let (poll, stream) = (world.connect(), world.connect())
        world.get("/push/news?since=k7f2-5&wait=25", on: poll)
        world.get("/push/news?since=k7f2-5&stream=ndjson", on: stream)
        #expect(world.reads.count == 2)
        world.goBack(to: 1)
        for _ in 0..<2 { world.answerHistory([], scanned: 1) }
        world.turn()
        let answer = world.texts(poll).joined()
        #expect(answer.contains(#""gap":{"reason":"restarted","resumed":"k7f2-1"}"#), "\(answer)")
        let lines = world.texts(stream).joined()
        #expect(lines.contains(#""reason":"restarted""#), "\(lines)")
    }

    /// The entries that both have are applied once more, and what the new primary has since, before the epoch that tells of the
    /// loss.
    @Test func `what follows a loss is not told before the loss is`() throws {
        let world = world()
        let (poll, stream) = (world.connect(), world.connect())
        world.get("/push/news?since=k7f2-3&wait=25", on: poll)
        world.get("/push/news?since=k7f2-3&stream=ndjson", on: stream)
        world.goBack(to: 1)
        #expect(world.texts(poll).joined().contains(#""reason":"restarted""#))
        world.commit(("news", "again"))
        for _ in 0..<3 { world.turn() }
        let lines = world.texts(stream).joined()
        let gap = try #require(lines.firstRange(of: #""reason":"restarted""#), "\(lines)")
        let message = try #require(lines.firstRange(of: "again"), "\(lines)")
        #expect(gap.lowerBound < message.lowerBound)
    }

    @Test
    func `a stream whose peer read nothing meanwhile gets all that came in place of what was lost`()
    {
        let world = world()
        let stream = world.connect()
        world.get("/push/news?since=k7f2-3&stream=ndjson", on: stream)
        world.unsent(stream, 100)
        world.goBack(to: 1)
        // Beyond the stream's position, which is that of another message now.
        for text in ["second", "third", "fourth"] { world.commit(("news", text)) }
        world.unsent(stream, 0)
        for _ in 0..<3 { world.turn() }
        let lines = world.texts(stream).joined()
        for text in [#""reason":"restarted""#, "second", "third", "fourth"] {
            #expect(lines.contains(text), "\(lines)")
        }
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
        world.commit(("news", "other"))
        let lines = world.texts(stream).joined()
        #expect(lines.contains(#""reason":"restarted""#), "\(lines)")
        #expect(lines.contains("other"), "\(lines)")
    }

    @Test func `a stream that had read what was lost left out what came in its place`() throws {
        let world = World { $0.bus.engine = EngineSettings(postgresql: "") }
        let body = String(repeating: "x", count: 60_000)
        world.commit((0..<4).map { _ in ("news", body) })
        let (slow, asking) = (world.connect(), world.connect())
        world.get("/push/news?since=k7f2-0&stream=ndjson", on: slow)
        #expect(world.texts(slow).joined().contains(#""id":"k7f2-1""#))
        world.unsent(slow, 40_000)
        // Memory has no more than the newest.
        world.fallBehind(to: 5)
        world.get("/push/news?since=k7f2-3&stream=ndjson", on: asking)
        let asked = try #require(world.takeReads().first)
        world.goBack(to: 0)
        for text in ["first", "second", "third", "fourth"] { world.commit(("news", text)) }
        let late = HistoryPage(
            messages: [world.message("news", "fourth", at: 4)],
            scanned: Offset(4),
            more: false,
            gap: nil,
            newest: Offset(4)
        )
        world.tell(.history(ticket: asked.ticket, .success(late)))
        world.unsent(slow, 0)
        for _ in 0..<3 { world.turn() }
        for stream in [slow, asking] {
            let lines = world.texts(stream).joined()
            let gap = try #require(lines.firstRange(of: #""reason":"restarted""#), "\(lines)")
            for text in ["first", "second", "third", "fourth"] {
                let message = try #require(lines.firstRange(of: text), "\(text): \(lines)")
                #expect(gap.lowerBound < message.lowerBound)
            }
        }
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
