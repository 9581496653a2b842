internal import Endpoint

/// How a held request ended. Each ends in exactly one of these ways.
enum Ending: Int, CaseIterable {
    /// Answered with a message.
    case released
    /// Its wait ran out: answered empty.
    case deadline
    /// The peer closed, half-closed or reset the connection.
    case closed
    /// The same, right after a probe: without it nobody would have known.
    case probe
    /// FCGI_ABORT_REQUEST.
    case aborted
    /// A newer request on the connection of a peer that does not multiplex: answered empty.
    case newerRequest
    /// A newer request of the same subscriber: answered empty.
    case superseded
    /// The client said that it leaves: answered empty.
    case left
    /// A newer request took its place when a bound was reached: answered empty, with `Retry-After`.
    case limit
    /// Answered with a gap: the channel was emptied, or the log is another.
    case gap
    /// SIGTERM: answered empty.
    case shutdown
    /// The client did not read.
    case slow
    /// A stream that has lived as long as streams do.
    case lifetime
    /// The ini file does not let everyone read there any more: answered empty.
    case revoked

    var label: String {
        switch self {
        case .released: "released"
        case .deadline: "deadline"
        case .closed: "closed"
        case .probe: "probe"
        case .aborted: "aborted"
        case .newerRequest: "newer_request"
        case .superseded: "superseded"
        case .left: "left"
        case .limit: "limit"
        case .gap: "gap"
        case .shutdown: "shutdown"
        case .slow: "slow"
        case .lifetime: "lifetime"
        case .revoked: "revoked"
        }
    }
}

extension Ending {
    /// How a stream ends that is told this.
    init(_ reason: StreamEnd) {
        self =
            switch reason {
            case .shutdown: .shutdown
            case .lifetime: .lifetime
            case .superseded: .superseded
            case .left: .left
            case .limit: .limit
            case .slow: .slow
            case .revoked: .revoked
            case .error, .unavailable: .closed
            }
    }

    /// What a stream is told that ends so.
    var ofStream: StreamEnd {
        switch self {
        case .superseded, .newerRequest: .superseded
        case .left, .closed, .probe: .left
        case .limit: .limit
        case .lifetime, .deadline: .lifetime
        case .slow: .slow
        case .revoked: .revoked
        case .shutdown, .released, .aborted, .gap: .shutdown
        }
    }
}

/// A bound that was reached, and what was done about it.
enum Bound: Int, CaseIterable {
    /// Newcomers had to wait in the backlog.
    case connections
    /// A kept connection on which nothing went on was closed for a newcomer.
    case idleConnections
    /// The process or the system had no descriptor left, and nobody gave way: a connection was closed as soon as it was
    /// accepted.
    case descriptors
    /// The oldest hold was ended for a newer one, or a poll was answered 503.
    case heldRequests
    case heldPerSubscriber
    case heldPerAddress
    /// Somebody was not told of: the number of members of a channel, or of all, is reached.
    case members
    /// A client of the bus socket was turned away.
    case busClients
    /// A publisher was answered 503.
    case publishQueue
    /// A publisher was answered 503 because the log did not answer in time; the outcome is unknown.
    case publishTime
    /// A peer that did not read its answer was dropped.
    case unsentBytes
    /// The same, since all together had too much unsent.
    case unsentTotal
    case unsentTime
    /// A peer that did not finish its request was dropped.
    case requestTime
    /// A request that had not arrived completely was answered 503 for want of memory or of connections.
    case unfinishedBytes
    /// A peer that sent too many requests of one id at once was dropped.
    case queuedRequests

    var label: String {
        switch self {
        case .connections: "connections"
        case .idleConnections: "idle_connections"
        case .descriptors: "descriptors"
        case .heldRequests: "held_requests"
        case .heldPerSubscriber: "held_per_subscriber"
        case .heldPerAddress: "held_per_address"
        case .members: "members"
        case .busClients: "bus_clients"
        case .publishQueue: "publish_queue"
        case .publishTime: "publish_time"
        case .unsentBytes: "unsent_bytes"
        case .unsentTotal: "unsent_bytes_total"
        case .unsentTime: "unsent_time"
        case .requestTime: "request_time"
        case .unfinishedBytes: "unfinished_bytes"
        case .queuedRequests: "queued_requests"
        }
    }
}

/// What the process counts. Reactor thread only.
struct Metrics {
    var accepted: UInt64 = 0
    var requests: UInt64 = 0
    /// Answers by status class, 1xx to 5xx.
    var answers = [UInt64](repeating: 0, count: 6)
    var deliveries: UInt64 = 0
    var holds: UInt64 = 0
    /// Commands on the bus socket, and those of them that were refused.
    var busCommands: UInt64 = 0
    var busRefusals: UInt64 = 0
    /// Lines of named pipes that were committed, and those that were refused.
    var pipeLines: UInt64 = 0
    var pipeRefusals: UInt64 = 0
    /// Datagrams that no process of this bus and release has sent.
    var passedOver: UInt64 = 0
    private(set) var ended = [UInt64](repeating: 0, count: Ending.allCases.count)
    private(set) var bounds = [UInt64](repeating: 0, count: Bound.allCases.count)
    var latency = Histogram()

    subscript(ending: Ending) -> UInt64 {
        get { ended[ending.rawValue] }
        set { ended[ending.rawValue] = newValue }
    }

    mutating func count(_ bound: Bound, _ times: Int) { self[bound] += UInt64(times) }

    subscript(bound: Bound) -> UInt64 {
        get { bounds[bound.rawValue] }
        set { bounds[bound.rawValue] = newValue }
    }
}

/// Counts of durations in fixed buckets, as Prometheus wants them.
struct Histogram {
    /// Upper bounds in microseconds.
    static let bounds: [Int64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    ]
    /// One more than bounds: the last is everything above.
    private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    private(set) var sumMicroseconds: UInt64 = 0

    var count: UInt64 { counts.reduce(0, +) }

    mutating func record(microseconds: Int64, times: Int = 1) {
        let place = Self.bounds.firstIndex { microseconds <= $0 } ?? Self.bounds.count
        counts[place] += UInt64(times)
        sumMicroseconds += UInt64(max(0, microseconds)) * UInt64(times)
    }
}
