import Bus
import Channels
import Foundation
import Synchronization
import Testing

@Suite struct RetentionTests {
    @Test func `a small count is kept exactly, and what went is a gap`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), retention: keep(count: 5))
        for number in 1...12 { probe.append(draft("a", "\(number)")) }
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["8", "9", "10", "11", "12"])
        #expect(probe.read(["a"], .first).gap == nil)
        #expect(probe.read(["a"], .after(Offset(6))).gap == .trimmed)
        #expect(probe.read(["a"], .after(Offset(7))).gap == nil)
        #expect(probe.now.trims["a"] == Offset(7))
        // Waiting subscribers get all of them: retention is about reading again.
        #expect(probe.now.live.count == 12)
        #expect(probe.now.missed == [])
        probe.stop()
    }

    @Test func `a commit larger than the count is delivered whole`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), retention: keep(count: 2))
        _ = probe.outcome(of: probe.send((1...50).map { draft("a", "\($0)") }))
        #expect(probe.now.live.count == 50)
        #expect(probe.now.missed == [])
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["49", "50"])
        probe.stop()
    }

    @Test(arguments: [8, 100])
    func `a larger count is exceeded by an eighth at most`(count: Int) {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), retention: keep(count: count))
        for number in 1...count * 3 {
            probe.append(draft("a", "\(number)"))
            guard number % 7 == 0 else { continue }
            let kept = probe.read(["a"], .first).messages.count
            #expect(kept >= min(number, count) && kept <= count + count / 8)
        }
        probe.stop()
    }

    @Test func `bytes are bounded, yet one large message is kept`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), retention: keep(bytes: 80))
        for _ in 1...9 { probe.append(draft("a", "0123456789")) }
        #expect(probe.read(["a"], .first).messages.count == 9)
        probe.append(draft("a", "0123456789"))
        #expect(probe.read(["a"], .first).messages.count == 8)
        probe.append(draft("a", String(repeating: "x", count: 500)))
        #expect(probe.read(["a"], .first).messages.count == 1)
        probe.stop()
    }

    @Test func `a message too old is not replayed and counts as a gap, also before it is removed`()
    {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        var probe = LogProbe(
            settings(directory),
            clocks: clock.clocks(),
            retention: keep(seconds: 100)
        )
        let old = probe.append(draft("a", "old")).id!
        clock.advance(seconds: 60)
        probe.append(draft("a", "young"))
        #expect(probe.read(["a"], .after(.start)).messages.count == 2)
        clock.advance(seconds: 50)
        let reading = probe.read(["a"], .after(.start))
        #expect(reading.messages.map(\.text) == ["young"])
        #expect(reading.gap == .trimmed)
        #expect(probe.message(old) == nil)
        probe.wait("trimmed") { $0.trims["a"] == Offset(1) }
        #expect(probe.read(["a"], .after(.start)).gap == .trimmed)
        #expect(probe.read(["a"], .after(Offset(1))).gap == nil)
        probe.stop()
        clock.advance(seconds: 100)
        probe = LogProbe(
            settings(directory),
            clocks: clock.clocks(),
            retention: keep(seconds: 100)
        )
        #expect(probe.now.opened[0].messages.isEmpty)
        #expect(probe.now.opened[0].trims.map(\.through).max() == Offset(2))
        probe.stop()
    }

    @Test func `time to live ends replay without a gap`() {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        let probe = LogProbe(settings(directory), clocks: clock.clocks())
        let id = probe.append(draft("a", "short", ttl: 10)).id!
        probe.append(draft("a", "long"))
        clock.advance(seconds: 11)
        let reading = probe.read(["a"], .after(.start))
        #expect(reading.messages.map(\.text) == ["long"])
        #expect(reading.gap == nil)
        #expect(probe.message(id) == nil)
        let statistics = { probe.log.statistics }
        probe.log.replaceRetention(keep())
        let end = Date(timeIntervalSinceNow: 10)
        while statistics().messagesExpired == 0, Date() < end { probe.append(draft("b", "tick")) }
        #expect(statistics().messagesExpired == 1)
        #expect(probe.read(["a"], .after(.start)).gap == nil)
        probe.stop()
        #expect(throws: Never.self) { try countsAgree(directory.path + "/bus") }
    }

    @Test(arguments: [86_400_000 * 365, 86_400_000, -86_400_000] as [Int64])
    func `a clock that jumped made messages, keys and quotas live half their time`(jump: Int64) {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        var probe = LogProbe(
            settings(directory),
            clocks: clock.clocks(),
            retention: keep(seconds: 3600)
        )
        let key = IdempotencyKey(publisher: "p", key: "k")
        probe.append(draft("a", "1"))
        clock.wall.add(jump, ordering: .relaxed)
        // Also what comes after the jump.
        probe.append(draft("a", "2", ttl: 3600), key: key)
        probe.log.replaceRetention(keep(seconds: 3600))
        probe.wait("noted") { $0.notices.contains { $0.contains("clock jumped") } }
        clock.advance(seconds: 290)
        #expect(probe.append(draft("a", "2", ttl: 3600), key: key).id?.offset == Offset(2))
        clock.advance(seconds: 3300)
        #expect(probe.read(["a"], .after(.start)).messages.count == 2)
        // Nor by a restart, nor by the next boot.
        for boot in ["boot-1", "boot-2"] {
            probe.stop()
            probe = LogProbe(
                settings(directory),
                clocks: clock.clocks(bootName: boot),
                retention: keep(seconds: 3600)
            )
            #expect(probe.read(["a"], .after(.start)).messages.count == 2)
        }
        clock.advance(seconds: 11)
        #expect(probe.read(["a"], .after(.start)).gap == .trimmed)
        #expect(probe.read(["a"], .first).messages.isEmpty)
        probe.stop()
    }

    @Test func `after a quiet spell and a restart a jump was taken at once`() {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        var probe = LogProbe(
            settings(directory),
            clocks: clock.clocks(),
            retention: keep(seconds: 3600)
        )
        probe.append(draft("a", "1"))
        clock.advance(seconds: 3000)
        probe.stop()
        clock.wall.add(3_000_000, ordering: .relaxed)
        probe = LogProbe(
            settings(directory),
            clocks: clock.clocks(),
            retention: keep(seconds: 3600)
        )
        #expect(probe.read(["a"], .first).messages.count == 1)
        clock.advance(seconds: 590)
        #expect(probe.read(["a"], .first).messages.count == 1)
        clock.advance(seconds: 20)
        #expect(probe.read(["a"], .first).messages.isEmpty)
        probe.stop()
    }

    @Test
    func `where times do not rise, what is too old in between was a hole that was not reported`()
        throws
    {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        var probe = LogProbe(settings(directory), clocks: clock.clocks())
        for number in 1...5 { probe.append(draft("a", "\(number)")) }
        probe.stop()
        // As an older release left it, whose clock went back together with the wall clock.
        try execute(
            "UPDATE messages SET kept = kept - 86400000 * 2 WHERE offset IN (2, 4)",
            directory.path + "/bus"
        )
        var small = settings(directory)
        small.memoryMessages = 1
        probe = LogProbe(
            small,
            clocks: clock.clocks(),
            retention: keep(seconds: 86_400)
        )
        let reading = probe.read(["a"], .after(.start))
        #expect(reading.messages.map(\.text) == ["1", "3", "5"])
        #expect(reading.gap == .trimmed && reading.marks.map(\.through) == [Offset(4)])
        // Nothing is said of what an answer did not come to, nor of what lies before the cursor.
        let piece = probe.read(["a"], .after(.start), limit: 1)
        #expect(piece.messages.map(\.text) == ["1"] && piece.more && piece.gap == nil)
        let next = probe.read(["a"], .after(piece.scanned), limit: 1)
        #expect(next.messages.map(\.text) == ["3"] && next.gap == .trimmed)
        let last = probe.read(["a"], .after(Offset(4)))
        #expect(last.messages.map(\.text) == ["5"] && last.gap == nil)
        #expect(probe.read(["a"], .last(2)).messages.map(\.text) == ["3", "5"])
        probe.stop()
    }

    @Test func `shorter rules after a reload apply to channels without publishers`() {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        for channel in 1...100 {
            probe.send((1...10).map { draft("c/\(channel)", "\($0)") })
        }
        probe.append(draft("last", "x"))
        probe.log.replaceRetention(keep(count: 3))
        probe.wait("trimmed") { $0.trims.count == 100 }
        #expect(probe.read(["c/50"], .first).messages.map(\.text) == ["8", "9", "10"])
        probe.stop()
        // And after a restart with other rules.
        probe = LogProbe(settings(directory), retention: keep(count: 1))
        probe.wait("trimmed") { $0.trims.count == 100 }
        #expect(probe.read(["c/50"], .first).messages.map(\.text) == ["10"])
        probe.stop()
        #expect(try! countsAgree(directory.path + "/bus"))
    }

    @Test func `idle channels are forgotten for new ones, and their marks live on in the floor`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), channelLimit: 3, retention: keep(count: 1))
        probe.append(draft("a", "1"), draft("a", "2"))
        probe.append(draft("b", "3"))
        probe.append(draft("c", "4"))
        #expect(probe.append(draft("d", "5")) == .noMoreChannels)
        #expect(probe.append(draft("c", "5")).id?.offset == Offset(5))
        // Nothing is kept any more: all may be forgotten.
        probe.log.replaceRetention(keep(count: 0))
        probe.wait("trimmed") { $0.trims.count == 3 }
        #expect(probe.append(draft("d", "6")).id?.offset == Offset(6))
        #expect(probe.read(["a"], .after(Offset(1))).gap == .trimmed)
        #expect(probe.read(["a"], .newest).newest == Offset(2))
        #expect(probe.read(["a"], .after(Offset(5))).gap == nil)
        probe.stop()
    }

    @Test func `channels that visitors make took all places of those that the ini file names`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), channelLimit: 3, retention: keep(count: 1))
        func visit(_ number: Int) -> AppendOutcome {
            probe.append(draft("~presence/\(number)", "x"), takesLastPlaces: false)
        }
        for number in 1...48 { #expect(visit(number).id != nil) }
        #expect(visit(49) == .noMoreChannels)
        for number in 1...16 {
            #expect(probe.append(draft("~presence/named/\(number)", "x")).id != nil)
        }
        #expect(visit(48).id != nil)
        probe.stop()
    }

    @Test func `channels of presence took the places of all others`() {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory), channelLimit: 3, retention: keep(count: 1))
        for number in 1...64 {
            #expect(probe.append(draft("~presence/\(number)", "x")).id != nil)
        }
        #expect(probe.append(draft("~presence/65", "x")) == .noMoreChannels)
        for name in ["a", "b", "c"] { #expect(probe.append(draft(name, "x")).id != nil) }
        #expect(probe.append(draft("d", "x")) == .noMoreChannels)
        #expect(probe.append(draft("~presence/65", "x")) == .noMoreChannels)
        probe.stop()
    }
}
