internal import Channels
internal import Endpoint

/// Payloads made of one batch, shared by interests that differ in their query or channels but get the same content.
struct Encoded {
    /// A body that was made, and the payload that has it.
    typealias Body = (page: HistoryPage, bytes: [UInt8], payload: Int32)

    var bodies: [Subscription.Content: Body] = [:]
    var chunks: [StreamSubscription.Content: Int32] = [:]
}

/// The bodies of the latest immediate answers: clients that were released together come back together, and what was
/// published meanwhile is the same for all of them.
struct RecentBodies {
    private struct Entry {
        let content: Subscription.Content
        let bytes: [UInt8]
    }

    private var entries: [Entry] = []
    /// Where the next one goes.
    private var next = 0
    /// Equal contents have equal bodies only within one log.
    private var epoch: Epoch?

    private static let limit = 4
    private static let byteLimit = 65_536

    func body(of content: Subscription.Content, in epoch: Epoch) -> [UInt8]? {
        guard epoch == self.epoch else { return nil }
        return entries.first { $0.content == content }?.bytes
    }

    mutating func keep(_ bytes: [UInt8], of content: Subscription.Content, in epoch: Epoch) {
        guard bytes.count <= Self.byteLimit else { return }
        if epoch != self.epoch { (entries, next, self.epoch) = ([], 0, epoch) }
        let entry = Entry(content: content, bytes: bytes)
        if entries.count < Self.limit { entries.append(entry) } else { entries[next] = entry }
        next = (next + 1) % Self.limit
    }
}

/// A batch that is being delivered, in portions of bounded size.
struct Delivery {
    let batch: CommittedBatch
    let toldAt: Int64
    var shares: ArraySlice<Audience<Interest>.Share>
    /// Afterwards, serve all polls that wait for new messages, not only those for which they have come.
    let servesAll: Bool
    /// These polls; nil until the shares are delivered.
    var caughtUp: ArraySlice<Ticket>?

    var isOver: Bool { shares.isEmpty && caughtUp?.isEmpty == true }
}
