import Testing
import Text

@Suite struct ThrottleTests {
    @Test func `one passes at once, and the next when the time is over, however many come between`()
    {
        var throttle = Throttle(milliseconds: 1000)
        let passed = [5, 6, 500, 1004, 1005, 2004, 9000].filter { throttle.passes(now: $0) }
        #expect(passed == [5, 1005, 9000])
        #expect(throttle.opensAt == 10_000)
    }

    @Test func `one that passes in any case begins the time anew`() {
        var throttle = Throttle(milliseconds: 1000)
        let passed = [0, 900, 1000, 1900].filter { throttle.passes(now: $0, always: $0 == 900) }
        #expect(passed == [0, 900, 1900])
    }

    @Test func `a reason is new until it has been given, and again after a success`() {
        var reason = LastingReason()
        let given = ["full", "full", "gone", "full"].map { reason.isNew($0) }
        #expect(given == [true, false, true, true])
        reason.end()
        let again = reason.isNew("full")
        #expect(again)
    }
}
