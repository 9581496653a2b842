import Core
import Harness
import Reactor
import Testing

@testable import Responder

@Suite struct `The older of two processes` {
    private var state: HandOverState

    init() throws {
        state = HandOverState(
            HandOverService(epoll: try Epoll(), logger: RecordedLog().logger),
            newProgram: { nil }
        )
    }

    @Test
    mutating func `what settles is looked at in each turn, and nothing is due at other times`() {
        #expect(state.alarm == .max && !state.isPaused)
        state.pause(until: 3000)
        #expect(state.isPaused && state.settlesUntil == 3000 && state.alarm < 0)
        state.looked(now: 70)
        #expect(state.alarm == 71)
        let reloads = state.resume()
        #expect(!reloads && state.alarm == .max && !state.isPaused && !state.isDone)
    }

    @Test mutating func `a reload while everything is handed over comes afterwards, once`() {
        state.pause(until: 3000)
        state.reloadLater()
        #expect(state.mayHaveOldSettings(now: 1_000_000))
        let (first, second) = (state.resume(), state.resume())
        #expect(first && !second && !state.mayHaveOldSettings(now: 1_000_000))
    }

    @Test mutating func `a process that was long in opening the log may have older settings`() {
        #expect(!state.mayHaveOldSettings(now: 1_000_000))
        state.reloaded(now: 1_000_000)
        #expect(state.mayHaveOldSettings(now: 1_119_999))
        #expect(!state.mayHaveOldSettings(now: 1_120_000))
    }
}

@Suite struct `The newer of two processes` {
    private var state = TakeOverState(nil, passed: PassedSockets(), descriptorLimit: 100)

    @Test mutating func `without an older one, nothing is due and it is nobody's turn`() {
        state.logOpened()
        #expect(state.alarm == .max && !state.isWaiting && !state.reportAble())
        state.advance(.act)
        #expect(!state.isItsTurn)
    }

    @Test mutating func `words about subscribers that come too early are kept, the newest of many`()
    {
        func word(_ time: Int) -> SubscriberWord {
            SubscriberWord(kind: .left, time: Int64(time), subscriber: 1)
        }
        state.keep((0..<59_999).map { word($0) })
        state.keep([word(1_000_001), word(1_000_002)])
        let words = state.takeWords()
        #expect(words.count == 60_000 && words.first == word(1) && words.last == word(1_000_002))
        #expect(state.takeWords() == [])
    }
}
