import Channels
import Configuration
import Testing
import Text

@testable import Core
@testable import Endpoint

/// Handing over to another process.
extension World {
    /// Pauses the core until it can be handed over; false if it waits for the log.
    func pause() -> Bool {
        core.pause(at: moment)
        turn()
        turn()
        return core.isSettled
    }

    var isSettled: Bool { core.isSettled }

    func goOn() {
        core.goOn(at: moment)
        turn()
    }

    /// Another process goes on with what this one holds, under the same names of connections. Its log has the same, and
    /// what was `missed` besides.
    ///
    /// - Parameter unsent: bytes that peers have not taken.
    func handOver(
        _ connections: [ConnectionID],
        missed: [Message] = [],
        kept: [Message] = [],
        trims: [TrimMark] = [],
        floor: Int64 = 0,
        unsent: [ConnectionID: Int] = [:],
        _ change: (inout Settings) -> Void = { _ in },
        keepsReads: Bool = false
    ) throws -> World {
        #expect(isSettled)
        var pack = Packer()
        let ours = core.handedCommon!
        pack.add(ours)
        core.handOver(connections, ranks: core.holdRanks, into: &pack)
        let new = World(after: self, head: missed.last?.offset ?? head, change)
        new.tell(.opened(new.state(kept + missed, trims: trims, floor: floor)))
        if !keepsReads { _ = new.takeReads() }
        var unpack = Unpacker(pack.bytes)
        let common = try HandedCommon(from: &unpack)
        let handed = try Core.connections(from: &unpack)
        #expect(unpack.isAtEnd && handed.count == connections.count)
        var (written, read, places) = (Packer(), Packer(), (HandedInterests(), HandedInterests()))
        for (id, connection) in zip(connections, handed) {
            core.handed(id, core.holdRanks).pack(into: &written, &places.0)
            connection.pack(into: &read, &places.1)
        }
        #expect(read.bytes == written.bytes, "what was read is not what was written")
        let hasReached = new.core.hasReached(common)
        #expect(hasReached)
        let named = zip(connections, handed).map {
            (id: $0, connection: $1, unsent: unsent[$0] ?? 0)
        }
        new.core.resume(common, named, at: new.moment)
        new.drain()
        new.turn()
        return new
    }
}
