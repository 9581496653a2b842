import Channels
import Core
import Endpoint

/// One request of a web client, or one subscription on the bus socket, from its first byte to its last.
struct Call {
    enum Kind: Equatable {
        case poll, events, lines, busLines
        case publish, leave, presence, message, listing
        /// Any request whose answer is checked only for its status.
        case other
    }

    enum State { case waiting, given, ended }

    let number: Int
    let client: Int
    let kind: Kind
    /// Where the front end has placed it.
    var process = -1
    var wire = -1
    var connection: ConnectionID?
    var id: UInt16 = 0
    var variables: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// The variables have been judged, and the body is on its way.
    var isHeadGiven = false
    var arrival = World.Arrival.whole
    var dropsBody = false
    var isHead = false
    /// Its web server has probes switched on for it.
    var wantsProbes = false
    /// Whether the service is ready is its question.
    var asksIfReady = false

    var subscriber: Int?
    var address = 0
    var member: Int?
    /// Monotonic milliseconds when its token expires.
    var rightEndsAt: Int64?
    /// Its process had the key of that when it came.
    var showsToken = false
    /// Monotonic milliseconds when its process got it.
    var shownAt: Int64 = .min
    /// What it shows instead of a token.
    var link: Link?
    var session: Session?
    /// Seconds.
    var wait = 0
    var isBare = false
    /// Its cursor is in a cookie.
    var isClassic = false
    var failsOnGap = false
    /// What its client has from the same question before, or will have from this one.
    var visit: Visit?
    /// The log's position when it came, as far as its process can know it.
    var arrived: Cursor?
    var begunAt: Cursor?
    /// The channels of what is published, and the texts.
    var drafts: [(channel: Int, text: String)] = []
    var drops: [Int] = []
    /// The idempotency key.
    var key: String?
    /// Further statuses that are allowed, besides 503.
    var statuses: [Int] = [200]

    var state = State.waiting
    /// Monotonic milliseconds when the core got it, and the latest time up to which it may be held.
    var givenAt: Int64 = 0
    var endsAt: Int64 = .max
    var order = 0
    /// Its rank among the requests that all processes got.
    var coming = 0
    /// Whether the core has counted it as held.
    var isHeld = false
    /// Nanoseconds at which the core got it, if nothing kept it waiting.
    var cameAt: Int64?
    /// The same, also if the log was asked; nil if it had to queue.
    var askedAt: Int64?
    /// Monotonic milliseconds until which another request of its id waited before it: it was not judged earlier.
    var blockedUntil: Int64 = .min
    /// The deadline does not end it before this time.
    var earliestEnd: Int64 = .min
    /// How much later it may, so that those who came together do not come back together; 0 where that is not known.
    var spread: Int64 = 0
    /// Monotonic milliseconds at which the last bytes came.
    var heardAt: Int64 = 0
    /// Whether it is sent blanks from time to time.
    var isProbed = false
    /// Monotonic milliseconds of its last probe or heartbeat.
    var probedAt: Int64?
    /// It asked the log, so it is not known from outside when it began to be held.
    var hasAsked = false
    /// It waits until its process has the events of what was committed up to here.
    var awaits: Cursor?
    /// The positions of its process whenever the log was replaced: it may have been held there, which its client cannot
    /// know.
    var stood: [Cursor] = []
    /// An abort may leave it without an answer.
    var isAborted = false

    // What its client has received.
    var header: [UInt8] = []
    var isHeaderComplete = false
    var received: [UInt8] = []
    var events = EventReader()
    var lineReader = LineReader()
    var bye: String?
    var isGreeted = false
    /// The message that it asks for, and the number of the log's file that had it when the request came.
    var wanted: Cursor?
    var wantedIn: Int?
    /// Where its client continues.
    var cursor: Cursor?
    var gaveMessages = false

    init(number: Int, client: Int, kind: Kind) {
        (self.number, self.client, self.kind) = (number, client, kind)
    }

    var isStream: Bool { kind == .events || kind == .lines || kind == .busLines }
    var mayBeHeld: Bool { isStream || kind == .poll }
}

/// The ways in which a held request may have ended, as far as they can be distinguished from outside.
struct Endings: OptionSet {
    let rawValue: UInt32

    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ ending: Ending) { rawValue = 1 << UInt32(ending.rawValue) }
    init(all endings: [Ending]) {
        rawValue = endings.reduce(0) { $0 | 1 << UInt32($1.rawValue) }
    }

    static let released = Endings(.released)
    static let behind = Endings(.behind)
    static let gap = Endings(.gap)
    static let limit = Endings(.limit)
    static let gone = Endings(all: [.closed, .probe])
    static let slow = Endings(.slow)
    static let aborted = Endings(.aborted)
    /// Of those whose connections are lost.
    static let lost: Endings = [.gone, .slow, .shutdown]
    static let shutdown = Endings(.shutdown)
    static let revoked = Endings(.revoked)
    static let expired = Endings(.expired)
    static let overtaken = Endings(all: [.superseded, .newerRequest])
    static let left = Endings(.left)
    static let time = Endings(all: [.deadline, .lifetime])
    /// An empty answer that does not say when to come back.
    static let empty: Endings = [
        .time, .gone, .overtaken, .left, .shutdown, .revoked, .expired, .behind,
    ]

    init(bye reason: String) {
        switch reason {
        case "shutdown": self = .shutdown
        case "lifetime": self = Endings(.lifetime)
        case "superseded": self = .overtaken
        case "left": self = [.left, .gone]
        case "limit": self = .limit
        case "slow": self = .slow
        case "revoked": self = .revoked
        case "expired": self = .expired
        case "error", "unavailable": self = Endings(.closed)
        default: self = []
        }
    }
}

/// The events that the core got, and how they may end held requests.
enum Cause {
    case request, leaving, busBytes, aborted, peerEnded, lost(Loss), log, turn, word(isLeft: Bool)
    case reload, handOver, stop, giveWay, unsent, other

    var endings: Endings {
        switch self {
        case .request: [.overtaken, .limit, .gone, .shutdown]
        case .leaving: [.overtaken, .left, .gone]
        case .busBytes: [.limit, .gone, .shutdown]
        case .aborted: .aborted
        case .peerEnded: [.gone, .left]
        case .lost(.closed): .gone
        case .lost(.slow): .slow
        case .lost(.shutdown): .shutdown
        case .log:
            [
                .released, .gap, .behind, .limit, .slow, .overtaken,
                Endings(all: [.closed, .lifetime, .expired]),
            ]
        case .turn:
            [.time, .expired, .overtaken, .limit, .gone, .left, .shutdown, .slow]
        case .word(let isLeft): isLeft ? [.left, .gone] : [Endings(.superseded), .gone]
        case .reload: .revoked
        case .handOver: Cause.log.endings.union(.revoked)
        case .stop: .shutdown
        case .giveWay: .limit
        case .unsent: []
        case .other: []
        }
    }

    var name: StaticString {
        switch self {
        case .request: "request"
        case .leaving: "leave"
        case .busBytes: "bus bytes"
        case .aborted: "abort"
        case .peerEnded: "peer ended"
        case .lost: "connection lost"
        case .log: "log"
        case .turn: "turn"
        case .word: "word"
        case .reload: "reload"
        case .handOver: "hand-over"
        case .stop: "stop"
        case .giveWay: "give way"
        case .unsent: "unsent"
        case .other: "other"
        }
    }
}
