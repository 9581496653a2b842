extension ConnectionTable {
    /// The limits on open connections: as in the ini file, but never all descriptors, because the log needs some, too.
    struct Bounds {
        let web: Int
        let bus: Int
    }

    /// What is noted of the connection with one descriptor.
    struct Record {
        /// The number of earlier connections with this descriptor.
        var generation: UInt32 = 0
        var flags: Flags = []
    }

    /// What is handed over to another process: what has come on it and is not complete, and what was noted of it.
    struct Handed {
        var hasAsked: Bool
        var isPassingOver: Bool
        var input: UnfinishedInput.Handed?
    }

    struct Flags: OptionSet {
        let rawValue: UInt16

        static let open = Flags(rawValue: 1)
        /// Given up; closed at the end of the turn.
        static let marked = Flags(rawValue: 2)
        /// Whether epoll watches it, also for room to send.
        static let watched = Flags(rawValue: 4)
        static let sending = Flags(rawValue: 8)
        /// A client of the bus socket.
        static let busSocket = Flags(rawValue: 16)
        /// Whether it is in the list of connections with more input.
        static let readAgain = Flags(rawValue: 32)
        /// Whether a request has ever arrived on it, and one since idle connections were last looked for (`leastUsed`).
        static let hasAsked = Flags(rawValue: 64)
        static let isUsed = Flags(rawValue: 128)
        /// A request was answered before all of it had arrived: the connection is closed when the rest has.
        static let passingOver = Flags(rawValue: 256)
        /// The rest has arrived.
        static let passedOver = Flags(rawValue: 512)
    }
}
