import Channels
import Configuration
import FastCGI
import Testing

@testable import Core
@testable import Endpoint

/// What the log at the level debug tells of requests, and the names that problems have.
@Suite struct RequestTraceTests {
    private func world(_ level: LogSettings.Level = .debug) -> World {
        World { settings in
            settings.log.level = level
            settings.hold.jitterPercent = 0
        }
    }

    private func name(_ name: String) -> KeyValuePairs<String, String> {
        ["HOLDFAST_REQUEST_ID": name]
    }

    /// The traces so far, each as a line.
    private func lines(_ world: World) -> [String] {
        world.traces.map { trace in
            let name = trace.name.text
            return switch trace.event {
            case .begins(let method, let path): "\(name) \(method) \(path)"
            case .held: "\(name) held"
            case .answered(let status): "\(name) \(status)"
            case .ended(let reason): "\(name) \(reason)"
            }
        }
    }

    @Test func `a poll is traced from its beginning to how it ended`() {
        let world = world()
        let (one, two) = (world.connect(), world.connect())
        world.get("/push/news?wait=20&since=now&access_token=x", on: one, name("A"))
        world.get("/push/news?wait=20&since=now", on: two, name("B"))
        world.commit([("news", "x")])
        world.get("/push/-/live", on: two, name("C"))
        #expect(
            lines(world) == [
                "A GET /push/news", "A held", "B GET /push/news", "B held", "A released",
                "B released", "C GET /push/-/live", "C 200",
            ]
                || lines(world).sorted() == [
                    "A GET /push/news", "A held", "A released", "B GET /push/news", "B held",
                    "B released", "C 200", "C GET /push/-/live",
                ]
        )
        #expect(world.isEmpty == false)
        world.lose(one)
        world.lose(two)
        #expect(world.isEmpty)
    }

    @Test func `a stream is held once, however often it reads the log again`() {
        let world = world()
        let connection = world.connect()
        world.get("/push/news?stream=sse", on: connection, name("S"))
        world.fallBehind(to: 5000)
        world.turn()
        world.answerHistory([], scanned: 5000)
        world.turn()
        world.end(connection)
        let lines = lines(world)
        #expect(lines.filter { $0 == "S held" }.count == 1)
        #expect(lines.first == "S GET /push/news" && lines.last?.hasPrefix("S ") == true)
        #expect(lines.count == 3)
    }

    @Test func `nothing that ends early is forgotten`() {
        let world = world()
        let (aborted, lost, held) = (world.connect(), world.connect(), world.connect())
        world.post("/push/news", "x", on: aborted)
        world.abort(1, on: aborted)
        world.post("/push/news", "x", on: lost)
        world.lose(lost)
        world.get("/push/news?wait=20&since=now", on: held, name("H"))
        world.abort(1, on: held)
        let lines = lines(world)
        #expect(lines.contains { $0.hasSuffix("-1 aborted") })
        #expect(lines.contains { $0.hasSuffix("-2 closed") } && lines.contains("H aborted"))
        world.answerAppend(.full)
        world.answerAppend(.full)
        for connection in [aborted, lost, held] { world.lose(connection) }
        #expect(world.isEmpty)
    }

    @Test(arguments: [LogSettings.Level.debug, .info])
    func `a problem has the name of its request, also after it has waited for the log`(
        level: LogSettings.Level
    ) throws {
        let world = world(level)
        let (one, two) = (world.connect(), world.connect())
        world.request("POST", "/push/news", on: one, body: "x", name("A"))
        world.request("POST", "/push/news", on: two, body: "x")
        world.get("/push/~/", on: world.connect())
        world.answerAppend(.full)
        world.answerAppend(.full)
        let first = try #require(world.take(one).first)
        #expect(first.text.contains("Holdfast-Request-ID: A\r\n"))
        #expect(first.text.contains(#","request":"A"}"#))
        let second = try #require(world.take(two).first)
        #expect(second.text.contains(#/Holdfast-Request-ID: [0-9a-f]{8}-2\r\n/#))
        #expect((level == .debug) == !world.traces.isEmpty)
    }

    @Test func `what is refused before its name is read has none, not that of another`() throws {
        let world = world(.info)
        let connection = world.connect()
        world.get("/push/~news", on: connection, name("A"))
        #expect(world.texts(connection).first?.contains("ID: A\r\n") == true)
        let address = RequestAddress(connection: connection, id: .first, keepConnection: true)
        world.core.oversized(address, at: world.moment)
        world.drain()
        let text = try #require(world.texts(connection).first)
        #expect(text.contains("431") && !text.contains("Request-ID"))
    }

    @Test func `the level can change while requests are held`() {
        let world = world(.info)
        let (before, after) = (world.connect(), world.connect())
        world.get("/push/news?wait=20&since=now", on: before, name("A"))
        var settings = settingsOfTests
        settings.log.level = .debug
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        world.get("/push/news?wait=20&since=now", on: after, name("B"))
        settings.log.level = .info
        world.commit([("other", "x")])
        #expect(lines(world) == ["B GET /push/news", "B held"])
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.commit([("news", "x")])
        #expect(lines(world).count == 2)
        world.lose(before)
        world.lose(after)
        #expect(world.isEmpty)
    }

    @Test func `of a request handed over, the end was traced and the beginning was not`() throws {
        let world = world(.info)
        let connection = world.connect()
        world.get("/push/news?stream=ndjson&since=first", on: connection, name("A"))
        #expect(world.pause())
        // The last event was about it.
        world.answerHistory([], scanned: 0)
        let newer = try world.handOver([connection]) { $0.log.level = .debug }
        newer.lose(connection)
        #expect(lines(newer).isEmpty)
        #expect(newer.isEmpty)
    }
}
