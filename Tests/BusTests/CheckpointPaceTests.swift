import Testing

@testable import Bus

@Suite struct CheckpointPaceTests {
    private let fresh = CheckpointPace(passivePages: 100, mostPages: 10_000)

    @Test func `an attempt comes after some pages, and after a success not before as many more`() {
        var pace = fresh
        #expect(!pace.isDue(pages: 99, now: 0))
        #expect(pace.isDue(pages: 100, now: 0))
        pace.wasIncomplete(pages: 150)
        #expect(!pace.isDue(pages: 174, now: 0))
        #expect(pace.isDue(pages: 175, now: 0))
        pace.succeeded()
        #expect(pace == fresh)
    }

    @Test func `waiting for a reader in vain slowed down every publisher`() {
        var pace = fresh
        var waited: Int64 = 0
        var waits = 0
        // A publish each millisecond for ten minutes, while a program reads all the time.
        for now in Int64(0)..<600_000 where pace.isDue(pages: 5000, now: now) {
            let patience = pace.patience(now: now)
            waited += Int64(patience)
            waits += patience > 0 ? 1 : 0
            pace.wasBlocked(now: now, waited: patience > 0)
        }
        #expect(pace.blockedSince == 0)
        #expect(waits > 10)
        #expect(waited * 100 < 600_000)
    }

    @Test func `a reader that ends is noticed within a moment`() {
        var pace = fresh
        for now in Int64(0)..<200_000 where pace.isDue(pages: 5000, now: now) {
            pace.wasBlocked(now: now, waited: pace.patience(now: now) > 0)
        }
        let isNoticed = (Int64(200_000)...200_100).contains { pace.isDue(pages: 5000, now: $0) }
        #expect(isNoticed)
    }
}
