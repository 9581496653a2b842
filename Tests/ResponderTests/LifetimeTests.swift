import Testing

@testable import Responder

@Suite struct `How long a responder runs` {
    @Test func `a service runs until it is stopped and its connections are gone`() {
        var lifetime = Lifetime(.service)
        #expect(lifetime.isService && !lifetime.isStopping && lifetime.alarm == .max)
        #expect(!lifetime.isOver(hasConnections: false, now: .max))
        #expect(lifetime.takeClient() == nil)
        lifetime.shutdown = Lifetime.Shutdown(deadline: 500)
        #expect(lifetime.isStopping && lifetime.alarm == 500)
        #expect(!lifetime.isOver(hasConnections: true, now: 499))
        #expect(lifetime.isOver(hasConnections: false, now: 1))
        // A peer that stays does not keep it.
        #expect(lifetime.isOver(hasConnections: true, now: 500))
    }

    @Test func `a pipe that another process may read is looked at before the deadline`() {
        var lifetime = Lifetime(.service)
        lifetime.shutdown = Lifetime.Shutdown(deadline: 500)
        lifetime.shutdown?.looksAt = 10
        #expect(lifetime.alarm == 10)
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
