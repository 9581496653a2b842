import Bus
import Testing

@Suite struct RetentionClockTests {
    private typealias Moment = RetentionClock.Moment

    private func clock(_ kept: Moment, thisBoot: Bool, wall: Int64, boot: Int64) -> RetentionClock {
        RetentionClock(
            kept: kept,
            isOfThisBoot: thisBoot,
            wallMilliseconds: wall,
            bootMilliseconds: boot
        )
    }

    @Test func `it counts what the boot-time clock counts, from what was kept on`() {
        let kept = Moment(milliseconds: 5000, bootMilliseconds: 200, wallMilliseconds: 5000)
        // Whatever the wall clock was set to meanwhile.
        for wall: Int64 in [0, 5000, 1_000_000_000] {
            let clock = clock(kept, thisBoot: true, wall: wall, boot: 1200)
            #expect(clock.milliseconds(bootMilliseconds: 1200) == 6000)
            #expect(clock.milliseconds(bootMilliseconds: 11_200) == 16_000)
        }
    }

    @Test(arguments: [
        // Off for an hour.
        (3_605_000, 3_605_000),
        // The clock was lost: no time has gone by, as far as anybody knows.
        (0, 5000),
        (4999, 5000),
    ])
    func `across a boot the wall clock tells how much time has gone by, if it did`(
        wall: Int64,
        shown: Int64
    ) {
        let kept = Moment(milliseconds: 5000, bootMilliseconds: 200_000, wallMilliseconds: 5000)
        let clock = clock(kept, thisBoot: false, wall: wall, boot: 70)
        #expect(clock.milliseconds(bootMilliseconds: 70) == shown)
        #expect(clock.milliseconds(bootMilliseconds: 1070) == shown + 1000)
    }

    @Test func `the clock of a new log begins with the wall clock's time`() {
        let kept = Moment(milliseconds: 0, bootMilliseconds: 0, wallMilliseconds: 0)
        let clock = clock(kept, thisBoot: false, wall: 1_700_000_000_000, boot: 70)
        #expect(clock.milliseconds(bootMilliseconds: 80) == 1_700_000_000_010)
    }

    @Test func `a machine that began in 1970 has the same clock when it learns the time`() {
        let kept = Moment(milliseconds: 1000, bootMilliseconds: 900, wallMilliseconds: 1000)
        // Its wall clock was set in that boot, which the log has noted; another boot begins in 1970 again.
        let noted = Moment(
            milliseconds: 61_000,
            bootMilliseconds: 60_900,
            wallMilliseconds: 1_700_000_060_000
        )
        #expect(
            clock(kept, thisBoot: true, wall: 1_700_000_060_000, boot: 60_900)
                .milliseconds(bootMilliseconds: 60_900) == noted.milliseconds
        )
        #expect(
            clock(noted, thisBoot: false, wall: 2000, boot: 1900)
                .milliseconds(bootMilliseconds: 1900) == noted.milliseconds
        )
    }
}
