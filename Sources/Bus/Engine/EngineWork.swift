import Channels
import Engine

/// What the process that applies the site's log asks of its writer.
enum EngineWork: Sendable {
    /// Entries that follow the position.
    case apply([EngineGroup], after: EnginePosition)
    /// The log begins where the engine's begins, unless it is part of the site already.
    case begin(EngineAnchor)
    /// The content of the local log is dropped: it begins anew there.
    case restart(EngineAnchor)
    /// What was applied after this entry is removed: the engine has lost it.
    case rewind(Int64)
    /// The positions that are remembered, and where the log ends.
    case list
    /// Up to where messages of other machines may be missing here.
    case lack

    /// About how much room it takes in the log.
    var bytes: Int {
        guard case .apply(let groups, _) = self else { return 0 }
        return groups.reduce(0) { bytes, group in
            guard case .records(let records) = group.content else { return bytes }
            return records.reduce(bytes) {
                if case .message(let draft) = $1 { $0 + draft.body.count + 256 } else { $0 }
            }
        }
    }
}

/// The outcome of such work.
enum EngineResult: Sendable {
    /// The log is at this position now: the one that the work asked for, or another one.
    case isAt(EnginePosition)
    /// Newest first, and where the log ends.
    case positions([EnginePosition], EngineEnd)
    case lack(Offset)
    /// The entries do not continue the log's offsets, or the log does not remember the entry to go back to.
    case contradiction
    /// The log cannot be used, or has no room.
    case failed
}

/// The end of the log of a site.
struct EngineEnd: Sendable {
    var head: Int64
    var epoch: Epoch
    /// When its newest message was appended, in milliseconds since 1970; nil if it has none.
    var newest: Int64?
}
