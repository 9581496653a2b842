internal import Channels
internal import Endpoint
internal import FastCGI

/// What is told of one batch to those who want the same in other words: with another query, of more channels.
struct Encoded {
    typealias Body = (reading: HistoryReading, bytes: [UInt8], records: EncodedAnswer)
    private(set) var bodies: [Subscription.Content: Body] = [:]
    private(set) var chunks: [StreamSubscription.Content: EncodedAnswer] = [:]
    private var bytes = 0
    /// Where all want something else, nothing is gained by keeping more.
    private static let byteLimit = 8 * 1024 * 1024

    mutating func add(_ body: Body, _ content: Subscription.Content) {
        charge(2 * body.records.bytes.count)
        bodies[content] = body
    }

    mutating func add(_ chunk: EncodedAnswer, _ content: StreamSubscription.Content) {
        charge(chunk.bytes.count)
        chunks[content] = chunk
    }

    private mutating func charge(_ count: Int) {
        bytes += count
        guard bytes > Self.byteLimit else { return }
        (bodies, chunks, bytes) = ([:], [:], count)
    }
}

/// An answer in records, which may be one to many requests.
struct Outgoing {
    let first: EncodedAnswer
    var rest: EncodedAnswer?

    /// To copy so many is cheaper than a further system call for each request.
    static let joinedBytes = 16_384
}
