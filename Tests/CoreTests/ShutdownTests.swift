import Channels
import Configuration
import Testing

@testable import Core

@Suite struct ShutdownTests {
    @Test func `everybody is answered, and streams say their last word`() {
        let world = World()
        let poll = world.connect()
        world.get("/push/news?wait=20&since=now", on: poll)
        let stream = world.connect()
        world.get("/push/news?stream=sse", on: stream)
        let bus = world.connectBus()
        world.say("subscribe news\n", on: bus)
        _ = (world.take(stream), world.take(bus))
        world.stop()
        #expect(world.take(poll).first?.text.contains(#""messages":[]"#) == true)
        #expect(world.texts(stream).last?.contains("shutdown") == true)
        #expect(world.texts(bus).last?.contains(#""reason":"shutdown""#) == true)
        #expect(world.endings == [.shutdown: 3])
        #expect(world.heldCount == 0)
    }

    @Test func `nothing is held or queued any more`() {
        let world = World()
        world.stop()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        #expect(world.take(connection).first?.status == 200)
        world.get("/push/news?stream=ndjson", on: connection)
        #expect(world.take(connection).first?.status == 503)
        world.post("/push/news", "hello", on: connection)
        #expect(world.take(connection).first?.status == 503)
        #expect(world.appends.isEmpty && !world.isReady)
        world.get("/push/-/ready", on: connection)
        #expect(world.take(connection).first?.text.contains("stopping") == true)
    }

    @Test func `a machine of a site that had better get no clients is not ready, and says why`() {
        let world = World()
        let connection = world.connect()
        func answer(_ trouble: EngineTrouble?) -> (status: Int?, text: String) {
            world.tell(.engine(trouble))
            world.get("/push/-/ready", on: connection)
            let answer = world.take(connection).first
            return (answer?.status, answer?.text ?? "")
        }
        for (trouble, reason) in [
            (EngineTrouble.publishing, "PostgreSQL is unreachable or rejects writes"),
            (.following, "does not arrive"), (.lagging, "this machine lags"),
            (.catchingUp, "is catching up"),
        ] {
            let (status, text) = answer(trouble)
            #expect(status == 503 && text.contains("not ready: ") && text.contains(reason))
            #expect(!world.isReady)
        }
        #expect(answer(nil).status == 200)
        #expect(world.isReady)
    }

    @Test func `a kept connection is done only when none are kept any more`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        world.stop()
        #expect(world.standing(of: connection) == .kept)
        world.core.keepNoConnections()
        #expect(world.standing(of: connection) == .done)
    }

    @Test func `a publication on its way is still answered`() {
        let world = World()
        let connection = world.connect()
        world.post("/push/news", "hello", on: connection)
        world.stop()
        world.core.keepNoConnections()
        #expect(world.standing(of: connection) == .busy)
        world.answerAppend(.committed(ids: [Cursor(epoch: epoch("k7f2"), offset: Offset(1))]))
        #expect(world.take(connection).first?.status == 201)
        #expect(world.standing(of: connection) == .done)
    }
}
