import Channels
import Configuration
import Identity
import Testing

@testable import Core
@testable import Endpoint

/// Holds that rest on a signed link end when it does, or when its key goes.
@Suite struct RightTests {
    private static let key: KeySettings = {
        var key = KeySettings(name: "web")
        key.material = Array("0123456789abcdef0123456789abcdef".utf8)
        return key
    }()

    private func world(_ change: (inout Settings) -> Void = { _ in }) -> World {
        World { settings in
            settings.keys = [Self.key]
            settings.allow = [
                AllowRule(pattern: ChannelPattern("news")!, read: .local([], keys: ["web"])),
                AllowRule(pattern: ChannelPattern("open")!, read: .everyone),
            ]
            change(&settings)
        }
    }

    /// The path of a link that is valid for so many seconds.
    private func link(_ world: World, seconds: Int64, channel name: String = "news") -> String {
        let link = SignedLink(
            channels: [channel(name)],
            expires: "\(world.wall / 1000 + seconds)"
        )
        let signature = KeyRing([Self.key]).signature(of: link, keyName: "web")!
        return "/push/?" + link.query(keyName: nil, signature: signature)
    }

    @Test func `a poll is answered 401 when its link expires, not before`() {
        let world = world()
        let (connection, other) = (world.connect(), world.connect())
        world.get(link(world, seconds: 5) + "&wait=20&since=now", on: connection)
        world.get("/push/open?wait=20&since=now", on: other)
        world.pass(4990)
        #expect(world.take(connection).isEmpty && world.heldCount == 2)
        world.pass(10 + 2 * DeadlineWheel.tickMilliseconds)
        let sent = world.take(connection)
        #expect(sent.count == 1 && sent.first?.status == 401)
        #expect(sent.first?.text.contains(#""code":"expired""#) == true)
        #expect(world.endings == [.expired: 1] && world.heldCount == 1)
        world.pass(20_000)
        #expect(world.take(other).first?.status == 200)
        #expect(world.isEmpty == false || world.heldCount == 0)
    }

    @Test func `a poll whose wait ends before its link is answered as ever`() {
        let world = world()
        let connection = world.connect()
        world.get(link(world, seconds: 60) + "&wait=20&since=now", on: connection)
        world.pass(20_000 + DeadlineWheel.tickMilliseconds)
        #expect(world.take(connection).first?.status == 200)
        #expect(world.endings == [.deadline: 1])
    }

    @Test func `a poll that has begun its answer ends empty`() {
        let world = world { $0.hold.earlyHeaders = true }
        let connection = world.connect()
        world.get(link(world, seconds: 5) + "&wait=20&since=now", on: connection)
        world.pass(5000 + 2 * DeadlineWheel.tickMilliseconds)
        let sent = world.take(connection)
        #expect(sent.first?.status == 200 && sent.last?.text.contains(#""messages":[]"#) == true)
        #expect(world.endings == [.expired: 1])
    }

    @Test(arguments: [("wait=20&since=k7f2-3", 200), ("wait=20&since=first", 503)])
    func `one that waits for the log when its key goes ends as what is held`(
        query: String,
        status: Int
    ) {
        let world = world()
        world.fallBehind(to: 10)
        let connection = world.connect()
        world.get(link(world, seconds: 60) + "&" + query, on: connection)
        #expect(world.take(connection).isEmpty && world.waitingCount == 1)
        var settings = world.core.settings
        settings.keys = []
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        let sent = world.take(connection)
        #expect(sent.first?.status == status)
        let part = status == 200 ? #""cursor":"k7f2-3","messages":[]"# : #""code":"revoked""#
        #expect(sent.first?.text.contains(part) == true && world.counters.answers[5] == 0)
    }

    @Test func `a stream ends with a last word when its link expires`() {
        let world = world()
        let connection = world.connect()
        world.get(link(world, seconds: 30) + "&stream=sse", on: connection)
        world.pass(29_900)
        #expect(world.heldCount == 1)
        _ = world.take(connection)
        world.pass(100 + 2 * DeadlineWheel.tickMilliseconds)
        let last = world.take(connection).last
        #expect(last?.text.contains("event: bye") == true && last?.isLast == true)
        #expect(last?.text.contains(#""reason":"expired""#) == true)
        #expect(world.endings == [.expired: 1] && world.heldCount == 0)
    }

    @Test func `a stream keeps its right while it reads what it missed`() {
        let world = world()
        let connection = world.connect()
        world.get(link(world, seconds: 1) + "&stream=sse", on: connection)
        _ = world.take(connection)
        // It falls back to reading the log, and the log is slow.
        world.fallBehind(to: 5000)
        world.pass(1100)
        world.answerHistory([], scanned: 5000)
        world.pass(2 * DeadlineWheel.tickMilliseconds)
        #expect(world.texts(connection).joined().contains(#""reason":"expired""#))
    }

    @Test func `a channel that a reload closed stayed open to clients with a right to another one`()
    {
        let world = world()
        let connection = world.connect()
        let both = SignedLink(
            channels: [channel("news"), channel("open")],
            expires: "\(world.wall / 1000 + 60)"
        )
        let signature = KeyRing([Self.key]).signature(of: both, keyName: "web")!
        let path = "/push/?" + both.query(keyName: nil, signature: signature)
        world.get(path + "&wait=20&since=now", on: connection)
        #expect(world.heldCount == 1)
        var settings = settingsOfTests
        settings.keys = [Self.key]
        settings.allow = ["news", "open"].map {
            AllowRule(pattern: ChannelPattern($0)!, read: .local([], keys: ["web"]))
        }
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        #expect(world.endings == [.revoked: 1] && world.heldCount == 0)
    }

    @Test(arguments: [true, false])
    func `a reload that takes the key away ends what rests on it`(removesKey: Bool) {
        let world = world()
        let (poll, stream, other) = (world.connect(), world.connect(), world.connect())
        world.get(link(world, seconds: 600) + "&wait=20&since=now", on: poll)
        world.get(link(world, seconds: 600) + "&stream=ndjson", on: stream)
        world.get("/push/open?wait=20&since=now", on: other)
        _ = world.take(stream)
        var settings = settingsOfTests
        settings.keys = [Self.key]
        settings.allow = [
            AllowRule(pattern: ChannelPattern("news")!, read: .local([], keys: ["web"])),
            AllowRule(pattern: ChannelPattern("open")!, read: .everyone),
        ]
        // Nothing of it changes.
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        #expect(world.heldCount == 3)
        if removesKey {
            settings.keys[0].material.append(0x61)
        } else {
            settings.allow.removeFirst()
        }
        world.core.reload(settings, numbers: [:], at: world.moment)
        world.drain()
        #expect(world.take(poll).first?.status == 200)
        #expect(world.take(stream).last?.text.contains(#""reason":"revoked""#) == true)
        #expect(world.take(other).isEmpty && world.endings == [.revoked: 2])
    }

    @Test func `a link that queued is judged by the keys and the time of its turn`() {
        for reloads in [false, true] {
            let world = world { settings in
                settings.allow.append(
                    AllowRule(pattern: ChannelPattern("slow")!, publish: .everyone)
                )
            }
            let connection = world.connect()
            world.post("/push/slow", "x", on: connection)
            world.get(link(world, seconds: 1), on: connection)
            if reloads {
                var settings = settingsOfTests
                settings.keys = [Self.key]
                settings.keys[0].material.append(0x61)
                settings.allow = [
                    AllowRule(pattern: ChannelPattern("news")!, read: .local([], keys: ["web"]))
                ]
                world.core.reload(settings, numbers: [:], at: world.moment)
            } else {
                world.pass(1001)
            }
            world.answerAppend(.full)
            _ = world.take(connection)
            world.turn()
            let code = reloads ? "link_signature" : "expired"
            #expect(world.texts(connection).first?.contains(#""code":"\#(code)""#) == true)
        }
    }
}
