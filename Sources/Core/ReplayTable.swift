internal import Endpoint
internal import Liveness

/// Streams that are not live: by connection, and for each owner of a bound in order of arrival.
struct ReplayTable {
    /// In order of arrival, so that one is found by its number.
    private struct Line {
        var replays: [Replay] = []

        mutating func remove(_ replay: Replay) {
            var (low, high) = (0, replays.count)
            while low < high {
                let middle = (low + high) / 2
                if replays[middle].number < replay.number {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            if low < replays.count, replays[low] === replay { replays.remove(at: low) }
        }
    }

    private var everybody = Line()
    private var byConnection: [Int32: Line] = [:]
    private var bySubscriber: [UInt64: Line] = [:]
    private var byAddress: [UInt64: Line] = [:]
    private var lastNumber: UInt64 = 0

    var count: Int { everybody.replays.count }
    var isEmpty: Bool {
        everybody.replays.isEmpty && byConnection.isEmpty && bySubscriber.isEmpty
            && byAddress.isEmpty
    }
    var all: [Replay] { everybody.replays }
    var oldest: Replay? { everybody.replays.first }

    func of(_ connection: ConnectionID) -> [Replay] {
        byConnection[connection.index]?.replays ?? []
    }

    func contains(_ replay: Replay) -> Bool {
        of(replay.connection).contains { $0 === replay }
    }

    func of(subscriber: UInt64) -> [Replay] { bySubscriber[subscriber]?.replays ?? [] }

    func count(ofAddress address: UInt64) -> Int { byAddress[address]?.replays.count ?? 0 }

    func oldest(ofAddress address: UInt64) -> Replay? { byAddress[address]?.replays.first }

    mutating func add(_ replay: Replay) {
        lastNumber += 1
        replay.enlisted(as: lastNumber)
        everybody.replays.append(replay)
        byConnection[replay.connection.index, default: Line()].replays.append(replay)
        if let subscriber = replay.web?.origin.subscriber {
            bySubscriber[subscriber, default: Line()].replays.append(replay)
        }
        if let address = replay.web?.origin.address {
            byAddress[address, default: Line()].replays.append(replay)
        }
    }

    /// - Returns: whether it was there.
    @discardableResult
    mutating func remove(_ replay: Replay) -> Bool {
        guard contains(replay) else { return false }
        everybody.remove(replay)
        Self.remove(replay, from: &byConnection, replay.connection.index)
        if let subscriber = replay.web?.origin.subscriber {
            Self.remove(replay, from: &bySubscriber, subscriber)
        }
        if let address = replay.web?.origin.address {
            Self.remove(replay, from: &byAddress, address)
        }
        return true
    }

    private static func remove<Key>(_ replay: Replay, from lines: inout [Key: Line], _ key: Key) {
        lines[key]?.remove(replay)
        if lines[key]?.replays.isEmpty == true { lines[key] = nil }
    }
}
