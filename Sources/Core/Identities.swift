package import Channels
package import FastCGI

/// A connection, as shell and core both call it: the shell's place for it, and how many connections had that place before.
///
/// A pair is never used again, so that what is said of a connection that has gone concerns nobody.
package struct ConnectionID: Hashable, Sendable, BitwiseCopyable {
    /// Small numbers, since both sides keep tables by it.
    package let index: Int32
    package let generation: UInt32

    package init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// A request of a web server that has come, and where its answer goes.
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

/// The number of something that waits: for the log, for the other processes, or for a pipe's lines to be committed.
package struct Ticket: Hashable, Sendable, BitwiseCopyable {
    /// Never 0, and never used again. The log's events and questions carry it as it is.
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
}

/// What the world says when something happens.
package struct Moment: Sendable, BitwiseCopyable {
    /// Monotonic milliseconds; the same for all events of one turn of the loop.
    package var milliseconds: Int64
    /// The same clock in nanoseconds, read for this event: by it processes of one machine tell whose request came first.
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

/// How far a peer may have gone without any event having told so yet.
package enum Departure: Sendable {
    /// It has closed its sending side, or all of the connection.
    case sending
    /// It has closed all of the connection.
    case whole
}

/// Why the shell gives a connection up.
package enum Loss: Sendable {
    /// The peer is gone, broke the protocol, or nothing more can be done for it.
    case closed
    /// The peer does not read.
    case slow
    /// The process ends.
    case shutdown
}

/// What a connection is good for, as the core sees it. What the peer has not taken yet, and requests that have not
/// come completely, are the shell's to know.
package enum Standing: Sendable {
    /// Something is held, waits, or is about to be taken up.
    case busy
    /// Nothing goes on; the peer may ask again.
    case kept
    /// Nothing goes on, and the connection is to be closed once everything was sent.
    case done
}

/// What becomes of a request's body that has not come yet.
package enum HeadVerdict: Sendable {
    /// It is collected.
    case keep
    /// Nobody looks at it: the request comes without it.
    case drop
    /// The request is answered already; what comes of it is passed over.
    case answered
}

/// What a connection makes the process keep of what its peer has sent.
package struct Kept: Equatable, Sendable {
    /// Of whole requests that wait for their turn.
    package var queuedBytes = 0
    /// A command of a client of the bus socket that has begun and not ended: the bytes of it, and the line in which it begins.
    package var command: (bytes: Int, line: Int)?

    package init() {}

    package static func == (a: Kept, b: Kept) -> Bool {
        a.queuedBytes == b.queuedBytes && a.command?.bytes == b.command?.bytes
            && a.command?.line == b.command?.line
    }
}
