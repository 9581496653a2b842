import Channels

/// Everything that was ever committed, whatever happened to the log's file since: the standard by which clients are
/// judged.
struct Ledger {
    /// One place in the order of an epoch.
    struct Record {
        /// Index in the world's list of channels; -1 if nothing is known of the offset.
        let channel: Int
        /// The text of the message; nil: the channel was dropped here.
        let text: String?
        let topic: String?
        /// On the retention clock.
        let expires: Int64?
        /// The first step in which it could not be read from the log any more, and why.
        var gone: Gone?
    }

    enum Gone: Equatable { case trimmed, deleted, replaced, expired }

    private struct Stretch {
        let epoch: Epoch
        let start: Int64
        /// The stretches of the log when this one began, itself the last.
        var history: [EpochHistory.Stretch]
        var records: [Record] = []
        /// For each channel, the offsets of its records, ascending.
        var places: [[Int]]
    }

    private var stretches: [Stretch] = []
    private var indexes: [String: Int] = [:]
    /// Looked up by text, never iterated.
    private var ids: [String: Cursor] = [:]
    let channelCount: Int

    init(channelCount: Int) { self.channelCount = channelCount }

    mutating func begin(_ history: [EpochHistory.Stretch]) {
        guard let last = history.last else { return }
        indexes[last.epoch.name] = stretches.count
        stretches.append(
            Stretch(
                epoch: last.epoch,
                start: last.start.value,
                history: history,
                places: Array(repeating: [], count: channelCount)
            )
        )
    }

    mutating func add(_ record: Record, in epoch: Epoch) {
        guard let index = indexes[epoch.name] else { return }
        stretches[index].places[record.channel].append(stretches[index].records.count)
        if let text = record.text {
            let offset = stretches[index].start + Int64(stretches[index].records.count)
            ids[text] = Cursor(epoch: epoch, offset: Offset(offset))
        }
        stretches[index].records.append(record)
    }

    func knows(_ epoch: Epoch) -> Bool { indexes[epoch.name] != nil }

    /// The newest offset that was given out in an epoch.
    func head(of epoch: Epoch) -> Int64 {
        guard let index = indexes[epoch.name] else { return 0 }
        return stretches[index].start - 1 + Int64(stretches[index].records.count)
    }

    /// Where a text was last committed.
    func id(ofText text: String) -> Cursor? { ids[text] }

    func record(_ id: Cursor) -> Record? {
        guard let index = indexes[id.epoch.name] else { return nil }
        let place = Int(id.offset.value - stretches[index].start)
        return stretches[index].records.indices.contains(place)
            ? stretches[index].records[place] : nil
    }

    /// The record can no longer be read in the log whose newest epoch is this one.
    mutating func remove(_ offset: Int64, in history: [EpochHistory.Stretch], _ gone: Gone) {
        guard let epoch = history.last(where: { $0.start.value <= offset })?.epoch,
            let index = indexes[epoch.name]
        else { return }
        let place = Int(offset - stretches[index].start)
        guard stretches[index].records.indices.contains(place) else { return }
        stretches[index].records[place].gone = gone
    }

    /// The messages of these channels in (after, through] of the log whose newest epoch is this one, ascending.
    func messages(
        in epoch: Epoch,
        of channels: [Int],
        after: Int64,
        through: Int64
    ) -> [(id: Cursor, record: Record)] {
        guard let last = indexes[epoch.name] else { return [] }
        var found: [(id: Cursor, record: Record)] = []
        let history = stretches[last].history
        for (number, part) in history.enumerated() {
            guard let index = indexes[part.epoch.name] else { continue }
            let stretch = stretches[index]
            // What this epoch had given out beyond the next one's start was lost.
            let end = number + 1 < history.count ? history[number + 1].start.value - 1 : .max
            let low = max(after, stretch.start - 1)
            let high = min(through, end)
            guard low < high else { continue }
            for channel in channels {
                let places = stretch.places[channel]
                var at = Self.first(places, atLeast: Int(low + 1 - stretch.start))
                while at < places.count, Int64(places[at]) + stretch.start <= high {
                    let record = stretch.records[places[at]]
                    at += 1
                    guard record.text != nil else { continue }
                    let offset = Offset(Int64(places[at - 1]) + stretch.start)
                    found.append((Cursor(epoch: stretch.epoch, offset: offset), record))
                }
            }
        }
        if channels.count > 1 { found.sort { $0.id.offset < $1.id.offset } }
        return found
    }

    private static func first(_ places: [Int], atLeast least: Int) -> Int {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle] < least { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// What a client with this cursor is owed in the log whose newest epoch is this one: everything after an offset,
    /// and whether something may have been lost before it.
    enum Standing: Equatable {
        case valid(after: Int64)
        case restarted(after: Int64)
        case future
    }

    /// By the meaning of cursors, not by the code under test.
    func standing(of cursor: Cursor, in epoch: Epoch, head: Int64) -> Standing {
        guard let last = indexes[epoch.name] else { return .restarted(after: 0) }
        let history = stretches[last].history
        guard let at = history.firstIndex(where: { $0.epoch == cursor.epoch }) else {
            return .restarted(after: 0)
        }
        let offset = cursor.offset.value
        guard at + 1 < history.count else {
            return offset <= head ? .valid(after: offset) : .future
        }
        var lost = false
        for later in history[(at + 1)...] {
            if let told = later.told, told.value < later.start.value { continue }
            lost = true
        }
        let end = history[at + 1].start.value - 1
        return lost || offset > end ? .restarted(after: min(offset, end)) : .valid(after: offset)
    }
}
