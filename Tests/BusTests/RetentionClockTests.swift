import Bus
import Testing

@Suite struct RetentionClockTests {
    /// Each step: the wall clock and the boot-time clock, and what the retention clock shows then.
    @Test(arguments: [
        // Even running.
        [(1000, 10, 1000), (2000, 1010, 2000), (3000, 2010, 3000)],
        // Slewing is followed.
        [(1000, 0, 1000), (2500, 1000, 2500), (3000, 2000, 3000)],
        // Backwards: adopted.
        [(100_000, 0, 100_000), (50_000, 1000, 50_000), (51_000, 2000, 51_000)],
        // Forwards by 100 s: twice the pace until it has caught up.
        [
            (0, 0, 0), (101_000, 1000, 2000), (150_000, 50_000, 100_000),
            (199_000, 99_000, 198_000),
            (200_000, 100_000, 200_000), (210_000, 110_000, 210_000),
        ],
        // Suspended for an hour: the boot-time clock says so.
        [(0, 0, 0), (3_600_000, 3_600_000, 3_600_000)],
        // Nothing elapsed: a jump alone moves nothing.
        [(0, 0, 0), (1_000_000, 0, 0), (1_000_000, 1, 2)],
    ])
    func `a jump of the wall clock never makes time run more than twice as fast`(
        steps: [(Int64, Int64, Int64)]
    ) {
        var clock = RetentionClock(wallMilliseconds: steps[0].0, bootMilliseconds: steps[0].1)
        for (wall, boot, shown) in steps {
            let ahead = clock.advance(wallMilliseconds: wall, bootMilliseconds: boot)
            #expect(clock.milliseconds == shown)
            #expect(ahead == (shown < wall))
        }
    }

    @Test func `a jump between two runs of the process counts as one`() {
        let clock = RetentionClock(
            wallMilliseconds: 1_000_000,
            bootMilliseconds: 5000,
            last: (10_000, 2000)
        )
        #expect(clock.milliseconds == 16_000)
        let sameBoot = RetentionClock(
            wallMilliseconds: 13_000,
            bootMilliseconds: 5000,
            last: (10_000, 2000)
        )
        #expect(sameBoot.milliseconds == 13_000)
    }
}
