import Harness
import System
import Testing

@testable import Responder

@Suite struct `What a service manager is told` {
    private let directory: TestDirectory
    private let inbox: Harness.ServiceManager

    init() throws {
        directory = try TestDirectory()
        inbox = try Harness.ServiceManager(notifySocket: directory.file("notify"))
    }

    private typealias Manager = System.ServiceManager

    private func manager(watchdog: Int64? = nil) throws -> Manager {
        let manager = Manager(inbox.notifySocket, watchdogMilliseconds: watchdog)
        return try #require(manager)
    }

    @Test func `nothing is due without a manager`() {
        var supervision = Supervision(nil, now: 0)
        supervision.isServing("x", now: 0)
        supervision.stops("x", now: 0)
        #expect(supervision.alarm == .max && !supervision.isWatched)
    }

    @Test func `a log that opens slowly extends the start, and an open one ends that`() throws {
        var supervision = Supervision(try manager(), now: 0)
        #expect(supervision.alarm == 20_000)
        supervision.turn("opening", now: 19_999)
        #expect(inbox.nextNow() == nil)
        supervision.turn("opening", now: 20_000)
        #expect(inbox.nextNow() == ["STATUS=opening", "EXTEND_TIMEOUT_USEC=60000000"])
        #expect(supervision.alarm == 40_000)
        supervision.isServing("holding 0", now: 21_000)
        #expect(inbox.nextNow() == ["READY=1", "STATUS=holding 0"])
        #expect(supervision.alarm == .max)
    }

    @Test func `a watchdog gets two signs of life in its time`() throws {
        var supervision = Supervision(try manager(watchdog: 3000), now: 0)
        supervision.isServing("one", now: 0)
        #expect(inbox.nextNow()?.contains("WATCHDOG=1") == true)
        #expect(supervision.alarm == 1500)
        supervision.turn("two", now: 1500)
        #expect(inbox.nextNow() == ["STATUS=two", "WATCHDOG=1"])
        #expect(supervision.alarm == 3000)
    }

    @Test func `a reload does not make a process ready whose log is not open`() throws {
        var supervision = Supervision(try manager(), now: 0)
        supervision.isReloading(now: 0)
        supervision.hasReloaded("x", now: 0)
        #expect(inbox.nextNow() == nil)
        supervision.isServing("x", now: 1)
        supervision.isReloading(now: 2)
        supervision.hasReloaded("y", now: 3)
        #expect(inbox.nextNow()?.first == "READY=1")
        #expect(inbox.nextNow()?.first == "RELOADING=1")
        #expect(inbox.nextNow() == ["READY=1", "STATUS=y"])
    }

    @Test func `one that stops is not ready again`() throws {
        var supervision = Supervision(try manager(), now: 0)
        supervision.stops("answering 3", now: 0)
        supervision.isServing("x", now: 1)
        supervision.isReloading(now: 2)
        #expect(inbox.nextNow() == ["STOPPING=1", "STATUS=answering 3"])
        #expect(inbox.nextNow() == nil)
    }

    @Test func `what a full queue does not take is told later, in order, before any sign of life`()
        throws
    {
        let manager = try manager(watchdog: 200)
        var supervision = Supervision(manager, now: 0)
        var filled = 0
        while manager.tell("X") == .told { filled += 1 }
        supervision.isServing("a", now: 0)
        supervision.says("b", now: 1)
        // The sign of life that is due waits behind them.
        supervision.turn("c", now: 100)
        #expect(supervision.alarm == 101)
        for _ in 0..<filled { #expect(inbox.nextNow() == ["X"]) }
        #expect(inbox.nextNow() == nil)
        supervision.turn("d", now: 200)
        #expect(inbox.nextNow() == ["READY=1", "STATUS=a", "WATCHDOG=1"])
        #expect(inbox.nextNow() == ["STATUS=b"])
        #expect(inbox.nextNow() == ["STATUS=d", "WATCHDOG=1"])
    }
}
