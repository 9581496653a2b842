internal import FastCGI

/// What is kept of one FastCGI connection; the table is indexed by descriptor. Reactor thread only.
struct Connection {
    /// Counts the owners of this descriptor number; an epoll event of another generation is stale.
    var generation: UInt32 = 0
    /// Newest of its held requests in the held table, or -1.
    var firstHeld: HeldTable.Slot = -1
    /// Requests that wait for the log.
    var pending: UInt16 = 0
    var flags: Flags = []
    /// Counts its requests: a poll that the log kept waiting may have been overtaken by a newer one.
    var requests: UInt32 = 0
    /// Nil for a connection that is idle or only holds.
    var extra: Extra?

    struct Flags: OptionSet {
        let rawValue: UInt16

        static let open = Flags(rawValue: 1)
        /// Epoll watches it.
        static let watched = Flags(rawValue: 2)
        /// To be closed once nothing is held, pending or unsent: the web server asked for one request only, or has closed its sending side.
        static let closesWhenIdle = Flags(rawValue: 4)
        /// The peer asked about multiplexing, so that a second request says nothing about the first.
        static let mayMultiplex = Flags(rawValue: 8)
        /// Given up; the descriptor is closed at the end of the turn.
        static let dropped = Flags(rawValue: 16)
        /// The peer has closed its sending side: nobody waits behind it for a message.
        static let peerEnded = Flags(rawValue: 64)
        /// In the list of those with unread input.
        static let readAgain = Flags(rawValue: 32)
        /// Something was asked on it since idle ones were looked for (`closeIdle`).
        static let used = Flags(rawValue: 256)
        /// A request was answered before all of it had come; the rest is awaited before the connection is closed.
        static let passingOver = Flags(rawValue: 512)
        /// A client of the bus socket; the rest of what is known of it is in `busPeers`.
        static let busSocket = Flags(rawValue: 128)
    }

    /// The rare part: a request that has not arrived completely, an answer that has not gone out.
    final class Extra {
        var assembler: RequestAssembler?
        /// The same of a client of the bus socket: bytes of a command that is not complete; they are kept in its reader.
        var commandBytes: Int?
        /// Where the oldest incomplete request or command begins, and the monotonic milliseconds when that was seen first.
        var incompleteAt: Int?
        var incompleteSince: Int64 = 0
        /// What this counts for in the bytes of all unfinished requests.
        var chargedBytes = 0
        /// What the peer has not taken yet.
        var unsent = Unsent.Queue()
        /// Monotonic milliseconds of the last byte that went out.
        var progressedAt: Int64 = 0
        /// Whole requests that reuse the id of one that waits for the log; taken up in turn.
        var queued: [Queued] = []

        struct Queued {
            let id: RequestID
            let records: [UInt8]
            /// By which it was found whole; a reload may have changed them since.
            let limits: FramingLimits
            /// Its body was over the limit and is not in the records.
            let bodyDropped: Bool
        }

        var isReceiving: Bool { assembler != nil || commandBytes != nil }

        var isEmpty: Bool { !isReceiving && unsent.isEmpty && queued.isEmpty }

        /// The memory of requests that are not complete, or wait for their turn.
        var storedBytes: Int {
            queued.reduce(assembler?.storedBytes ?? commandBytes ?? 0) { $0 + $1.records.count }
        }
    }

    var isOpen: Bool { flags.contains(.open) && !flags.contains(.dropped) }
    var isIdle: Bool {
        firstHeld < 0 && pending == 0 && (extra?.isEmpty ?? true) && !flags.contains(.passingOver)
    }
}
