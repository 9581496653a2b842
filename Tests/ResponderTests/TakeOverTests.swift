import Channels
import FastCGI
import Glibc
import System
import Testing
import Text

@testable import Core
@testable import Responder

@Suite struct `What the newer process does with what it hears` {
    private let older: MessageChannel
    private let source: TakeOver
    private static let listen = "/run/web.sock"

    init() throws {
        let (ours, theirs) = try MessageChannel.pair()
        older = try #require(MessageChannel(ours))
        source = TakeOver(try #require(MessageChannel(theirs)))
        guard case .hello(HandOverMessage.formats, _)? = said() else {
            throw UnpackError("it has not greeted")
        }
    }

    /// What it has said to the older process.
    private func said() -> HandOverMessage? {
        guard case .message(let bytes, _) = older.receive() else { return nil }
        return try? HandOverMessage(bytes)
    }

    private func hear(
        _ message: HandOverMessage,
        _ descriptors: [Int32] = [],
        room: Int = 100
    ) -> TakeOver.Step {
        _ = older.send(message.bytes, descriptors: descriptors)
        return source.hear(listen: Self.listen, limits: FramingLimits(), room: room)
    }

    private func welcome(
        format: Int = HandOverMessage.format,
        listen: String = listen,
        connections: Int = 3
    ) -> HandOverMessage {
        .welcome(format: format, release: "9.9", listen: listen, connections: connections)
    }

    /// A file in memory, as the older process sends what has any size.
    private func send(_ message: HandOverMessage, _ content: [UInt8], _ others: [Int32] = []) throws
        -> TakeOver.Step
    {
        let file = try OwnedDescriptor.inMemory("test", content)
        return hear(message, [file.number] + others)
    }

    private func common(servesBus: Bool = false) -> [UInt8] {
        let core = HandedCommon(
            position: Cursor("k7f2-c")!,
            lastTimestamp: 0,
            frontEnds: [],
            graces: []
        )
        var state = HandedCommonState(history: FigureHistory(now: 0).handed, core: core)
        state.servesBus = servesBus
        var pack = Packer()
        pack.add(state)
        return pack.bytes
    }

    private func isGivenUp(_ step: TakeOver.Step, _ why: String) -> Bool {
        if case .giveUp(let sentence) = step { sentence.contains(why) } else { false }
    }

    // MARK: Beginning

    @Test func `it says that it is able once the older process has welcomed it, and once`() {
        #expect(!source.able() && !source.isAwaited)
        #expect(hear(welcome()) == .wait && source.isAwaited)
        #expect(source.able() && said() == .able)
        #expect(!source.able() && said() == nil && !source.isAwaited)
    }

    @Test func `it starts alone if it does not understand the older one's format`() {
        #expect(hear(welcome(format: 99)) == .startAlone)
        guard case .endPolitely(let why)? = said() else {
            Issue.record("the older one is not told")
            return
        }
        #expect(why.contains("format 99"))
        #expect(source.waitsForEnd && source.alarm(after: 70) == 80)
    }

    @Test func `it does not take over another address, which a restart must change`() {
        let step = hear(welcome(listen: "/run/other.sock"))
        #expect(isGivenUp(step, "listens on /run/other.sock"))
        guard case .unable? = said() else {
            Issue.record("the older one is not told")
            return
        }
    }

    @Test func `it needs room for all connections`() {
        #expect(isGivenUp(hear(welcome(connections: 100), room: 100), "100 connections"))
    }

    @Test func `there is room for one less`() {
        #expect(hear(welcome(connections: 99), room: 100) == .wait)
    }

    // MARK: Receiving

    @Test func `everything arrives, and it acts when it is its turn`() throws {
        _ = hear(welcome())
        _ = source.able()
        #expect(try send(.common, common()) == .wait && source.common != nil)
        #expect(hear(.whole(connections: 0)) == .whole)
        source.ready()
        #expect(said() == .able && said() == .ready)
        #expect(hear(.yours) == .act && said() == .mine)
        #expect(
            source.takeWeb() == nil && source.takeBus() == nil && source.takeConnections().isEmpty
        )
    }

    @Test func `the lock of the bus arrives with the rest, and is taken once`() throws {
        _ = hear(welcome())
        _ = source.able()
        let lock = try OwnedDescriptor.inMemory("lock")
        #expect(try send(.common, common(servesBus: true), [lock.number]) == .wait)
        let taken = try #require(source.takeBus())
        #expect(taken.listener == nil && fcntl(taken.lock, F_GETFD) >= 0)
        close(taken.lock)
        #expect(source.takeBus() == nil)
    }

    @Test func `a descriptor that is missing is noticed`() throws {
        _ = hear(welcome())
        _ = source.able()
        let step = try send(.common, common(servesBus: true))
        #expect(isGivenUp(step, "a descriptor is missing"))
    }

    @Test func `connections that are missing are noticed`() throws {
        _ = hear(welcome())
        _ = source.able()
        _ = try send(.common, common())
        #expect(isGivenUp(hear(.whole(connections: 1)), "something is missing"))
    }

    @Test func `a batch has as many descriptors as connections`() throws {
        _ = hear(welcome())
        _ = source.able()
        _ = try send(.common, common())
        let step = try send(.batch(connections: 2), [], [older.descriptor])
        #expect(isGivenUp(step, "connections are missing"))
        #expect(source.takeConnections().isEmpty)
    }

    @Test(arguments: [
        HandOverMessage.yours, .whole(connections: 0), .common, .batch(connections: 0), .able,
        .ready, .mine,
    ])
    func `what comes out of turn ends the taking over, and the older one is told`(
        message: HandOverMessage
    ) {
        _ = hear(welcome())
        #expect(isGivenUp(hear(message), "cannot read what it hands over"))
        guard case .unable? = said() else {
            Issue.record("the older one is not told")
            return
        }
    }

    @Test func `the older one refuses, or keeps everything`() {
        #expect(hear(.refused("no")) == .giveUp("no"))
        #expect(isGivenUp(hear(.keeps("late")), "continues: late"))
    }

    // MARK: Time

    @Test func `an older process that does not answer keeps everything`() {
        #expect(source.turn(now: source.deadline - 1) == .wait)
        #expect(isGivenUp(source.turn(now: source.deadline), "does not answer"))
        _ = hear(welcome())
        // It has all the time it wants from here: the log may be long in opening.
        #expect(source.deadline == .max)
        _ = source.able()
        #expect(source.deadline < .max)
    }

    @Test func `one that has hung up and goes on is not replaced`() throws {
        let (ours, theirs) = try MessageChannel.pair()
        let source = TakeOver(try #require(MessageChannel(theirs)))
        close(ours)
        #expect(source.hear(listen: nil, limits: FramingLimits(), room: 1) == .wait)
        #expect(source.hasLeft && source.turn(now: 0) == .wait && source.alarm(after: 70) == 80)
        let step = source.turn(now: MonotonicClock.milliseconds() + 2000)
        #expect(isGivenUp(step, "no longer answers"))
    }

    @Test(arguments: [false, true])
    func `after the end of the older one, it acts on what has arrived, or starts alone`(
        hasArrived: Bool
    ) throws {
        let (ours, theirs) = try MessageChannel.pair()
        // A process that has ended: none has this number.
        let source = TakeOver(try #require(MessageChannel(theirs, child: Int32.max)))
        if hasArrived {
            let older = try #require(MessageChannel(ours))
            _ = older.send(welcome().bytes)
            _ = source.hear(listen: nil, limits: FramingLimits(), room: 10)
            _ = source.able()
            let file = try OwnedDescriptor.inMemory("test", common())
            _ = older.send(HandOverMessage.common.bytes, descriptors: [file.number])
            _ = source.hear(listen: nil, limits: FramingLimits(), room: 10)
        } else {
            close(ours)
        }
        #expect(source.hear(listen: nil, limits: FramingLimits(), room: 10) == .wait)
        #expect(source.turn(now: 0) == (hasArrived ? .act : .startAlone))
    }
}
