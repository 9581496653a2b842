import Channels
import Configuration
import Endpoint
import Glibc
import Harness
import Testing

@testable import Responder

@Suite struct `The lines of a pipe` {
    private let directory: TestDirectory
    private let path: String
    private let settings: PipeSettings
    private var reader: PipeReader

    init() throws {
        directory = try TestDirectory()
        path = directory.file("pipe")
        var settings = PipeSettings(path: path)
        settings.channel = try ChannelName("a")
        self.settings = settings
        reader = try PipeReader(settings, LimitSettings())
        reader.begin(note: "", now: 0)
    }

    private func write(_ text: String) throws {
        let writer = open(path, O_WRONLY | O_NONBLOCK)
        try #require(writer >= 0)
        #expect(Glibc.write(writer, text, text.utf8.count) == text.utf8.count)
        close(writer)
    }

    private mutating func next(now: Int64 = 0) -> [String]? {
        defer { reader.takeDone() }
        return reader.next(now: now)?.drafts.map { String(decoding: $0.body, as: UTF8.self) }
    }

    private mutating func settle(_ outcome: AppendOutcome, isStopping: Bool = false, now: Int64 = 0)
        -> PipeReader.Settled?
    {
        reader.settle(outcome, isStopping: isStopping, now: now)
    }

    private mutating func notes(now: Int64, isLast: Bool = false) -> [String] {
        reader.takeNotes(now: now, isLast: isLast).map { "\($0.count) \($0.beginning)" }
    }

    @Test mutating func `an outcome that nothing awaits is none`() throws {
        let none = settle(.committed(ids: []))
        #expect(none == nil && reader.isDue(now: 0))
        try write("one\n")
        _ = next()
        // Another process serves the pipes now.
        reader.end()
        let late = settle(.committed(ids: []))
        #expect(late == nil && reader.left.lines == 1)
    }

    @Test mutating func `nothing more is read while the log is asked, and all that it has is gone`()
        throws
    {
        try write("one\ntwo\n")
        let lines = next()
        #expect(lines == ["one", "two"] && !reader.isDry)
        let more = next()
        #expect(more == nil && !reader.isDue(now: .max))
        let settled = settle(.committed(ids: []), now: 7)
        #expect(settled?.committed == 2 && reader.left.lines == 0 && reader.isDue(now: 7))
        let rest = next()
        #expect(rest == nil && reader.isDry)
    }

    @Test mutating func `that the log refuses everything is told once, until it accepts again`()
        throws
    {
        try write("one\n")
        func wait(_ outcome: AppendOutcome, isStopping: Bool = false) -> Bool? {
            _ = next()
            return settle(outcome, isStopping: isStopping, now: 10)?.beginsToWait
        }
        let told = [
            wait(.full), wait(.logBusy), wait(.unavailable), wait(.overQuota(retrySeconds: 1)),
        ]
        #expect(told == [true, false, false, false] && reader.alarm == 1010)
        let soon = wait(.full, isStopping: true)
        #expect(soon == false && reader.alarm == 110)
        _ = wait(.committed(ids: []))
        try write("two\n")
        let again = wait(.full)
        #expect(again == true)
    }

    @Test mutating func `a line that the log refuses for good is passed over, and told`() throws {
        try write("one\n")
        _ = next()
        let settled = settle(.conflict, now: 5)
        #expect(settled?.committed == 0 && settled?.beginsToWait == false)
        #expect(reader.refusedCount == 1 && reader.left.lines == 0)
        let first = notes(now: 5)
        #expect(first == ["1 one\n"])
    }

    @Test mutating func `of many refused lines a note a second tells, and one at the end`() throws {
        for number in 0..<3 {
            try write("line \(number)\n")
            _ = next()
            _ = settle(.conflict, now: Int64(number))
        }
        let first = notes(now: 3)
        #expect(first.count == 1 && first[0].hasPrefix("1 line 0"))
        let none = notes(now: 4)
        let later = notes(now: 1000)
        #expect(none == [] && later.count == 1 && later[0].hasPrefix("2 line 2"))
        try write("line 3\n")
        _ = next(now: 1001)
        _ = settle(.conflict, now: 1001)
        let last = notes(now: 1002, isLast: true)
        #expect(last.count == 1 && reader.refusedCount == 4)
    }

    @Test mutating func `a long line that comes in small pieces is not read for each of them`()
        throws
    {
        try write(String(repeating: "x", count: 5000))
        let incomplete = next()
        #expect(incomplete == nil && reader.alarm == 1000)
        reader.isReady(now: 20)
        #expect(reader.alarm == 30)
        reader.isReady(now: 25)
        #expect(reader.alarm == 30)
    }

    @Test mutating func `a short line is read as soon as more of it comes`() throws {
        try write("x")
        _ = next()
        #expect(reader.isDry)
        reader.isReady(now: 20)
        #expect(reader.alarm == 20 && !reader.isDry)
    }

    @Test mutating func `a pipe that was replaced is told once, and exchanged once it has no line`()
        throws
    {
        try write("old\n")
        let before = reader.findReplaced()
        #expect(!before && reader.isInPlace)
        #expect(rename(path, path + ".old") == 0)
        let found = [reader.findReplaced(), reader.findReplaced()]
        #expect(found == [true, false] && !reader.mayBeExchanged)
        _ = next()
        #expect(!reader.mayBeExchanged)
        _ = settle(.committed(ids: []))
        #expect(reader.mayBeExchanged)
        reader.exchange(for: try PipeReader(settings, LimitSettings()), now: 50)
        #expect(!reader.isReplaced && reader.isInPlace && reader.isDue(now: 50))
        try write("new\n")
        let lines = next(now: 50)
        #expect(lines == ["new"])
    }

    @Test mutating func `a reason not to open the new one is logged once`() {
        let logs = ["a", "a", "b"].map { reader.cannotExchange($0) }
        #expect(logs == [true, false, true])
    }
}
