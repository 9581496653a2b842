/// Deadlines of many entries in a hashed timing wheel: adding and removing cost the same for ten entries as for a
/// million, and a removed entry leaves nothing behind.
///
/// Entries are small integers chosen by the owner, each with at most one deadline. Buckets are doubly linked lists
/// through one flat array. A deadline more than one turn of the wheel away stays in its bucket and is examined once per
/// turn. Pure: time is passed as an argument.
struct DeadlineWheel {
    private struct Link {
        var next: Int32 = -1
        /// The entry before, or `-2 - bucket` for the first in its bucket; -1: no deadline.
        var previous: Int32 = -1
        /// In ticks since the wheel's start.
        var due: UInt32 = 0
    }

    /// A deadline is reached at most this much later than set.
    static let tickMilliseconds: Int64 = 64
    private static let bucketCount = 1024

    private let start: Int64
    private var links: [Link] = []
    private var buckets = [Int32](repeating: -1, count: bucketCount)
    /// All buckets of ticks before this one have been emptied of expired entries.
    private var current: UInt32 = 0
    private(set) var count = 0
    /// No entry expires in a tick before this one. Where the first was removed, that is found out when its time has come,
    /// not by a search in each turn of the loop.
    private var earliest: UInt32 = .max

    /// `now` is in milliseconds of any clock that never goes back, here and in all later calls. `room`: as in
    /// `HeldTable`.
    init(now: Int64, room: Int = 0) {
        // So that a tick is the same in a process that takes over, and nothing is rounded twice.
        start = now - now % Self.tickMilliseconds
        links.reserveCapacity(room)
    }

    /// Milliseconds until an entry may expire; nil if there is none.
    func millisecondsToNext(now: Int64) -> Int64? {
        guard count > 0 else { return nil }
        return max(0, start + (Int64(earliest) + 1) * Self.tickMilliseconds - now)
    }

    /// The first tick with an entry, perhaps of a later round; what expires before `current` is gone.
    private func firstTick() -> UInt32 {
        guard count > 0 else { return .max }
        for step in 0..<UInt32(Self.bucketCount) {
            let tick = current &+ step
            if buckets[Int(tick) % Self.bucketCount] >= 0 { return tick }
        }
        preconditionFailure("each entry is in a bucket")
    }

    mutating func add(_ entry: Int32, deadline: Int64) {
        while links.count <= Int(entry) { links.append(Link()) }
        precondition(links[Int(entry)].previous == -1, "an entry has one deadline")
        let due = max(current, tick(of: deadline))
        let bucket = Int32(Int(due) % Self.bucketCount)
        let first = buckets[Int(bucket)]
        links[Int(entry)] = Link(next: first, previous: -2 - bucket, due: due)
        if first >= 0 { links[Int(first)].previous = entry }
        buckets[Int(bucket)] = entry
        count += 1
        earliest = min(earliest, due)
    }

    /// The deadline of an entry, to the tick; nil without one.
    func deadline(of entry: Int32) -> Int64? {
        guard Int(entry) < links.count, links[Int(entry)].previous != -1 else { return nil }
        return start + Int64(links[Int(entry)].due) * Self.tickMilliseconds
    }

    /// Does nothing if the entry has no deadline.
    mutating func remove(_ entry: Int32) {
        guard Int(entry) < links.count, links[Int(entry)].previous != -1 else { return }
        let link = links[Int(entry)]
        if link.previous <= -2 {
            buckets[Int(-2 - link.previous)] = link.next
        } else {
            links[Int(link.previous)].next = link.next
        }
        if link.next >= 0 { links[Int(link.next)].previous = link.previous }
        links[Int(entry)] = Link()
        count -= 1
        if count == 0 { earliest = .max }
    }

    /// Removes and returns every entry whose deadline is reached.
    mutating func expire(now: Int64) -> [Int32] {
        let target = tick(of: now)
        guard target > current else { return [] }
        var expired: [Int32] = []
        // After a long pause, one turn over all buckets suffices.
        let steps = min(target - current, UInt32(Self.bucketCount))
        for step in 0..<steps where count > 0 {
            var entry = buckets[Int(current &+ step) % Self.bucketCount]
            while entry >= 0 {
                let next = links[Int(entry)].next
                if links[Int(entry)].due < target {
                    remove(entry)
                    expired.append(entry)
                }
                entry = next
            }
        }
        current = target
        if earliest < target { earliest = firstTick() }
        return expired
    }

    private func tick(of time: Int64) -> UInt32 {
        UInt32(clamping: max(0, time - start) / Self.tickMilliseconds)
    }
}
