import Channels
import Configuration
import FastCGI
import Liveness

@testable import Core
@testable import Endpoint

/// What the core says of itself.
extension World {
    var heldCount: Int { core.heldCount }
    var heldLimit: Int { core.heldLimit }
    var interestCount: Int { core.interestCount }
    var waitingCount: Int { core.waitingCount }
    var memberCount: Int { core.memberCount }
    var nextAlarm: Int64 { core.nextAlarm }
    var isEmpty: Bool { core.isEmpty }
    var isReady: Bool { core.isReady }
    var position: Cursor? { core.position }
    var policy: ProbePolicy { core.policy }
    var counters: CoreCounters { core.counters }

    func standing(of connection: ConnectionID) -> Standing { core.standing(of: connection) }
    func kept(of connection: ConnectionID) -> Kept { core.kept(of: connection) }
    func mayRead(_ connection: ConnectionID) -> Bool { core.mayRead(connection) }

    func mayJudge(_ id: RequestID, on connection: ConnectionID) -> Bool {
        core.mayJudge(id, on: connection)
    }

    func publish(_ publication: Publication, ofPipe pipe: Int) -> Bool {
        defer { drain() }
        return core.publish(publication, ofPipe: pipe, at: moment)
    }

    func giveWay() -> ConnectionID? {
        defer { drain() }
        return core.giveWay(at: moment)
    }

    /// How often each way of ending was counted.
    var endings: [Ending: UInt64] {
        Dictionary(
            uniqueKeysWithValues: Ending.allCases.map { ($0, core.counters[$0]) }
                .filter { $0.1 > 0 }
        )
    }
}
