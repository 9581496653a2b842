import Channels
import FastCGI
import Liveness
import Testing

@testable import Core
@testable import Endpoint

@Suite struct `The times of subscribers' requests` {
    @Test func `none is given twice, and none is before another`() {
        var times = Timestamps()
        let given = [100, 100, 99, 200].map { times.next(at: $0) }
        #expect(given == [100, 101, 102, 200] && times.last == 200)
    }

    @Test func `what another process has given is not given here`() {
        var times = Timestamps()
        times.resume(after: 500)
        #expect(times.next(at: 100) == 501)
        times.resume(after: 300)
        #expect(times.next(at: 100) == 502)
    }
}

@Suite struct `What goes on in the next turn` {
    private func replay(_ index: Int32) -> Replay {
        Replay(
            StreamSubscription(channels: [], form: .ndjson),
            at: .start(.now),
            .lines(ConnectionID(index: index, generation: 0)),
            head: nil
        )
    }

    private func take(_ agenda: inout Agenda) -> [Int32] {
        var taken: [Int32] = []
        while let item = agenda.next() {
            switch item {
            case .connection(let id): taken.append(id.index)
            case .replay(let replay): taken.append(replay.connection.index)
            }
        }
        return taken
    }

    @Test func `it goes on in its order, and before the others what is put back`() {
        var agenda = Agenda()
        agenda.append(.connection(ConnectionID(index: 1, generation: 0)))
        agenda.append(.replay(replay(2)))
        #expect(agenda.count == 2 && !agenda.isEmpty)
        let first = agenda.next()
        agenda.append(.connection(ConnectionID(index: 3, generation: 0)))
        agenda.putBack(first!)
        #expect(take(&agenda) == [1, 2, 3] && agenda.isEmpty)
    }

    @Test func `what rests goes on once, if nothing is handed over`() {
        var agenda = Agenda()
        agenda.rest(replay(1))
        agenda.rest(replay(2))
        #expect(agenda.isEmpty && agenda.next() == nil)
        agenda.goOn()
        #expect(take(&agenda) == [1, 2])
        agenda.goOn()
        #expect(agenda.isEmpty)
    }
}

@Suite struct `The order in which holds came` {
    private func origin(_ subscriber: UInt64?, _ address: UInt64?, at time: Int64 = 0)
        -> RequestOrigin
    {
        var origin = RequestOrigin()
        (origin.subscriber, origin.address, origin.arrivedAt) = (subscriber, address, time)
        return origin
    }

    @Test func `a hold is found by its subscriber and its address until it is taken out`() {
        var arrivals = Arrivals(room: 4)
        arrivals.add(0, origin(7, 9, at: 100), boundsAddresses: true)
        arrivals.add(5, origin(7, 8, at: 200), boundsAddresses: true)
        #expect(arrivals.origin(of: 5).subscriber == 7 && arrivals.origin(of: 5).address == 8)
        #expect(arrivals.time(of: 0) == 100 && arrivals.origin(of: 5).arrivedAt == 200)
        arrivals.remove(0)
        #expect(!arrivals.isEmpty && arrivals.origin(of: 0).subscriber == nil)
        arrivals.remove(5)
        #expect(arrivals.isEmpty)
    }

    @Test func `an address counts only where it is bounded`() {
        var arrivals = Arrivals(room: 4)
        arrivals.add(0, origin(nil, 9), boundsAddresses: false)
        #expect(arrivals.origin(of: 0).address == nil && arrivals.addresses.isEmpty)
    }

    @Test func `a client of the bus socket has a place only among all`() {
        var arrivals = Arrivals(room: 4)
        arrivals.add(0, nil, boundsAddresses: true)
        #expect(!arrivals.all.isEmpty && arrivals.subscribers.isEmpty && arrivals.addresses.isEmpty)
        #expect(arrivals.origin(of: 0).arrivedAt == 0)
    }

    @Test func `a slot that is used again has nothing of the hold before`() {
        var arrivals = Arrivals(room: 4)
        arrivals.add(3, origin(7, 9, at: 100), boundsAddresses: true)
        arrivals.remove(3)
        arrivals.add(3, origin(nil, nil), boundsAddresses: true)
        let found = arrivals.origin(of: 3)
        #expect(found.subscriber == nil && found.address == nil && found.arrivedAt == 0)
    }
}
