import Channels
import Configuration
import Endpoint
import Glibc
import Harness
import Logging
import Reactor
import Testing

@testable import Responder

@Suite struct `Pipes of a service` {
    private let directory: TestDirectory
    private let path: String
    private let pipes: PipeService

    init() throws {
        directory = try TestDirectory()
        path = directory.file("pipe")
        var settings = PipeSettings(path: path)
        settings.channel = try ChannelName("a")
        pipes = try PipeService(
            [settings],
            LimitSettings(),
            epoll: try Epoll(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private func write(_ text: String) throws {
        let writer = open(path, O_WRONLY | O_NONBLOCK)
        try #require(writer >= 0)
        #expect(Glibc.write(writer, text, text.utf8.count) == text.utf8.count)
        close(writer)
    }

    private func next(now: Int64 = 0, leave: (String) -> Void = { _ in }) -> [String]? {
        pipes.next(0, now: now, leave: leave)?.drafts.map {
            String(decoding: $0.body, as: UTF8.self)
        }
    }

    @Test func `lines stay in the pipe until the log has them`() throws {
        try write("one\ntwo\n")
        #expect(pipes.due(now: 0) == [] && next() == nil)
        pipes.start(note: "", now: 0)
        #expect(pipes.due(now: 0) == [0])
        #expect(next()?.count == 2)
        #expect(next() == nil)
        // Another process takes over: they may come twice, and are not lost.
        pipes.stop(now: 1)
        pipes.start(note: "", now: 1)
        #expect(next()?.count == 2)
        #expect(pipes.haveLines && !pipes.areDry)
        pipes.appended(0, .committed(ids: []), isStopping: false, now: 2)
        #expect(!pipes.haveLines && pipes.lines == 2)
        #expect(next() == nil && pipes.areDry)
    }

    @Test func `what the log does not take is offered again later`() throws {
        try write("one\n")
        pipes.start(note: "", now: 0)
        #expect(next()?.count == 1)
        pipes.appended(0, .full, isStopping: false, now: 10)
        #expect(pipes.due(now: 1009) == [] && pipes.alarm == 1010)
        #expect(pipes.due(now: 1010) == [0] && next(now: 1010)?.count == 1)
        pipes.postpone(0, until: 1060)
        #expect(pipes.due(now: 1060) == [0] && next(now: 1060)?.count == 1)
    }

    @Test func `of lines of which the log refuses one, each is offered alone`() throws {
        try write("one\ntwo\n")
        pipes.start(note: "", now: 0)
        #expect(next()?.count == 2)
        pipes.appended(0, .noMoreChannels, isStopping: false, now: 0)
        #expect(next()?.count == 1)
        pipes.appended(0, .noMoreChannels, isStopping: false, now: 0)
        #expect(pipes.refusals == 1)
        #expect(next()?.count == 1)
        pipes.appended(0, .committed(ids: []), isStopping: false, now: 0)
        #expect(pipes.lines == 1 && !pipes.haveLines)
    }

    @Test func `that the rest of a line is passed over is left to the next process`() throws {
        var limits = LimitSettings()
        limits.messageBytes = 10
        pipes.apply(limits)
        pipes.start(note: "", now: 0)
        var notes: [String] = []
        try write(String(repeating: "x", count: 3000))
        #expect(next { notes.append($0) } == nil)
        #expect(notes.count == 1 && notes[0].hasPrefix("skip "))
        #expect(pipes.refusals == 1)
        pipes.stop(now: 0)
        pipes.start(note: notes[0], now: 0)
        try write("rest\ngood\n")
        #expect(next { notes.append($0) }?.count == 1)
        #expect(notes.count == 2 && notes[1] == "")
    }

    @Test func `a pipe that was replaced is used once the old one has no lines`() throws {
        try write("old\n")
        pipes.start(note: "", now: 0)
        let limits = LimitSettings()
        #expect(rename(path, path + ".old") == 0)
        try #require(mkfifo(path, 0o600) == 0)
        pipes.findReplaced(limits, now: 0) { _ in }
        #expect(next()?.count == 1)
        pipes.appended(0, .committed(ids: []), isStopping: false, now: 0)
        pipes.turn(limits, now: 0) { _ in }
        try write("new\n")
        #expect(pipes.due(now: 0) == [0] && next()?.count == 1)
    }
}
