import Bus
import Channels
import Core
import Glibc
import Harness
import Reactor
import Testing

@testable import Responder

@Suite struct `Messages between the processes of a bus` {
    private let directory: TestDirectory
    private let log = RecordedLog()
    private let settings: BusSettings
    private let one: SiblingService
    private let other: SiblingService

    init() throws {
        directory = try TestDirectory()
        var settings = BusSettings()
        settings.directory = directory.path
        self.settings = settings
        one = SiblingService(epoll: try Epoll(), logger: log.logger)
        other = SiblingService(epoll: try Epoll(), logger: log.logger)
    }

    private func word(_ number: Int) -> SubscriberWord {
        SubscriberWord(kind: .cameAgain, time: Int64(number), subscriber: 7)
    }

    /// All words that have come to one.
    private func words(_ service: SiblingService) -> [SubscriberWord] {
        var all: [SubscriberWord] = []
        while let received = service.next() {
            if case .message(.words(let words), _) = received { all += words }
        }
        return all
    }

    private func meet() {
        one.open(settings, now: 0)
        other.open(settings, now: 0)
        #expect(one.turn(now: 0) && other.turn(now: 0))
        _ = words(one)
        _ = words(other)
    }

    @Test func `nothing is due before the bus directory is there`() {
        #expect(one.alarm == .max && one.descriptor == -1 && !one.hasOthers)
        #expect(!one.turn(now: 1) && one.ask(.question(1)) == 0 && one.next() == nil)
    }

    @Test func `they find each other, and a question reaches all the others`() {
        one.open(settings, now: 5)
        #expect(one.alarm == 5)
        #expect(one.turn(now: 5) && !one.hasOthers && one.alarm == 10_005)
        other.open(settings, now: 6)
        #expect(other.turn(now: 6) && other.hasOthers)
        guard case .message(.question(0, _), let sender)? = one.next() else {
            return void("one was not asked")
        }
        // It has been heard of before the next look.
        #expect(one.hasOthers)
        one.answer(.snapshot(0, []), to: sender)
        guard case .message(.snapshot(0, _), _)? = other.next() else {
            return void("the other was not answered")
        }
        #expect(one.ask(.question(3)) == 1)
    }

    private func void(_ why: Comment) { Issue.record(why) }

    @Test func `a word goes out in the turn in which it was said`() {
        meet()
        #expect(one.alarm == 10_000)
        one.post(word(1))
        one.post(word(2))
        #expect(one.alarm == .min)
        #expect(!one.turn(now: 10))
        #expect(one.alarm == 10_000)
        #expect(words(other) == [word(1), word(2)] && words(one) == [])
    }

    @Test func `what a full queue does not take comes later, once and in order`() {
        meet()
        var said = 0
        repeat {
            one.post(word(said))
            said += 1
            _ = one.turn(now: 100)
        } while one.alarm == 10_000 && said < 5000
        // The last one waits for room.
        #expect(one.alarm > 100 && one.alarm < 200)
        one.post(word(said))
        said += 1
        _ = one.turn(now: 101)
        var heard = words(other)
        #expect(heard.count < said)
        _ = one.turn(now: one.alarm)
        heard += words(other)
        let isWhole = heard == (0..<said).map { word($0) }
        #expect(isWhole)
        #expect(one.alarm == 10_000)
    }

    @Test func `one that does not answer is reported once, and when it answers again`() throws {
        meet()
        _ = one.turn(now: 10_000)
        _ = log.take()
        _ = one.turn(now: 20_000)
        let warning = try #require(log.take().first)
        #expect(warning.hasPrefix("warning: process ") && warning.contains("does not answer"))
        _ = one.turn(now: 30_000)
        #expect(log.take() == [])
        _ = other.ask(.question(1))
        _ = words(one)
        #expect(log.take().map { $0.contains("answers again") } == [true])
    }

    @Test func `what no process sends is passed over, and counted`() throws {
        meet()
        let stranger = try Siblings(settings)
        _ = stranger.tell([1, 2, 3])
        guard case .passedOver? = one.next() else { return void("it was taken") }
        #expect(one.passedOver == 1 && one.next() == nil)
    }

    @Test func `another bus directory is another company`() throws {
        meet()
        one.post(word(1))
        var moved = settings
        moved.directory = try directory.makeDirectory("new")
        one.open(moved, now: 50)
        #expect(one.turn(now: 50) && !one.hasOthers && one.alarm == 10_050)
        #expect(words(other) == [])
    }

    @Test func `a socket that cannot be made is tried again, and reported once`() throws {
        let place = try directory.write("", to: "processes")
        one.open(settings, now: 0)
        #expect(one.descriptor == -1 && log.take().count == 1 && one.alarm == 10_000)
        #expect(one.turn(now: 10_000) && one.alarm == 20_000 && log.take() == [])
        unlink(place)
        #expect(one.turn(now: 20_000) && one.descriptor >= 0 && one.alarm == 30_000)
        other.open(settings, now: 20_000)
        #expect(other.turn(now: 20_000) && other.hasOthers)
    }
}
