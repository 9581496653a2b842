internal import CCrypto
package import Channels
internal import Text

/// A place in the engine's log: the number of a group and the chain of hashes up to it. Two machines with the same
/// position have the same history.
package struct EnginePosition: Hashable, Sendable {
    package var seq: Int64
    /// 32 bytes.
    package var chain: [UInt8]

    package init(seq: Int64, chain: [UInt8]) {
        self.seq = seq
        self.chain = chain
    }

    /// Before all groups; `append` gets it from a caller that knows of none.
    package static let none = EnginePosition(seq: 0, chain: [])
}

/// An entry of the engine's log, as committed.
package struct EngineGroup: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        /// A record for each offset from `base` on.
        case records([GroupBody.Record])
        case epoch(EngineEpoch)
        /// Written by a newer release.
        case unknown
    }

    package var position: EnginePosition
    /// Of the entry before.
    package var base: Int64
    package var count: Int
    /// Milliseconds since 1970, by the engine's clock, which never goes back.
    package var milliseconds: Int64
    /// How old it was by that clock when it was read.
    package var ageMilliseconds: Int64
    package var content: Content

    /// The newest offset after this entry.
    package var head: Int64 { base + Int64(count) - 1 }
}

/// An epoch of the site, the same on all machines.
package struct EngineEpoch: Equatable, Sendable {
    package var epoch: Epoch
    package var start: Int64
    /// See `EpochHistory.Stretch.told`.
    package var told: Int64?

    package init(epoch: Epoch, start: Int64, told: Int64?) {
        self.epoch = epoch
        self.start = start
        self.told = told
    }
}

/// Where a machine begins that has nothing of the site's log, or lacks groups that are no longer kept.
package struct EngineAnchor: Equatable, Sendable {
    package var position: EnginePosition
    package var head: Int64
    /// Oldest first, up to the position.
    package var epochs: [EngineEpoch]

    /// Whether a log that ends at this offset in this epoch cannot be part of the log in which the anchor lies, even if
    /// nothing else of that is kept: the names of epochs are kept for ever.
    package func contradicts(_ epoch: Epoch, head end: Int64) -> Bool {
        guard let at = epochs.firstIndex(where: { $0.epoch == epoch }) else { return true }
        return epochs.dropFirst(at + 1).first.map { $0.start <= end } ?? false
    }
}

/// A row of the engine's log, whose chain has not been checked yet.
struct EngineRow {
    var seq: Int64
    var kind: Int32
    var base: Int64
    var count: Int32
    var gid: [UInt8]
    var epoch: Int32
    var at: Int64
    var chain: [UInt8]
    var body: [UInt8]

    /// Whether it is the entry behind this one.
    func follows(_ before: EnginePosition) -> Bool {
        seq == before.seq + 1 && count >= 0 && base > 0
            && chain == expectedChain(after: before.chain)
    }

    /// The `chain` of this entry if it follows an entry with that chain (`sealed` in engine.sql).
    private func expectedChain(after before: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(100 + body.count)
        bytes += before
        bytes.append(bigEndian: kind)
        bytes += gid
        bytes.append(bigEndian: seq)
        bytes.append(bigEndian: base)
        bytes.append(bigEndian: count)
        bytes.append(bigEndian: at)
        bytes.append(bigEndian: epoch)
        bytes += body
        return SHA256.hash(bytes)
    }

    /// - Parameter now: the engine's clock when it was read.
    func group(now: Int64) -> EngineGroup {
        let content: EngineGroup.Content =
            switch kind {
            case 0: .records(GroupBody.records(in: body, count: Int(count)))
            case 1: epochContent
            default: .unknown
            }
        return EngineGroup(
            position: EnginePosition(seq: seq, chain: chain),
            base: base,
            count: Int(count),
            milliseconds: at,
            ageMilliseconds: max(0, now - at),
            content: content
        )
    }

    /// `told` in eight bytes (-1: unknown) and the name.
    private var epochContent: EngineGroup.Content {
        var reader = BinaryReader(body[...])
        guard let told = reader.number(Int64.self),
            let epoch = Epoch(String(decoding: body.dropFirst(8), as: UTF8.self))
        else { return .unknown }
        return .epoch(EngineEpoch(epoch: epoch, start: base, told: told < 0 ? nil : told))
    }
}

extension EngineRow {
    /// From a hint's text (`hint` in engine.sql); nil if the text is no such hint.
    init?(hint text: String) {
        guard let bytes = [UInt8](base64: text) else { return nil }
        var reader = BinaryReader(bytes[...])
        guard let seq = reader.number(Int64.self), let kind = reader.number(Int32.self),
            let base = reader.number(Int64.self), let count = reader.number(Int32.self),
            let at = reader.number(Int64.self), let epoch = reader.number(Int32.self),
            let gid = reader.take(16), let chain = reader.take(32)
        else { return nil }
        (self.seq, self.kind, self.base, self.count) = (seq, kind, base, count)
        (self.at, self.epoch, self.gid, self.chain) = (at, epoch, Array(gid), Array(chain))
        body = Array(reader.rest)
    }
}

enum SHA256 {
    static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        let done = unsafe EVP_Digest(bytes, bytes.count, &out, nil, EVP_sha256(), nil)
        precondition(done == 1, "SHA-256 needs nothing but memory")
        return out
    }
}
