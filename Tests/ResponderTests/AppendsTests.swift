import Bus
import Channels
import Core
import Harness
import Synchronization
import System
import Testing

@testable import Responder

@Suite struct `The appends of a turn` {
    /// The outcomes that the log has told, in their order.
    private final class Told: Sendable {
        private let tickets = Mutex<[UInt64]>([])

        func hear(_ events: [LogEvent]) {
            tickets.withLock { tickets in
                for case .appended(let ticket, .committed) in events { tickets.append(ticket) }
            }
        }

        var all: [UInt64] { tickets.withLock { $0 } }
    }

    private let told = Told()
    private let log: Log
    private let directory: TestDirectory
    private var appends = Appends()

    init() throws {
        directory = try TestDirectory()
        let told = told
        log = Log(
            settings: try BusSettings(in: directory),
            channelLimit: 100,
            retention: { _ in Retention() },
            deliver: { told.hear($0) }
        )
    }

    private mutating func add(_ tickets: ClosedRange<UInt64>) throws {
        let news = try ChannelName("news")
        for ticket in tickets {
            let draft = Draft(channel: news, kind: .text, contentType: "text/plain", body: [0x78])
            appends.add(Append(ticket: ticket, drafts: [draft]), to: log)
        }
    }

    /// What the log has got, once it has answered everything.
    private func logged() -> [UInt64] {
        log.start()
        log.stop(patienceMilliseconds: 60_000)
        return told.all
    }

    @Test mutating func `the few of a turn with few events are left to its end, once`() throws {
        appends.begin(events: 8)
        try add(1...8)
        let few = appends.end()
        #expect(few.map(\.ticket) == Array(1...8))
        let none = appends.end()
        #expect(none.isEmpty && logged() == [])
    }

    @Test mutating func `a ninth sends all of them to the log, in their order`() throws {
        appends.begin(events: 1)
        try add(1...10)
        let few = appends.end()
        #expect(few.isEmpty && logged() == Array(1...10))
    }

    @Test mutating func `none is held back in a turn with many events`() throws {
        appends.begin(events: 9)
        try add(1...2)
        let few = appends.end()
        #expect(few.isEmpty && logged() == [1, 2])
    }

    @Test mutating func `none is held back between two turns`() throws {
        appends.begin(events: 1)
        _ = appends.end()
        try add(1...1)
        appends.begin(events: 1)
        let few = appends.end()
        #expect(few.isEmpty && logged() == [1])
    }
}

@Suite struct `The clock of a turn` {
    @Test func `the head that was read for a request holds for the events after it`() throws {
        let directory = try TestDirectory()
        let events = Mailbox<LogEvent>(bell: FutexWord())
        let log = Log(
            settings: try BusSettings(in: directory),
            channelLimit: 100,
            retention: { _ in Retention() },
            deliver: { events.post(contentsOf: $0) }
        )
        defer { log.stop(patienceMilliseconds: 60_000) }
        var clock = TurnClock()
        let before = clock.now
        clock.begin(log)
        #expect(clock.now >= before && clock.moment.milliseconds == clock.now)
        // Not open yet.
        let first = clock.moment(readingHeadOf: log)
        #expect(first.committedHead == nil)
        log.start()
        let news = try ChannelName("news")
        let draft = Draft(channel: news, kind: .text, contentType: "text/plain", body: [0x78])
        log.append(Append(ticket: 1, drafts: [draft]))
        var isAppended = false
        while !isAppended {
            let taken = events.take(waitingMilliseconds: 60_000)
            try #require(!taken.isEmpty)
            for case .appended in taken { isAppended = true }
        }
        #expect(clock.moment.committedHead == nil)
        let second = clock.moment(readingHeadOf: log)
        #expect(second.committedHead == Offset(1) && clock.moment.committedHead == Offset(1))
        #expect(second.nanoseconds >= first.nanoseconds)
    }
}
