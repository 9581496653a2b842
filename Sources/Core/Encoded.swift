internal import Channels
internal import Endpoint

/// What is told of one batch to those who want the same in other words: with another query, of more channels.
struct Encoded {
    /// A body that was made, and the payload that has it.
    typealias Body = (reading: HistoryReading, bytes: [UInt8], payload: Int32)

    var bodies: [Subscription.Content: Body] = [:]
    var chunks: [StreamSubscription.Content: Int32] = [:]
}

/// A batch on its way to those who wait for it, as far as it has come: what is made of it at a time is bounded.
struct Delivery {
    let batch: CommittedBatch
    let toldAt: Int64
    var shares: ArraySlice<Audience<Interest>.Share>
    /// What is done when everybody has had it: which polls are served that waited for it.
    let servesAll: Bool
}
