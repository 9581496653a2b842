import Bus
import Channels
import Glibc
import Harness
import Reactor
import Synchronization
import System
import Testing

@testable import Responder

@Suite struct `Which process serves the bus` {
    /// A process, as far as the lock is concerned.
    private final class Process {
        let tenure: Tenure
        private let inbox: Inbox

        private final class Inbox: Sendable {
            let answers = Mutex<[(attempt: Int, outcome: Tenure.Outcome)]>([])
        }

        init(_ settings: BusSettings, _ log: RecordedLog, hasPipes: Bool = false) throws {
            let inbox = Inbox()
            self.inbox = inbox
            tenure = Tenure(
                settings,
                isCandidate: true,
                hasPipes: hasPipes,
                passed: nil,
                epoll: try Epoll(),
                logger: log.logger,
                told: { attempt, outcome in
                    inbox.answers.withLock { $0.append((attempt, outcome)) }
                }
            )
        }

        /// The next answer of the lock's thread.
        func answer() throws -> (attempt: Int, outcome: Tenure.Outcome) {
            try waitFor("the lock answers") {
                inbox.answers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            }
        }

        /// Waits until this one has the lock.
        func getLock(now: Int64 = 0) throws {
            let (attempt, outcome) = try answer()
            #expect(tenure.answered(attempt, outcome, isWanted: true, now: now))
        }
    }

    private let directory: TestDirectory
    private let log = RecordedLog()
    private let settings: BusSettings

    init() throws {
        directory = try TestDirectory()
        settings = try BusSettings(in: directory)
    }

    private var isSocketThere: Bool { access(settings.socket ?? "", F_OK) == 0 }

    @Test func `the one with the lock makes the socket, and the next one has both when it ends`()
        throws
    {
        let first = try Process(settings, log)
        #expect(first.tenure.alarm == .max && !first.tenure.ask(now: 0))
        try first.getLock(now: 10)
        #expect(first.tenure.isServing && first.tenure.isLocked && first.tenure.alarm == 10)
        #expect(!isSocketThere && first.tenure.descriptor == -1)
        #expect(!first.tenure.turn(isLogOpen: true, now: 10))
        #expect(isSocketThere && first.tenure.descriptor >= 0 && first.tenure.alarm == 2010)
        first.tenure.note = "skip a\n"

        let second = try Process(settings, log)
        #expect(!second.tenure.ask(now: 0) && !second.tenure.isServing)
        #expect(first.tenure.end() && !first.tenure.isServing && !isSocketThere)
        #expect(!first.tenure.end())
        try second.getLock()
        _ = second.tenure.turn(isLogOpen: true, now: 0)
        #expect(isSocketThere && second.tenure.note == "skip a\n")
    }

    @Test func `a socket that was removed is made again at the next look`() throws {
        let process = try Process(settings, log)
        _ = process.tenure.ask(now: 0)
        try process.getLock()
        _ = process.tenure.turn(isLogOpen: true, now: 0)
        unlink(try #require(settings.socket))
        _ = process.tenure.turn(isLogOpen: true, now: 1999)
        #expect(!isSocketThere)
        _ = process.tenure.turn(isLogOpen: true, now: 2000)
        #expect(isSocketThere && log.take().contains { $0.contains("was removed") })
    }

    @Test func `what is in the socket's place is an error that is logged once, and tried again`()
        throws
    {
        try directory.write("mine", to: "bus.sock")
        let process = try Process(settings, log)
        _ = process.tenure.ask(now: 0)
        try process.getLock()
        for now: Int64 in [0, 2000, 4000] { _ = process.tenure.turn(isLogOpen: true, now: now) }
        // The process that served before may be closing its socket still.
        #expect(log.take().map { String($0.prefix(6)) } == ["notice", "error:"])
        unlink(try #require(settings.socket))
        _ = process.tenure.turn(isLogOpen: true, now: 6000)
        #expect(process.tenure.descriptor >= 0)
    }

    @Test func `a process that stops leaves the lock to another`() throws {
        let process = try Process(settings, log)
        _ = process.tenure.ask(now: 0)
        let (attempt, outcome) = try process.answer()
        #expect(!process.tenure.answered(attempt, outcome, isWanted: false, now: 0))
        #expect(!process.tenure.isServing)
        let next = try Process(settings, log)
        _ = next.tenure.ask(now: 0)
        try next.getLock()
    }

    @Test func `an answer about an earlier wait means nothing`() throws {
        let process = try Process(settings, log)
        _ = process.tenure.ask(now: 0)
        let (attempt, outcome) = try process.answer()
        process.tenure.giveUp()
        #expect(process.tenure.takeIfFree() && process.tenure.isServing)
        process.tenure.giveUp()
        #expect(!process.tenure.answered(attempt, outcome, isWanted: true, now: 0))
        #expect(!process.tenure.isServing)
    }

    @Test func `a bus directory in the place of the old one is served anew`() throws {
        let process = try Process(settings, log)
        _ = process.tenure.ask(now: 0)
        try process.getLock()
        _ = process.tenure.turn(isLogOpen: true, now: 0)
        #expect(rename(settings.directory, settings.directory + ".old") == 0)
        try directory.makeDirectory("bus")
        #expect(!process.tenure.isLocked)
        // It serves no more, and waits for the lock of the new one.
        #expect(process.tenure.turn(isLogOpen: true, now: 2000))
        #expect(!process.tenure.isServing && !isSocketThere)
        try process.getLock(now: 2001)
        #expect(process.tenure.isLocked)
    }

    @Test func `one with pipes looks at them also while it waits for the lock`() throws {
        let process = try Process(settings, log, hasPipes: true)
        _ = process.tenure.ask(now: 100)
        #expect(process.tenure.alarm == 2100)
        process.tenure.stopLooking()
        #expect(process.tenure.alarm == .max)
    }

    @Test func `what is handed over is neither removed nor released`() throws {
        let older = try Process(settings, log)
        _ = older.tenure.ask(now: 0)
        try older.getLock()
        _ = older.tenure.turn(isLogOpen: true, now: 0)
        let (listener, lock) = try #require(older.tenure.handed)
        let (value, numbers) = try #require(listener).handed
        #expect(value.path == settings.socket && numbers.count == 1)
        let newer = try Process(settings, log)
        let copy = OwnedDescriptor(fcntl(numbers[0], F_DUPFD_CLOEXEC, 64))
        let socket = Listener(value, socket: copy, lock: nil)
        newer.tenure.adopt(lock: fcntl(lock, F_DUPFD_CLOEXEC, 64), socket, now: 5)
        older.tenure.letGo()
        #expect(!older.tenure.isServing && older.tenure.alarm == .max && isSocketThere)
        #expect(newer.tenure.isServing && newer.tenure.isLocked && newer.tenure.alarm == 5)
        #expect(newer.tenure.descriptor >= 0)
        #expect(ServingLock.isTaken(settings) == true)
    }
}
