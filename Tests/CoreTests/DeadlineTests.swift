import Channels
import Configuration
import Testing

@testable import Core

@Suite struct DeadlineTests {
    @Test func `a poll ends empty when its wait is over, not before`() {
        let world = World()
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        world.pass(19_900)
        #expect(world.take(connection).isEmpty)
        world.pass(100 + DeadlineWheel.tickMilliseconds)
        let sent = world.take(connection)
        #expect(sent.first?.status == 200)
        #expect(sent.first?.text.contains(#""messages":[]"#) == true)
        #expect(world.endings == [.deadline: 1])
        #expect(world.heldCount == 0)
    }

    @Test func `equal polls that end together get one payload`() {
        let world = World()
        for _ in 0..<20 { world.get("/push/news?wait=20&since=now", on: world.connect()) }
        world.pass(20_000)
        world.pass(DeadlineWheel.tickMilliseconds)
        #expect(world.endings == [.deadline: 20])
    }

    @Test func `the next alarm is the next deadline, and none where nothing waits`() {
        let world = World()
        #expect(world.nextAlarm == .max)
        let connection = world.connect()
        world.get("/push/news?wait=20&since=now", on: connection)
        #expect(world.nextAlarm <= world.now + 20_000 + DeadlineWheel.tickMilliseconds)
        #expect(world.nextAlarm >= world.now + 20_000 - DeadlineWheel.tickMilliseconds)
        world.lose(connection)
        #expect(world.nextAlarm == .max)
        #expect(world.isEmpty)
    }

    @Test func `a clock that jumps ends everything that is due, once`() {
        let world = World()
        let connections = (0..<5).map { _ in world.connect() }
        for (index, connection) in connections.enumerated() {
            world.get("/push/news?wait=\(index + 1)&since=now", on: connection)
        }
        world.pass(3_600_000)
        #expect(connections.allSatisfy { world.take($0).count == 1 })
        #expect(world.endings == [.deadline: 5])
    }

    @Test func `near the bound each waits a shorter time`() {
        let world = World { $0.limits.heldRequests = 10 }
        for _ in 0..<9 { world.get("/push/a?wait=20&since=now", on: world.connect()) }
        let last = world.connect()
        world.get("/push/b?wait=20&since=now", on: last)
        world.pass(2000 + DeadlineWheel.tickMilliseconds)
        #expect(world.take(last).count == 1)
    }
}
