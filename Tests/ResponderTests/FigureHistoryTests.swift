import Core
import Harness
import Testing

@testable import Responder

@Suite struct `The figures of the last minutes` {
    private func values(held: Int64 = 0, deliveries: Int64 = 0) -> [Int64] {
        FigureHistory.figures.map { index in
            switch Figure.all[index].path {
            case "held": held
            case "deliveries": deliveries
            default: 0
            }
        }
    }

    private func json(_ all: [[FigureHistory.Slot]], now: Int64) throws -> JSON {
        var bytes: [UInt8] = []
        bytes.append(UInt8(ascii: "{"))
        all.appendHistory(to: &bytes, now: now)
        bytes.append(UInt8(ascii: "}"))
        return try JSON(bytes)["history"]
    }

    private func numbers(_ array: JSON) -> [Double?] { array.array.map(\.number) }

    @Test func `a slot has a gauge's value at its end, and what was counted in it`() throws {
        var history = FigureHistory(now: 12_000)
        #expect(history.dueAt == 15_000)
        history.record(values(held: 3, deliveries: 10), now: 15_001)
        history.record(values(held: 1, deliveries: 25), now: 20_000)
        #expect(history.dueAt == 25_000)
        let shown = try json([history.slots], now: 22_000)
        #expect(shown["slot_seconds"] == 5 && shown["ended_milliseconds_ago"] == 2000)
        #expect(numbers(shown["held"]) == [3, 1])
        #expect(numbers(shown["deliveries"]) == [10, 15])
        #expect(numbers(shown["log"]["messages"]) == [0, 0])
        #expect(numbers(shown["ended"]["deadline"]) == [0, 0])
    }

    @Test func `five minutes are kept, whatever happens`() throws {
        var history = FigureHistory(now: 0)
        for slot in Int64(1)...200 {
            history.record(values(held: slot), now: slot * 5000)
        }
        #expect(history.slots.count == 60)
        let shown = numbers(try json([history.slots], now: 1_000_000)["held"])
        #expect(shown.count == 60 && shown.first == 141 && shown.last == 200)
    }

    @Test func `the processes of a bus are added up, slot by slot`() throws {
        var (one, other) = (FigureHistory(now: 0), FigureHistory(now: 0))
        one.record(values(held: 1, deliveries: 2), now: 5000)
        one.record(values(held: 1, deliveries: 4), now: 10_000)
        one.record(values(held: 1, deliveries: 9), now: 20_000)
        other.record(values(held: 5), now: 10_000)
        // It has not come to the end of the newest one yet, in which it would be missing.
        other.record(values(held: 6, deliveries: 1), now: 15_000)
        let shown = try json([one.slots, other.slots, []], now: 20_000)
        #expect(numbers(shown["held"]) == [1, 6, 6])
        #expect(numbers(shown["deliveries"]) == [2, 2, 1])
        #expect(shown["ended_milliseconds_ago"] == 5000)
    }

    @Test func `a slot in which no process ran is unknown`() throws {
        var history = FigureHistory(now: 0)
        history.record(values(held: 1), now: 5000)
        history.record(values(held: 2), now: 15_000)
        #expect(numbers(try json([history.slots], now: 15_000)["held"]) == [1, nil, 2])
        #expect(try json([[]], now: 0) == .null)
    }

    @Test func `it travels with a snapshot, and one of a wrong size is none`() {
        var history = FigureHistory(now: 0)
        history.record(values(held: 7), now: 5000)
        let one = Snapshot(
            pid: 1,
            uptimeSeconds: 2,
            isReady: true,
            isServing: true,
            values: Figure.all.map { _ in 3 },
            history: history.slots
        )
        #expect(Snapshot(one.encoded) == one)
        #expect(Snapshot(one.encoded + [0, 0, 0, 0, 0, 0, 0, 0]) == nil)
        let slot = one.encoded.suffix((FigureHistory.figures.count + 1) * 8)
        let tooMany = one.encoded + [UInt8]((0..<60).map { _ in slot }.joined())
        #expect(Snapshot(tooMany) == nil)
    }
}
