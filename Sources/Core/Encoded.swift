internal import Channels
internal import Endpoint

/// Payloads made of one batch, shared by interests that differ in their query or channels but get the same content.
struct Encoded {
    /// A body that was made, and the payload that has it.
    typealias Body = (page: HistoryPage, bytes: [UInt8], payload: Int32)

    var bodies: [Subscription.Content: Body] = [:]
    var chunks: [StreamSubscription.Content: Int32] = [:]
}

/// A batch that is being delivered, in portions of bounded size.
struct Delivery {
    let batch: CommittedBatch
    let toldAt: Int64
    var shares: ArraySlice<Audience<Interest>.Share>
    /// Afterwards, serve all polls that wait for news, not only those it has caught up with.
    let servesAll: Bool
    /// Those polls; nil until the shares are told.
    var caughtUp: ArraySlice<Ticket>?

    var isOver: Bool { shares.isEmpty && caughtUp?.isEmpty == true }
}
