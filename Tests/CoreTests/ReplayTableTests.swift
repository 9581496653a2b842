import Channels
import FastCGI
import Liveness
import Testing

@testable import Core
@testable import Endpoint

@Suite struct ReplayTableTests {
    private func replay(_ connection: Int32, address: UInt64?, subscriber: UInt64? = nil) -> Replay
    {
        var origin = RequestOrigin()
        (origin.address, origin.subscriber) = (address, subscriber)
        return Replay(
            StreamSubscription(channels: [], form: .ndjson),
            at: .start(.now),
            .web(
                Requester(
                    address: RequestAddress(
                        connection: ConnectionID(index: connection, generation: 0),
                        id: .first,
                        keepConnection: false
                    ),
                    ordinal: 1
                ),
                Replay.Web(origin: origin, frontEnd: 0, endsAt: 0)
            ),
            head: nil
        )
    }

    @Test func `streams of an address were counted by walking through all of them`() {
        var table = ReplayTable()
        let replays = (0..<30).map {
            replay($0, address: UInt64($0 % 3), subscriber: UInt64($0 % 5))
        }
        for replay in replays { table.add(replay) }
        #expect(table.count == 30 && table.count(ofAddress: 1) == 10)
        #expect(table.oldest === replays[0] && table.oldest(ofAddress: 2) === replays[2])
        // In any order.
        let removed = [2, 0, 29, 14, 1].map { table.remove(replays[$0]) }
        #expect(removed.allSatisfy { $0 })
        let again = table.remove(replays[2])
        #expect(!again)
        #expect(table.count == 25)
        #expect(table.oldest === replays[3] && table.oldest(ofAddress: 2) === replays[5])
        #expect([0, 1, 2].map { table.count(ofAddress: $0) } == [9, 9, 7])
        #expect(
            table.of(subscriber: 4).count == 4
                && table.of(ConnectionID(index: 3, generation: 0)).count == 1
        )
        #expect(table.all.map(\.connection.index) == (3..<29).filter { $0 != 14 })
        for replay in table.all { table.remove(replay) }
        #expect(table.count == 0 && table.oldest == nil && table.count(ofAddress: 0) == 0)
    }
}
