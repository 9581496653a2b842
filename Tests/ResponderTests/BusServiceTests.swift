import Bus
import Channels
import Configuration
import Endpoint
import Glibc
import Harness
import Reactor
import Testing

@testable import Responder

@Suite struct `What one process of a bus serves` {
    private let directory: TestDirectory
    private let settings: BusSettings
    private let limits = LimitSettings()

    init() throws {
        directory = try TestDirectory()
        settings = try BusSettings(in: directory)
    }

    private func service(isCandidate: Bool = true) throws -> BusService {
        let (epoll, logger) = (try Epoll(), RecordedLog().logger)
        var pipe = PipeSettings(path: directory.file("pipe"))
        pipe.channel = try ChannelName("a")
        let tenure = Tenure(
            settings,
            isCandidate: isCandidate,
            hasPipes: true,
            passed: nil,
            epoll: epoll,
            logger: logger,
            told: { _, _ in }
        )
        let pipes = try PipeService([pipe], limits, epoll: epoll, logger: logger)
        return BusService(tenure, pipes)
    }

    /// Gets the lock, which nobody else wants.
    private func serve(_ service: BusService, now: Int64 = 0) throws {
        #expect(!service.ask(now: now))
        try waitUntil("the lock is there") { service.isLocked }
        service.answered(1, .success(()), isWanted: true, now: now)
        #expect(service.isServing)
    }

    private func write(_ text: String) throws {
        let writer = open(directory.file("pipe"), O_WRONLY | O_NONBLOCK)
        try #require(writer >= 0)
        #expect(Glibc.write(writer, text, text.utf8.count) == text.utf8.count)
        close(writer)
    }

    @Test func `pipes are read with the lock, and left with it`() throws {
        let service = try service()
        try write("one\n")
        #expect(service.hasPipes && service.pipeAlarm == .max && service.next(0, now: 0) == nil)
        try serve(service)
        #expect(service.pipeAlarm <= 0 && service.duePipes(now: 0) == [0])
        #expect(service.next(0, now: 0)?.drafts.count == 1)
        service.end(now: 1)
        #expect(!service.isServing && service.pipeAlarm == .max && service.haveLines)
        // Another process may read it: the answer concerns nobody here.
        service.appended(0, .committed(ids: []), isStopping: false, now: 2)
        #expect(service.lines == 0 && service.haveLines)
    }

    @Test func `pipes of a bus whose directory was replaced are left until there is a new lock`()
        throws
    {
        let service = try service()
        try serve(service)
        #expect(!service.look(limits, isLogOpen: true, now: 0) && service.descriptor >= 0)
        #expect(rename(settings.directory, settings.directory + ".old") == 0)
        try directory.makeDirectory("bus")
        #expect(service.look(limits, isLogOpen: true, now: 2000))
        #expect(service.pipeAlarm == .max && service.descriptor == -1)
    }

    @Test func `the note on a line that is skipped goes with the lock to the next process`() throws
    {
        let first = try service()
        try serve(first)
        try write(String(repeating: "x", count: limits.messageBytes + 2000))
        _ = first.next(0, now: 0)
        first.giveUp(now: 0)
        let second = try service()
        #expect(second.takeIfFree(now: 0) && second.descriptor == -1)
        try write("rest\nnext\n")
        var bodies: [[UInt8]] = []
        for _ in 0..<4 { bodies += second.next(0, now: 0)?.drafts.map(\.body) ?? [] }
        #expect(bodies == [Array("next".utf8)])
    }

    @Test func `one that serves no bus gives what it is handed back to the others`() throws {
        let older = try service()
        try serve(older)
        let lock = try #require(older.handed).lock
        let newer = try service(isCandidate: false)
        newer.adopt(lock: fcntl(lock, F_DUPFD_CLOEXEC, 64), nil, now: 0)
        #expect(!newer.isServing && newer.pipeAlarm == .max)
    }
}
