internal import Endpoint

/// What the core counts, as plain values.
package struct CoreCounters: Equatable, Sendable {
    /// Requests that were begun.
    package internal(set) var requests: UInt64 = 0
    /// Answers by status class, 1xx to 5xx; at 0 the ordinary ends of a wait: by a 503, or without an answer.
    package internal(set) var answers = [UInt64](repeating: 0, count: 6)
    /// Held requests given messages.
    package internal(set) var deliveries: UInt64 = 0
    /// Requests that were held.
    package internal(set) var holds: UInt64 = 0
    /// Commands on the bus socket, and those of them that were refused.
    package internal(set) var busCommands: UInt64 = 0
    package internal(set) var busRefusals: UInt64 = 0
    private var endings = [UInt64](repeating: 0, count: Ending.allCases.count)
    private var bounds = [UInt64](repeating: 0, count: Bound.allCases.count)

    package init() {}

    package internal(set) subscript(ending: Ending) -> UInt64 {
        get { endings[ending.rawValue] }
        set { endings[ending.rawValue] = newValue }
    }

    /// Of the bounds that the core keeps; the shell counts the others.
    package internal(set) subscript(bound: Bound) -> UInt64 {
        get { bounds[bound.rawValue] }
        set { bounds[bound.rawValue] = newValue }
    }
}

/// How a held request ended. Each ends in exactly one of these ways.
package enum Ending: Int, CaseIterable, Sendable, BitwiseCopyable {
    /// Answered with messages.
    case released
    /// Its wait ran out: answered empty.
    case deadline
    /// The peer closed, half-closed or reset the connection.
    case closed
    /// The same, right after a probe, which revealed it.
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
    /// Answered with a gap: the channel was emptied, or the log was replaced.
    case gap
    /// SIGTERM: answered empty.
    case shutdown
    /// The client did not read.
    case slow
    /// A stream that has lived as long as streams do.
    case lifetime
    /// The ini file no longer lets everyone, or the client's key, read there: answered empty.
    case revoked
    /// The token or link on which it rested has expired: a poll is answered 401.
    case expired
    /// More was committed than memory keeps: a poll is answered empty, to ask again. A stream goes on.
    case behind

    package var label: String {
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
        case .expired: "expired"
        case .behind: "behind"
        }
    }
}

extension Ending {
    /// The ending of a stream for this reason.
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
            case .expired: .expired
            case .error, .unavailable: .closed
            }
    }

    /// The reason that a stream reports for this ending.
    var ofStream: StreamEnd {
        switch self {
        case .superseded, .newerRequest: .superseded
        case .left, .closed, .probe: .left
        case .limit: .limit
        case .lifetime, .deadline: .lifetime
        case .slow: .slow
        case .revoked: .revoked
        case .expired: .expired
        case .shutdown, .released, .aborted, .gap, .behind: .shutdown
        }
    }
}

/// A bound that was reached, and the consequence.
package enum Bound: Int, CaseIterable, Sendable, BitwiseCopyable {
    /// Newcomers had to wait in the backlog.
    case connections
    /// A kept connection without anything under way was closed for a new one.
    case idleConnections
    /// The process or the system had no descriptor left, and no connection could be closed: a new one was accepted and
    /// closed at once.
    case descriptors
    /// The oldest hold was ended for a newer one, or a poll was answered 503.
    case heldRequests
    case heldPerSubscriber
    case heldPerAddress
    /// A member was left out: the limit of its channel, or of all members, is reached.
    case members
    /// A client of the bus socket was refused.
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

    package var label: String {
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
