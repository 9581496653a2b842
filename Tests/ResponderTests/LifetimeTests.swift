import Testing

@testable import Responder

@Suite struct `How long a responder runs` {
    @Test func `a service runs until it is stopped and its connections are gone`() {
        var lifetime = Lifetime(.service)
        #expect(lifetime.isService && !lifetime.isStopping && lifetime.alarm == .max)
        #expect(!lifetime.isOver(hasConnections: false, now: .max))
        #expect(lifetime.takeClient() == nil)
        lifetime.stop(by: 500)
        #expect(lifetime.isStopping && lifetime.alarm == 500)
        #expect(!lifetime.isOver(hasConnections: true, now: 499))
        #expect(lifetime.isOver(hasConnections: false, now: 1))
        // A peer that stays does not keep it.
        #expect(lifetime.isOver(hasConnections: true, now: 500))
    }

    @Test func `a pipe that another process may read is looked at before the deadline`() {
        var lifetime = Lifetime(.service)
        lifetime.stop(by: 500)
        #expect(lifetime.waitForPipes(now: 0) && lifetime.alarm == 10)
        #expect(lifetime.waitForPipes(now: 495) && lifetime.alarm == 500)
        let waitsLonger = lifetime.waitForPipes(now: 500)
        #expect(!waitsLonger)
    }

    @Test func `what this process publishes from the pipes is not looked at by the clock`() {
        var lifetime = Lifetime(.service)
        lifetime.stop(by: 5000)
        _ = lifetime.waitForPipes(now: 0)
        lifetime.publishesPipes()
        #expect(lifetime.alarm == 5000)
    }

    @Test func `one for a client runs until that has come and gone`() {
        var lifetime = Lifetime(.oneClient(7))
        #expect(!lifetime.isService)
        // It waits until the log is open.
        #expect(!lifetime.isOver(hasConnections: false, now: 0))
        #expect(lifetime.takeClient() == 7 && lifetime.takeClient() == nil)
        #expect(!lifetime.isOver(hasConnections: true, now: 0))
        #expect(lifetime.isOver(hasConnections: false, now: 0))
    }
}
