import Channels
import Testing

@testable import Bus

/// For how long a machine has been behind, without an engine and without a clock.
@Suite struct EngineLevelTests {
    private let a = Epoch("aaaa1111")!
    private let b = Epoch("bbbb2222")!

    private func level(_ offset: Int64 = 10, askedAt: Int64 = 1000) -> EngineLevel {
        var level = EngineLevel()
        level.looked(offset: offset, epoch: a, askedAt: askedAt)
        level.told(head: offset) { _ in true }
        return level
    }

    @Test func `nothing is known before the engine was asked`() {
        var level = EngineLevel()
        #expect(level.lag(now: 5000) == nil)
        // Nobody is to take it for level.
        #expect(level.isCatchingUp && !level.isAwaiting)
        level.missed(at: 6000)
        #expect(level.isCatchingUp)
    }

    @Test func `a machine that has all is level, however long ago that was seen`() {
        let level = level()
        #expect(level.lag(now: 60_000) == 0)
        #expect(!level.isCatchingUp)
    }

    @Test func `it is behind since the oldest look whose messages are not here`() {
        var level = level()
        level.looked(offset: 12, epoch: a, askedAt: 3000)
        level.looked(offset: 15, epoch: a, askedAt: 5000)
        #expect(level.lag(now: 6000) == 3000)
        level.told(head: 11) { _ in true }
        #expect(level.lag(now: 6000) == 3000)
        level.told(head: 14) { _ in true }
        #expect(level.lag(now: 6000) == 1000)
        level.told(head: 15) { _ in true }
        #expect(level.lag(now: 6000) == 0)
    }

    @Test func `an epoch is awaited, too`() {
        var level = level()
        level.looked(offset: 10, epoch: b, askedAt: 3000)
        level.told(head: 10) { $0 == a }
        #expect(level.lag(now: 4000) == 1000)
        level.told(head: 10) { _ in true }
        #expect(level.lag(now: 4000) == 0)
    }

    @Test func `after a start it catches up, whatever the lag, until it has been level once`() {
        var level = EngineLevel()
        level.looked(offset: 10, epoch: a, askedAt: 1000)
        #expect(level.isCatchingUp && level.lag(now: 1000) == 0)
        level.told(head: 10) { _ in true }
        level.looked(offset: 11, epoch: a, askedAt: 2000)
        #expect(!level.isCatchingUp && level.isAwaiting)
    }

    @Test func `who was cut off has been behind since the last answer, also when it comes back`() {
        var level = level(10, askedAt: 1000)
        level.missed(at: 3000)
        #expect(level.lag(now: 61_000) == 60_000)
        // Nothing says that it lacks anything.
        #expect(level.lagBehindKnown(now: 61_000) == 0)
        level.looked(offset: 20, epoch: a, askedAt: 62_000)
        #expect(level.lagBehindKnown(now: 62_000) == 61_000)
        level.told(head: 20) { _ in true }
        #expect(level.lag(now: 63_000) == 0)
    }

    @Test func `an engine that never answered is away since it was asked first`() {
        var level = EngineLevel()
        level.missed(at: 1000)
        level.missed(at: 2000)
        #expect(level.lag(now: 5000) == 4000)
    }

    @Test func `who applies knows when the oldest entry was committed that it lacks`() {
        var level = level()
        level.missing(since: -7_200_000)
        #expect(level.lagBehindKnown(now: 0) == 7_200_000)
        level.missing(since: nil)
        #expect(level.lag(now: 0) == 0)
    }

    @Test func `what a failover has lost is not awaited for ever`() {
        var level = level()
        level.looked(offset: 20, epoch: a, askedAt: 3000)
        level.looked(offset: 11, epoch: b, askedAt: 5000)
        #expect(level.lag(now: 6000) == 3000)
        level.told(head: 11) { $0 == b }
        #expect(level.lag(now: 6000) == 0)
        // Nor an epoch that is gone with what followed it.
        level.looked(offset: 12, epoch: a, askedAt: 7000)
        level.looked(offset: 12, epoch: b, askedAt: 9000)
        level.told(head: 12) { $0 == b }
        #expect(level.lag(now: 10_000) == 0)
    }

    @Test func `a machine that is behind for days remembers a bounded number of looks`() {
        var level = level()
        for number in 1...10_000 {
            level.looked(offset: Int64(10 + number), epoch: a, askedAt: Int64(number) * 2000)
        }
        #expect(level.lag(now: 20_000_000) == 19_998_000)
        level.told(head: 10_009) { _ in true }
        #expect(level.isAwaiting)
        level.told(head: 10_010) { _ in true }
        #expect(level.lag(now: 20_000_000) == 0)
    }
}
