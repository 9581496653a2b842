import Core
import Harness
import Reactor
import Testing

@testable import Responder

@Suite struct `This process between two others` {
    private var succession: Succession

    init() throws {
        succession = Succession(
            HandOverService(epoll: try Epoll(), logger: RecordedLog().logger),
            takeOver: nil,
            passed: PassedSockets(),
            descriptorLimit: 100,
            successor: { nil }
        )
    }

    @Test
    mutating func `what settles is looked at in each turn, and nothing is due at other times`() {
        #expect(succession.handOverAlarm == .max && succession.takeOverAlarm == .max)
        succession.handingOver = .settling(until: 3000)
        #expect(succession.isPaused && succession.handOverAlarm < 0)
        succession.looksAtHandOver(now: 70)
        #expect(succession.handOverAlarm == 71)
        succession.handingOver = .no
        #expect(succession.handOverAlarm == .max && !succession.hasHandedOver)
        succession.handingOver = .done(process: 1)
        #expect(succession.hasHandedOver && succession.isPaused)
    }

    @Test mutating func `words about subscribers that come too early are kept, the newest of many`()
    {
        func word(_ time: Int) -> SubscriberWord {
            SubscriberWord(kind: .left, time: Int64(time), subscriber: 1)
        }
        succession.keep((0..<59_999).map { word($0) })
        succession.keep([word(1_000_001), word(1_000_002)])
        let words = succession.takeWords()
        #expect(words.count == 60_000 && words.first == word(1) && words.last == word(1_000_002))
        #expect(succession.takeWords() == [])
    }
}
