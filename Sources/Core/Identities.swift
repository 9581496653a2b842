package import Channels
package import FastCGI

/// The name of a connection, for shell and core: the shell's place for it, and how many connections had that place before.
///
/// A pair is never used again: events of a connection that is gone are ignored.
package struct ConnectionID: Hashable, Sendable, BitwiseCopyable {
    /// Small numbers, since both sides keep tables by it.
    package let index: Int32
    package let generation: UInt32

    package init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// Where the answer to a web server's request goes.
package struct RequestAddress: Hashable, Sendable, BitwiseCopyable {
    package let connection: ConnectionID
    /// Unique among the open requests of a connection.
    package let id: RequestID
    /// The web server wants to use the connection again.
    package let keepConnection: Bool

    package init(connection: ConnectionID, id: RequestID, keepConnection: Bool) {
        self.connection = connection
        self.id = id
        self.keepConnection = keepConnection
    }
}

/// The number of an entry that waits for the log or for the other processes.
package struct Ticket: Hashable, Sendable, BitwiseCopyable {
    /// Never 0, and never used again. The log's events and questions carry it as it is.
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
}

/// The time, and the log's position, at which an event happens.
package struct Moment: Sendable, BitwiseCopyable {
    /// Monotonic milliseconds; the same for all events of one turn of the loop.
    package var milliseconds: Int64
    /// The same clock in nanoseconds, read for this event: the processes of a machine compare arrivals by it.
    package var nanoseconds: Int64
    /// Milliseconds of the clock that `Message.expiresMilliseconds` goes by.
    package var retentionMilliseconds: Int64
    /// The newest offset that any process has committed and acknowledged; nil while the log is not open.
    package var committedHead: Offset?

    package init(
        milliseconds: Int64,
        nanoseconds: Int64,
        retentionMilliseconds: Int64,
        committedHead: Offset?
    ) {
        self.milliseconds = milliseconds
        self.nanoseconds = nanoseconds
        self.retentionMilliseconds = retentionMilliseconds
        self.committedHead = committedHead
    }
}

/// The part of a connection that a peer may have closed before an event reports it.
package enum Departure: Sendable, BitwiseCopyable {
    /// Its sending side, or the whole connection.
    case sending
    /// The whole connection.
    case whole
}

/// Why the shell gives a connection up.
package enum Loss: Sendable {
    /// The peer is gone, broke the protocol, or cannot be served any more.
    case closed
    /// The peer does not read.
    case slow
    /// The process ends.
    case shutdown
}

/// Whether a connection is in use, as far as the core knows. Only the shell knows of unsent bytes and incomplete
/// requests.
package enum Standing: Sendable {
    /// A request is held, waits or queues.
    case busy
    /// Idle; the peer may use it again.
    case kept
    /// Idle, and to be closed once everything is sent.
    case done
}

/// What the process keeps of a peer's input.
package struct Kept: Equatable, Sendable {
    /// Complete requests that queue.
    package var queuedBytes = 0
    /// An incomplete command of a bus client: its bytes so far, and the line in which it begins.
    package var command: (bytes: Int, line: Int)?

    package init() {}

    package static func == (a: Kept, b: Kept) -> Bool {
        a.queuedBytes == b.queuedBytes && a.command?.bytes == b.command?.bytes
            && a.command?.line == b.command?.line
    }
}
