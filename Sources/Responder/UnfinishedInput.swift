internal import Core
internal import FastCGI

/// Input that is incomplete or waits for its turn, by the index of its connection: parts of web servers' requests, and
/// what the core keeps of clients' input. Few connections have any.
struct UnfinishedInput {
    private final class Entry {
        var assembler: RequestAssembler?
        var kept = Kept()
        /// Where the oldest incomplete request or command begins, and the monotonic milliseconds when it was first seen.
        var beginsAt: Int?
        var since: Int64 = 0
        /// Its share of the total.
        var countedBytes = 0

        var isReceiving: Bool { assembler != nil || kept.command != nil }
        var isEmpty: Bool { !isReceiving && kept.queuedBytes == 0 }

        func begins(at place: Int, now: Int64) {
            if beginsAt != place { (beginsAt, since) = (place, now) }
        }
    }

    private var entries: [Int32: Entry] = [:]
    /// The memory of all together.
    private(set) var bytes = 0

    var isEmpty: Bool { entries.isEmpty }

    private func entry(_ index: Int32) -> Entry? { entries.isEmpty ? nil : entries[index] }

    /// Whether this connection has no such input.
    func isEmpty(_ index: Int32) -> Bool { entry(index)?.isEmpty ?? true }

    /// Whether a part of a web server's request has arrived and the rest is awaited.
    func isReceiving(_ index: Int32) -> Bool { entry(index)?.assembler != nil }

    // MARK: One connection

    /// Removes the assembler that has a part of a request.
    func takeAssembler(_ index: Int32) -> RequestAssembler? {
        guard let entry = entry(index) else { return nil }
        // A second reference to its bytes would make each piece copy them.
        return entry.assembler.take()
    }

    /// Keeps an assembler that has a part of a request; otherwise notes that there is none.
    mutating func keep(_ assembler: consuming RequestAssembler, _ index: Int32, now: Int64) {
        if let place = assembler.oldestUnfinished {
            let entry = make(index)
            entry.begins(at: place, now: now)
            entry.assembler = assembler
            count(entry)
        } else {
            keepNothing(index)
        }
    }

    /// Notes that there is no part of a request.
    mutating func keepNothing(_ index: Int32) {
        guard let entry = entry(index) else { return }
        entry.beginsAt = nil
        count(entry)
    }

    /// Records what the core keeps.
    mutating func keep(_ kept: Kept, _ index: Int32, now: Int64) {
        guard kept != Kept() || entry(index) != nil else { return }
        let entry = make(index)
        if let command = kept.command {
            entry.begins(at: command.line, now: now)
        } else if entry.kept.command != nil {
            entry.beginsAt = nil
        }
        entry.kept = kept
        count(entry)
    }

    /// The input has ended: what is incomplete remains incomplete.
    mutating func stopReceiving(_ index: Int32) {
        guard let entry = entry(index) else { return }
        entry.assembler = nil
        count(entry)
    }

    /// Discards unfinished requests, and skips the rest of them.
    ///
    /// - Returns: the requests.
    mutating func giveUp(_ index: Int32) -> [(id: RequestID, keepConnection: Bool)] {
        guard let entry = entry(index), entry.assembler != nil else { return [] }
        let requests = entry.assembler?.giveUp() ?? []
        count(entry)
        return requests
    }

    mutating func removeAll(_ index: Int32) {
        guard !entries.isEmpty, let entry = entries.removeValue(forKey: index) else { return }
        bytes -= entry.countedBytes
    }

    private mutating func make(_ index: Int32) -> Entry {
        if let entry = entries[index] { return entry }
        let entry = Entry()
        entries[index] = entry
        return entry
    }

    private mutating func count(_ entry: Entry) {
        let now =
            (entry.assembler?.storedBytes ?? entry.kept.command?.bytes ?? 0)
            + entry.kept.queuedBytes
        bytes += now - entry.countedBytes
        entry.countedBytes = now
    }

    // MARK: Handing over

    /// What has come of a request or of a command, and monotonic milliseconds when it began to come.
    struct Handed {
        let since: Int64
        /// Of a web server.
        let assembler: RequestAssembler?
        /// Of a client of the bus socket.
        let command: (bytes: Int, line: Int)?
    }

    func handed(_ index: Int32) -> Handed? {
        guard let entry = entry(index), entry.isReceiving else { return nil }
        return Handed(
            since: entry.since,
            assembler: entry.assembler,
            command: entry.kept.command
        )
    }

    /// Takes over from another process.
    mutating func resume(_ handed: Handed, _ index: Int32) {
        if let assembler = handed.assembler { keep(assembler, index, now: handed.since) }
        if let command = handed.command {
            var kept = Kept()
            kept.command = command
            keep(kept, index, now: handed.since)
        }
    }

    // MARK: All

    /// The connection whose unfinished request or command began first, if that is at least this long ago.
    ///
    /// - Parameter holdingMemory: considers those that hold memory, even if the request is answered already; otherwise those
    ///   of web servers alone, because clients of the bus socket have their own places.
    func oldest(milliseconds: Int64, holdingMemory: Bool, now: Int64) -> Int32? {
        var oldest: (index: Int32, since: Int64)?
        for (index, entry) in entries {
            let counts =
                holdingMemory
                ? entry.isReceiving && entry.countedBytes > 0 : entry.assembler != nil
            guard counts, entry.since <= now - milliseconds, entry.since < oldest?.since ?? .max
            else { continue }
            oldest = (index, entry.since)
        }
        return oldest?.index
    }

    /// Connections whose unfinished request or command began longer ago than this.
    func overdue(milliseconds: Int64, now: Int64) -> [Int32] {
        entries.filter { $0.value.isReceiving && now - $0.value.since > milliseconds }.map(\.key)
    }

    /// Removes connections without such input. Not at once: most have more soon.
    ///
    /// - Returns: whether there were any.
    mutating func tidy() -> Bool {
        let before = entries.count
        entries = entries.filter { !$0.value.isEmpty }
        return entries.count < before
    }
}
