import Core
import Testing

@testable import FastCGI
@testable import Responder

@Suite struct `Lines that others can cause` {
    private let log = RecordedLog()

    @Test func `what was kept back had no time at which it was written`() {
        var journal = Journal(log.logger)
        #expect(journal.alarm == .max)
        journal.complain(.notWatched, "one", now: 0)
        #expect(log.take() == ["warning: one"])
        journal.complain(.notWatched, "two", now: 1)
        journal.complain(.passedOver, "other", now: 2)
        #expect(log.take() == ["warning: other"])
        #expect(journal.alarm == 60_000)
        journal.turn(unsentLimit: 0, now: 59_999)
        #expect(log.take() == [])
        journal.turn(unsentLimit: 0, now: 60_000)
        #expect(log.take() == ["warning: two"])
        // Until the pauses are over there is something to forget.
        #expect(journal.alarm == 60_002)
        journal.turn(unsentLimit: 0, now: 60_002)
        journal.turn(unsentLimit: 0, now: 120_000)
        #expect(journal.alarm == .max && log.take() == [])
    }

    @Test func `connections that are closed for their bytes are a line in ten seconds`() {
        var journal = Journal(log.logger)
        journal.noteClosed(3, limit: 100, now: 0)
        #expect(log.take().count == 1 && journal.alarm == .max)
        journal.noteClosed(2, limit: 100, now: 1)
        #expect(log.take() == [] && journal.alarm == 10_000)
        journal.turn(unsentLimit: 100, now: 10_000)
        #expect(log.take().count == 1 && journal.alarm == .max)
    }

    @Test func `a peer that breaks the protocol is a line in ten seconds`() {
        var journal = Journal(log.logger)
        let broken = FramingViolation(expected: .version, found: 72, offset: 0)
        for now: Int64 in [0, 5000, 9999] { journal.note(broken, now: now) }
        #expect(log.take().count == 1)
        journal.note(broken, now: 10_000)
        #expect(log.take().count == 1)
    }
}
