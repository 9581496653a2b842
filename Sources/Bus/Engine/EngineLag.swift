import Channels
import DequeModule

/// Since when a process has lacked something that the engine has. All times are of the monotonic clock, in
/// milliseconds.
///
/// Each process asks the engine from time to time how far its log is. When this process knows all of that, the machine
/// was up to date at the time of the question. No process needs the one that applies for this, so all notice when that one
/// is stuck; only that one also knows when the oldest entry was committed that is not here yet.
struct EngineLag: Sendable {
    private struct Look {
        var since: Int64
        var offset: Int64
        /// Must be known here, too; nil: any.
        var epoch: Epoch?
    }

    /// If a machine is behind for more looks than this, the newest look stands for several.
    private static let lookLimit = 512

    /// The looks that found something that is not here yet, oldest first; offsets never fall.
    private var awaited: Deque<Look> = []
    private var newestEpoch: Epoch?
    private var answeredAt: Int64?
    /// Since when the engine, which does not answer, may have had something that is not known here.
    private var silentSince: Int64?
    /// When the oldest entry that is not applied yet was committed, in the process that applies.
    private var missingSince: Int64?
    /// Whether it has been up to date since the process began.
    private(set) var hasBeenUpToDate = false

    /// Whether an event of the log may change something.
    var isAwaiting: Bool { !awaited.isEmpty }

    /// The process has not yet had what the engine had at the first question, or the engine has never answered.
    var isCatchingUp: Bool { !hasBeenUpToDate && (!awaited.isEmpty || answeredAt == nil) }

    /// For how long this machine may have lacked something; 0 while it is up to date, nil before the engine was asked.
    func milliseconds(now: Int64) -> Int64? {
        if answeredAt == nil, silentSince == nil { return nil }
        let known = behindSince.map { now - $0 }
        return max(0, known ?? 0, silentSince.map { now - $0 } ?? 0)
    }

    /// The same, as far as the engine's answers show: while it does not answer, nothing is known to be missing.
    func knownMilliseconds(now: Int64) -> Int64 { max(0, behindSince.map { now - $0 } ?? 0) }

    private var behindSince: Int64? {
        switch (awaited.first?.since, missingSince) {
        case (let look?, let entry?): min(look, entry)
        case (let since, nil), (nil, let since): since
        }
    }

    /// The engine has answered.
    ///
    /// - Parameter askedAt: the answer is not older than that.
    mutating func looked(offset: Int64, epoch: Epoch?, askedAt: Int64) {
        var since = silentSince ?? askedAt
        (silentSince, answeredAt) = (nil, askedAt)
        // A failover may have lost what was awaited.
        while let last = awaited.last, last.offset > offset {
            since = min(since, last.since)
            awaited.removeLast()
        }
        if epoch != newestEpoch {
            newestEpoch = epoch
            // An epoch that has ended may be gone, too; the newest is awaited in any case.
            for at in awaited.indices { awaited[at].epoch = nil }
        }
        let look = Look(since: since, offset: offset, epoch: epoch)
        if awaited.count < Self.lookLimit {
            awaited.append(look)
        } else {
            (awaited[awaited.count - 1].offset, awaited[awaited.count - 1].epoch) = (offset, epoch)
        }
    }

    /// The engine has not answered.
    mutating func missed(at now: Int64) {
        silentSince = silentSince ?? answeredAt ?? now
    }

    /// The process has got the log's events up to this head.
    mutating func told(head: Int64, knows: (Epoch) -> Bool) {
        while let first = awaited.first, first.offset <= head, first.epoch.map(knows) ?? true {
            awaited.removeFirst()
            hasBeenUpToDate = true
        }
    }

    /// What the process that applies has read from the engine.
    ///
    /// - Parameter since: when the oldest entry was committed that is still to be applied; nil: there is none.
    mutating func missing(since: Int64?) { missingSince = since }
}
