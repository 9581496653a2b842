import Channels
import Testing

@testable import Bus

@Suite struct QuotaUseTests {
    private func limits(_ messages: Int?, _ bytes: Int? = nil, seconds: Int = 60) -> QuotaLimits {
        var limits = QuotaLimits()
        (limits.messages, limits.bytes, limits.seconds) = (messages, bytes, seconds)
        return limits
    }

    private let second: Int64 = 1_000_000

    @Test func `all of it may be used at once, and comes back evenly`() {
        var use = QuotaUse()
        let limits = limits(60)
        let start = 1_000 * second
        for _ in 0..<60 { #expect(use.take(1, bytes: 0, of: limits, now: start) == .taken) }
        #expect(use.take(1, bytes: 0, of: limits, now: start) == .wait(microseconds: second))
        #expect(use.take(1, bytes: 0, of: limits, now: start + second) == .taken)
        #expect(
            use.take(2, bytes: 0, of: limits, now: start + 2 * second)
                == .wait(microseconds: second)
        )
        #expect(use.take(60, bytes: 0, of: limits, now: start + 61 * second) == .taken)
    }

    @Test func `a refusal takes nothing, of neither share`() {
        var use = QuotaUse()
        let limits = limits(10, 100)
        #expect(use.take(1, bytes: 90, of: limits, now: 0) == .taken)
        let before = use
        #expect(use.take(1, bytes: 20, of: limits, now: 0) == .wait(microseconds: 6 * second))
        #expect(use == before)
        #expect(use.take(11, bytes: 1, of: limits, now: 0) == .never)
        #expect(use.take(1, bytes: 101, of: limits, now: 0) == .never)
        #expect(use == before)
    }

    @Test func `a quota of many bytes over a long time does not overflow`() {
        var use = QuotaUse()
        let limits = limits(nil, 1 << 40, seconds: 86_400)
        #expect(use.take(1, bytes: 1 << 40, of: limits, now: 0) == .taken)
        #expect(
            use.take(1, bytes: 1 << 39, of: limits, now: 0)
                == .wait(microseconds: 43_200 * second)
        )
    }

    @Test func `a clock set back locks no publisher out for longer than the stretch`() {
        var use = QuotaUse()
        let limits = limits(1, seconds: 10)
        #expect(use.take(1, bytes: 0, of: limits, now: 1_000_000 * second) == .taken)
        #expect(
            use.take(1, bytes: 0, of: limits, now: 5 * second) == .wait(microseconds: 10 * second)
        )
    }
}

@Suite struct QuotaTests {
    private func quota(_ publisher: String, _ messages: Int) -> PublisherQuota {
        var limits = QuotaLimits()
        limits.messages = messages
        return PublisherQuota(publisher: publisher, limits: limits)
    }

    @Test func `a quota holds whichever process is asked, and comes back with time`() {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        let settings = settings(directory)
        let probes = (0..<2).map { _ in LogProbe(settings, clocks: clock.clocks()) }
        func publish(_ which: Int, _ publisher: String = "p") -> AppendOutcome {
            probes[which].outcome(
                of: probes[which].send([draft("a", "x")], quota: quota(publisher, 3))
            )
        }
        for which in [0, 1, 0] { #expect(publish(which).id != nil) }
        #expect(publish(1) == .overQuota(retrySeconds: 21))
        #expect(publish(0, "another").id != nil)
        clock.advance(seconds: 21)
        #expect(publish(1).id != nil)
        #expect(publish(0) == .overQuota(retrySeconds: 20))
        let all = probes[0].outcome(
            of: probes[0].send((0..<4).map { draft("a", "\($0)") }, quota: quota("q", 3))
        )
        #expect(all == .overQuota(retrySeconds: nil))
        for probe in probes { probe.stop() }
    }

    @Test func `a repeated request costs nothing`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let key = IdempotencyKey(publisher: "p", key: "k")
        let first = probe.outcome(
            of: probe.send([draft("a", "x")], key: key, quota: quota("p", 1))
        )
        guard case .committed(let ids) = first else {
            Issue.record("\(first)")
            return
        }
        let again = probe.outcome(
            of: probe.send([draft("a", "x")], key: key, quota: quota("p", 1))
        )
        #expect(again == .repeated(ids: ids))
        probe.stop()
    }

    @Test func `what was not used for a while is forgotten`() throws {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        let probe = LogProbe(settings(directory), clocks: clock.clocks())
        for number in 0..<5 {
            _ = probe.outcome(of: probe.send([draft("a", "x")], quota: quota("p\(number)", 10)))
        }
        clock.advance(seconds: 120)
        try eventually("no rows") { try rowCount("quotas", directory.path + "/bus") == 0 }
        probe.stop()
    }
}
