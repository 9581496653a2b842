import Bus
import Channels

/// What a site's machines must have, as plain values: no SQL, no threads.
struct SiteModel {
    /// What takes one offset: a message, or the dropping of a channel.
    struct Entry: Equatable {
        var channel: String
        /// Tells it from all others.
        var text: String
        var topic: String?
        var isDrop = false
    }

    /// Something published by SQL that no group has taken yet.
    struct Pending: Equatable {
        var entry: Entry
        var key: String?
    }

    /// The engine's log as it is now; the first has offset 1.
    var entries: [Entry] = []
    /// The first offset of what was published under a key.
    var keys: [String: Int64] = [:]
    /// What was published by SQL under a key.
    var sqlKeys: [String: Entry] = [:]
    var pending: [Pending] = []

    var head: Int64 { Int64(entries.count) }

    /// The oldest that SQL published become part of the log.
    mutating func takePending(_ limit: Int = .max) {
        for next in pending.prefix(limit) {
            if let key = next.key {
                if let used = sqlKeys[key], used == next.entry { continue }
                if sqlKeys[key] == nil { sqlKeys[key] = next.entry }
            }
            entries.append(next.entry)
        }
        pending.removeFirst(min(limit, pending.count))
    }

    /// A machine's own log.
    struct Machine {
        /// The site's log as far as this machine has applied it.
        var applied: [Entry] = []
        /// Nothing up to here is kept, and every reader that continues from before it is told.
        var floor: Int64 = 0
        var kept: [Int64: Entry] = [:]
        /// What the lost part of a log had replaced or dropped, which a rewind does not bring back.
        var gone: Set<String> = []
        /// The newest dropping of each channel that was ever applied here.
        var drops: [String: Int64] = [:]

        /// Everything was dropped, and the log begins where the engine's begins.
        mutating func restart(_ log: [Entry], at anchor: Int64) {
            self = Machine()
            applied = Array(log.prefix(Int(anchor)))
            floor = anchor
        }

        mutating func apply(_ log: [Entry]) {
            for entry in log.dropFirst(applied.count) {
                applied.append(entry)
                let offset = Int64(applied.count)
                if entry.isDrop {
                    kept = kept.filter { $0.value.channel != entry.channel }
                    drops[entry.channel] = max(drops[entry.channel] ?? 0, offset)
                    continue
                }
                if let topic = entry.topic {
                    kept = kept.filter {
                        $0.value.channel != entry.channel || $0.value.topic != topic
                    }
                }
                kept[offset] = entry
            }
        }

        mutating func rewind(to head: Int64) {
            for lost in applied.dropFirst(Int(head)) {
                for old in applied.prefix(Int(head)) where old.channel == lost.channel {
                    if lost.isDrop || (lost.topic != nil && lost.topic == old.topic) {
                        gone.insert(old.text)
                    }
                }
            }
            applied = Array(applied.prefix(Int(head)))
            kept = kept.filter { $0.key <= head }
        }

        /// What a reader of these channels gets after an offset.
        func messages(_ channels: [String], after offset: Int64, upTo end: Int64 = .max) -> [String]
        {
            kept.filter {
                $0.key > offset && $0.key <= end && channels.contains($0.value.channel)
            }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.channel) \($0.value.text)" }
        }

        /// Whether something after the offset is not kept here that no newer message has replaced.
        func lacks(_ channels: [String], after offset: Int64, upTo end: Int64) -> Bool {
            var topics: Set<String> = []
            for (index, entry) in applied.enumerated().dropFirst(Int(offset)).reversed() {
                guard channels.contains(entry.channel), !entry.isDrop else { continue }
                if let topic = entry.topic,
                    !topics.insert("\(entry.channel) \(topic)").inserted
                {
                    continue
                }
                if index < end, kept[Int64(index) + 1] == nil, !gone.contains(entry.text) {
                    return true
                }
            }
            return false
        }

        /// Whether there is any reason to tell of a gap.
        func mayTellGap(_ channels: [String], after offset: Int64) -> Bool {
            floor > offset || channels.contains { drops[$0] ?? 0 > offset }
        }
    }

    /// A moment at which the engine lost the newest part of its log.
    struct Loss {
        /// What was left.
        var head: Int64
        /// Whether messages were lost, not only the beginnings of epochs.
        var isReal: Bool
        /// Whether a machine that had what was lost has met the engine since.
        var isTold = false
        /// Whether an epoch began there in any case, since the server is another.
        var isBoundary = false
    }

    /// Where a reader is that was told of everything before.
    struct Reader {
        var channels: [String]
        var cursor: Cursor
        /// How many losses there had been.
        var losses: Int
        /// How many epochs of the engine began with a loss.
        var lostEpochs: Int64
        /// The engine's log then; the reader has its part up to the cursor.
        var log: [Entry]
    }
}
