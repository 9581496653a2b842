import Channels
import Configuration
import FastCGI
import Liveness
import Testing

@testable import Core
@testable import Endpoint

@Suite struct CursorStartTests {
    private let epochs = EpochHistory([
        .init(epoch: epoch("old1"), start: Offset(1), told: nil),
        .init(epoch: epoch("k7f2"), start: Offset(11), told: Offset(10)),
    ])

    private func start(_ cursor: String, isFinal: Bool) -> CursorStart {
        CursorStart(Cursor(cursor)!, in: epochs, head: Offset(20), isFinal: isFinal)
    }

    @Test func `a valid cursor goes on behind it`() {
        #expect(start("k7f2-c", isFinal: false) == .after(Offset(12), gap: nil))
        #expect(start("old1-5", isFinal: false) == .after(Offset(5), gap: nil))
    }

    @Test func `one that may be of another process is looked up, and a gap if that was in vain`() {
        #expect(start("k7f2-15", isFinal: false) == .lookAhead)
        #expect(start("k7f2-15", isFinal: true) == .after(Offset(20), gap: .future))
        #expect(start("none-1", isFinal: false) == .lookAhead)
        #expect(start("none-1", isFinal: true) == .after(Offset(0), gap: .restarted))
    }

    @Test func `one of an epoch that is known is not looked up: later ones change nothing`() {
        #expect(start("old1-f", isFinal: false) == .after(Offset(10), gap: .restarted))
    }
}

@Suite struct WaitingTests {
    private let connection = ConnectionID(index: 3, generation: 1)

    private func address(_ id: UInt16) -> RequestAddress {
        RequestAddress(connection: connection, id: RequestID(id)!, keepConnection: true)
    }

    @Test func `an entry is taken once`() {
        var waiting = Waiting()
        let ticket = waiting.open(.lines, for: .pipe(1), nil, now: 0)
        #expect(waiting.take(ticket)?.recipient == .pipe(1))
        #expect(waiting.take(ticket) == nil)
        #expect(waiting.isEmpty)
    }

    @Test func `a request is found by its id, as long as it waits`() {
        var waiting = Waiting()
        let ticket = waiting.open(.lines, for: .request(address(7)), .reading, now: 0)
        #expect(waiting.ticket(of: RequestID(7)!, on: connection) == ticket)
        #expect(waiting.ticket(of: RequestID(8)!, on: connection) == nil)
        let other = ConnectionID(index: 3, generation: 2)
        #expect(waiting.ticket(of: RequestID(7)!, on: other) == nil)
        _ = waiting.take(ticket)
        #expect(waiting.ticket(of: RequestID(7)!, on: connection) == nil)
        #expect(waiting.isEmpty && waiting.count == 0)
    }

    @Test func `deadlines are named in their order, each once, and not of what was settled`() {
        var waiting = Waiting()
        let slow = waiting.open(.lines, for: .request(address(1)), .replay, now: 0)
        let fast = waiting.open(.lines, for: .request(address(2)), .survey, now: 0)
        let settled = waiting.open(.lines, for: .request(address(3)), .reading, now: 0)
        #expect(waiting.nextDeadline == 300)
        #expect(waiting.nextExpired(now: 299) == nil)
        #expect(waiting.nextExpired(now: 300) == fast)
        #expect(waiting.nextExpired(now: 300) == nil)
        #expect(waiting.nextDeadline == 10_000)
        _ = waiting.take(settled)
        #expect(waiting.nextDeadline == 30_000)
        #expect(waiting.nextExpired(now: 30_000) == slow)
        #expect(waiting.nextDeadline == .max)
    }

    @Test func `the charge of a publication stays until the log has answered`() {
        var waiting = Waiting()
        let publication = Publication(dropping: [channel("a")], publisher: "x")
        func hasRoom() -> Bool { waiting.hasRoom(for: publication, messages: 1, bytes: 100) }
        #expect(hasRoom())
        let charge = Waiting.Charge(publication)
        let ticket = waiting.open(
            .lines,
            for: .request(address(1)),
            .publication,
            charge: charge,
            now: 0
        )
        #expect(!hasRoom())
        #expect(waiting.take(ticket) != nil)
        #expect(!hasRoom() && waiting.count == 0 && !waiting.isEmpty)
        #expect(waiting.takeAppended(ticket) == nil)
        #expect(hasRoom() && waiting.isEmpty)
    }

    @Test func `the reader has sixteen questions at a time, the oldest first`() {
        var waiting = Waiting()
        for number in 1...20 { waiting.queue(.message(ticket: UInt64(number), .sample), .local) }
        var asked: [UInt64] = []
        while let (next, kind) = waiting.nextQuestion() {
            waiting.readBegan(Ticket(next.ticket), kind)
            asked.append(next.ticket)
        }
        #expect(asked == Array(1...16))
        waiting.readEnded(Ticket(1))
        #expect(waiting.nextQuestion()?.0.ticket == 17)
    }

    @Test func `questions that wait for other machines took the places of those that need not`() {
        var waiting = Waiting()
        func ask(_ ticket: UInt64, _ kind: Waiting.ReadKind) -> Bool {
            waiting.queue(.message(ticket: ticket, .sample), kind)
            guard let (next, kind) = waiting.nextQuestion() else { return false }
            waiting.readBegan(Ticket(next.ticket), kind)
            return next.ticket == ticket
        }
        for ticket in 1...100 { #expect(ask(UInt64(ticket), .lookAhead)) }
        for ticket in 101...116 { #expect(ask(UInt64(ticket), .ahead)) }
        #expect(!ask(117, .ahead))
        #expect(ask(118, .local))
        // Each gives back its own place.
        waiting.readEnded(Ticket(118))
        #expect(waiting.nextQuestion() == nil)
        waiting.readEnded(Ticket(101))
        #expect(waiting.nextQuestion()?.0.ticket == 117)
    }
}

extension Cursor {
    fileprivate static let sample = Cursor("k7f2-1")!
}

@Suite struct HoldsTests {
    private let interface = HTTPInterface(settings: settingsOfTests)

    private func hold(_ index: Int32, on name: String = "news", subscriber: UInt64? = nil)
        -> Holds.Hold
    {
        var origin = RequestOrigin()
        origin.subscriber = subscriber
        origin.address = 9
        origin.arrivedAt = Int64(index)
        return Holds.Hold(
            address: RequestAddress(
                connection: ConnectionID(index: index, generation: 0),
                id: .first,
                keepConnection: true
            ),
            kind: .stream,
            frontEnd: 0,
            interest: .stream(StreamSubscription(channels: [channel(name)], form: .ndjson)),
            origin: origin,
            deadline: 1000,
            probe: 500
        )
    }

    @Test func `one door in makes it found in every way, one door out in none`() {
        var holds = Holds(now: 0)
        var newest: Holds.Slot = -1
        let slot = holds.insert(hold(4, subscriber: 77), boundsAddresses: true, newest: &newest)
        #expect(newest == slot && holds.count == 1 && holds.oldest == slot)
        #expect(holds.first(ofInterest: holds[slot].interest) == slot)
        #expect(holds.slots(ofSubscriber: 77, before: 5) == [slot])
        #expect(holds.slots(ofSubscriber: 77, before: 4).isEmpty)
        #expect(holds.oldest(ofAddress: 9) == slot)
        #expect(holds.holders(of: channel("news")) == 1)
        #expect(holds.nextDue(now: 0) <= 600)
        let (held, attendance) = holds.remove(slot, newest: &newest)
        #expect(held.connection == 4 && attendance == nil)
        #expect(newest == -1 && holds.isEmpty && holds.nextDue(now: 0) == .max)
        #expect(holds.oldest(ofAddress: 9) == nil && holds.count(ofSubscriber: 77) == 0)
    }

    @Test func `all of one interest are gone through, also while they are taken out`() {
        var holds = Holds(now: 0)
        var newest = [Holds.Slot](repeating: -1, count: 10)
        for index in 0..<10 {
            _ = holds.insert(hold(Int32(index)), boundsAddresses: false, newest: &newest[index])
        }
        let interest = holds[newest[0]].interest
        var seen: Set<Int32> = []
        var next = holds.first(ofInterest: interest)
        while let slot = next {
            next = holds.next(ofInterest: slot)
            let index = Int(holds[slot].connection)
            seen.insert(holds.remove(slot, newest: &newest[index]).0.connection)
        }
        #expect(seen.count == 10 && holds.isEmpty)
    }

    @Test func `what is due is taken out of the wheel, and stays held`() {
        var holds = Holds(now: 0)
        var newest: Holds.Slot = -1
        let slot = holds.insert(hold(1), boundsAddresses: false, newest: &newest)
        #expect(holds.takeProbed(now: 700) == [slot] && holds.takeProbed(now: 800).isEmpty)
        holds.probe(slot, at: 2000)
        #expect(holds.takeExpired(now: 1200) == [slot] && holds.count == 1)
        #expect(holds.nextProbe(of: slot) != nil && holds.deadline(of: slot) == nil)
    }

    @Test func `when messages went to streams is known for each interest apart`() {
        var holds = Holds(now: 0)
        for interest in 0..<4 as Range<Int32> { #expect(holds.messagesAt(interest) < -1 << 60) }
        holds.noteMessages(to: 2, now: 500)
        holds.noteMessages(to: 0, now: 700)
        holds.noteMessages(to: 2, now: 900)
        #expect(holds.messagesAt(2) == 900 && holds.messagesAt(0) == 700)
        #expect(holds.messagesAt(1) < -1 << 60 && holds.messagesAt(3) < -1 << 60)
    }
}
