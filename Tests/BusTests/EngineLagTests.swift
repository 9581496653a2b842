import Channels
import Testing

@testable import Bus

/// For how long a machine has been behind, without an engine and without a clock.
@Suite struct EngineLagTests {
    private let a = Epoch("aaaa1111")!
    private let b = Epoch("bbbb2222")!

    private func none(_ offset: Int64 = 10, askedAt: Int64 = 1000) -> EngineLag {
        var lag = EngineLag()
        lag.looked(offset: offset, epoch: a, askedAt: askedAt)
        lag.told(head: offset) { _ in true }
        return lag
    }

    @Test func `nothing is known before the engine was asked`() {
        var lag = EngineLag()
        #expect(lag.milliseconds(now: 5000) == nil)
        // It must not count as up to date.
        #expect(lag.isCatchingUp && !lag.isAwaiting)
        lag.missed(at: 6000)
        #expect(lag.isCatchingUp)
    }

    @Test func `a machine that has everything does not lag, however long ago that was found`() {
        let lag = none()
        #expect(lag.milliseconds(now: 60_000) == 0)
        #expect(!lag.isCatchingUp)
    }

    @Test func `it is behind since the oldest look whose messages are not here`() {
        var lag = none()
        lag.looked(offset: 12, epoch: a, askedAt: 3000)
        lag.looked(offset: 15, epoch: a, askedAt: 5000)
        #expect(lag.milliseconds(now: 6000) == 3000)
        lag.told(head: 11) { _ in true }
        #expect(lag.milliseconds(now: 6000) == 3000)
        lag.told(head: 14) { _ in true }
        #expect(lag.milliseconds(now: 6000) == 1000)
        lag.told(head: 15) { _ in true }
        #expect(lag.milliseconds(now: 6000) == 0)
    }

    @Test func `an epoch is awaited, too`() {
        var lag = none()
        lag.looked(offset: 10, epoch: b, askedAt: 3000)
        lag.told(head: 10) { $0 == a }
        #expect(lag.milliseconds(now: 4000) == 1000)
        lag.told(head: 10) { _ in true }
        #expect(lag.milliseconds(now: 4000) == 0)
    }

    @Test func `after a start it catches up, whatever the lag, until it has been up to date once`()
    {
        var lag = EngineLag()
        lag.looked(offset: 10, epoch: a, askedAt: 1000)
        #expect(lag.isCatchingUp && lag.milliseconds(now: 1000) == 0)
        lag.told(head: 10) { _ in true }
        lag.looked(offset: 11, epoch: a, askedAt: 2000)
        #expect(!lag.isCatchingUp && lag.isAwaiting)
    }

    @Test
    func
        `a machine that was cut off has been behind since the last answer, also when it comes back`()
    {
        var lag = none(10, askedAt: 1000)
        lag.missed(at: 3000)
        #expect(lag.milliseconds(now: 61_000) == 60_000)
        // Nothing says that it lacks anything.
        #expect(lag.knownMilliseconds(now: 61_000) == 0)
        lag.looked(offset: 20, epoch: a, askedAt: 62_000)
        #expect(lag.knownMilliseconds(now: 62_000) == 61_000)
        lag.told(head: 20) { _ in true }
        #expect(lag.milliseconds(now: 63_000) == 0)
    }

    @Test func `an engine that never answered is away since it was asked first`() {
        var lag = EngineLag()
        lag.missed(at: 1000)
        lag.missed(at: 2000)
        #expect(lag.milliseconds(now: 5000) == 4000)
    }

    @Test func `the process that applies knows when the oldest entry was committed that it lacks`()
    {
        var lag = none()
        lag.missing(since: -7_200_000)
        #expect(lag.knownMilliseconds(now: 0) == 7_200_000)
        lag.missing(since: nil)
        #expect(lag.milliseconds(now: 0) == 0)
    }

    @Test func `what a failover has lost is not awaited for ever`() {
        var lag = none()
        lag.looked(offset: 20, epoch: a, askedAt: 3000)
        lag.looked(offset: 11, epoch: b, askedAt: 5000)
        #expect(lag.milliseconds(now: 6000) == 3000)
        lag.told(head: 11) { $0 == b }
        #expect(lag.milliseconds(now: 6000) == 0)
        // Nor an epoch that is gone with what followed it.
        lag.looked(offset: 12, epoch: a, askedAt: 7000)
        lag.looked(offset: 12, epoch: b, askedAt: 9000)
        lag.told(head: 12) { $0 == b }
        #expect(lag.milliseconds(now: 10_000) == 0)
    }

    @Test func `a machine that is behind for days remembers a bounded number of looks`() {
        var lag = none()
        for number in 1...10_000 {
            lag.looked(offset: Int64(10 + number), epoch: a, askedAt: Int64(number) * 2000)
        }
        #expect(lag.milliseconds(now: 20_000_000) == 19_998_000)
        lag.told(head: 10_009) { _ in true }
        #expect(lag.isAwaiting)
        lag.told(head: 10_010) { _ in true }
        #expect(lag.milliseconds(now: 20_000_000) == 0)
    }
}
