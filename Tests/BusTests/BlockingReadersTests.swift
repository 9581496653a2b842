import Testing

@testable import Bus

@Suite struct BlockingReadersTests {
    private let one = LockHolder(process: 1)
    private let two = LockHolder(process: 2)

    @Test func `a process that was reading at each attempt of a second is named, once`() {
        var readers = BlockingReaders()
        let found = [0, 500, 999, 1000].map {
            readers.wereReading([one, two], blockedSince: 0, now: $0)
        }
        #expect(found == [[], [], [], [one, two]])
        #expect(!readers.areSought)
        let ended = [readers.unblocked(), readers.unblocked()]
        #expect(ended == [[one, two], []])
        #expect(readers.areSought)
    }

    @Test func `one that read for a moment is not to blame`() {
        var readers = BlockingReaders()
        let found = [([one, two], 0), ([one], 600), ([one, two], 1200)].map {
            readers.wereReading($0, blockedSince: 0, now: $1)
        }
        #expect(found == [[], [], [one]])
    }

    @Test func `what was seen before the log was restarted proves nothing`() {
        var readers = BlockingReaders()
        let found = [([one], 0, 0), ([two], 5000, 5000), ([two], 5000, 6000)].map {
            readers.wereReading($0, blockedSince: $1, now: $2)
        }
        #expect(found == [[], [], [two]])
    }

    @Test func `a reader that had taken over from another one was never named`() {
        var readers = BlockingReaders()
        let found = [([one], 0), ([one, two], 900), ([two], 1000), ([two], 1900), ([two], 2000)]
            .map { readers.wereReading($0, blockedSince: 0, now: $1) }
        #expect(found == [[], [], [], [], [two]])
    }

    @Test func `readers that take turns are sought for as long as that goes on`() {
        var readers = BlockingReaders()
        let found = (0..<40).map {
            readers.wereReading(
                $0.isMultiple(of: 2) ? [one] : [two],
                blockedSince: 0,
                now: $0 * 100
            )
        }
        #expect(found == Array(repeating: [], count: 40))
        #expect(readers.areSought)
    }
}
