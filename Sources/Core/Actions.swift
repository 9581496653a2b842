package import Channels
package import Endpoint
package import FastCGI

/// What the shell is to do, in this order.
///
/// Small values without references: what they are about stands in the arrays of `Actions` beside them.
package enum Action: Sendable, BitwiseCopyable {
    /// Bytes for a peer. Skipped where the connection was lost meanwhile.
    case send(Send)
    /// The core has given the connection up: close it without waiting for what is unsent. It is not told of again.
    case drop(ConnectionID)
    /// Nothing goes on on the connection any more, without a last `send` that would make the shell look: see `standing`.
    case settle(ConnectionID)
    /// A client of the bus socket may be read from again, after `mayRead` had said no.
    case read(ConnectionID)
    /// What a connection makes the process keep has changed: see `kept(of:)`.
    case account(ConnectionID)
    /// `errands[index]`.
    case errand(Int32)
}

/// Bytes for one request, or for one client of the bus socket.
package struct Send: Sendable, BitwiseCopyable {
    package let connection: ConnectionID
    /// `payloads[index]`.
    package let payload: Int32
    /// Written into each record; `.first` for bytes that are sent as they are.
    package let id: RequestID
    package let flags: Flags

    package struct Flags: OptionSet, Sendable, BitwiseCopyable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The last bytes of a request: see `standing` afterwards.
        package static let last = Flags(rawValue: 1)
        /// They belong to what was taken, or are a last word: the bound on unsent bytes does not hold them up.
        package static let unbounded = Flags(rawValue: 2)
    }
}

/// Bytes that one or many are sent. The shell encodes each once.
package struct Payload: Sendable {
    package enum Form: Sendable, BitwiseCopyable {
        /// Records of a whole answer or of its end: stdout with header and body, then END_REQUEST.
        case answer
        /// Records of stdout.
        case part
        /// END_REQUEST alone. No bytes.
        case end
        /// Records already, or lines of the bus socket.
        case plain
    }

    package let form: Form
    /// Of a CGI response; empty but for an answer that begins.
    package var header: [UInt8] = []
    /// What follows the header.
    package var body: [UInt8] = []
    /// The payload whose body this one has as well; its own index where nobody had it before.
    package var bodyIndex: Int32

    package init(_ form: Form, header: [UInt8] = [], body: [UInt8] = [], bodyIndex: Int32) {
        self.form = form
        self.header = header
        self.body = body
        self.bodyIndex = bodyIndex
    }
}

/// What is asked of the shell besides sending.
package enum Errand: Sendable {
    case read(LogRead)
    case append(Append)
    /// A publication of a pipe has come to its end.
    case piped(Int, AppendOutcome)
    /// To the other processes: at the end of the turn.
    case tell(SubscriberWord)
    /// To the other processes: who is on which channels here.
    case tellMembers([PresentMember])
    /// A page of the program's own is asked for: answered by `Core.answer(_:to:)` in the same drain.
    case page(PageRequest, RequestAddress)
    /// Something is asked of all processes; answered by `Core.surveyed`, also where nobody else is there.
    case survey(Ticket, SurveyQuestion)
    /// Its time is over: `Core.surveyed` follows at once, with what has come.
    case endSurvey(Ticket)
    /// A second has passed for those who watch the figures: `Core.figures` follows at once; or nobody watches any more.
    case figures(areWatched: Bool)
    /// So many were given messages by the sends before this, told at this moment (monotonic nanoseconds).
    case delivered(Int, toldAt: Int64)
    case notice(NoticeLevel, String)
    /// A line that others can cause as often as they like, to be written once in a while.
    case complaint(Complaint, String)
    /// The log has not answered a publisher in time; not told again within ten seconds.
    case publisherWaits
}

/// What lines that are told once in a while are about.
package enum Complaint: Hashable, Sendable {
    /// A request began with the id of one that was under way.
    case idInUse
    /// The log remembers no further channel that tells of presence.
    case placelessPresence
    /// A mistake of the web server's, by its kind.
    case mistake(String)
    /// A refusal, by the section of the ini file and the right that decided.
    case refusal(String)
}

/// What is asked of all processes of the bus.
package enum SurveyQuestion: Sendable {
    /// The figures as Prometheus' text.
    case metrics
    /// The figures as members of a JSON object.
    case status
    /// How many wait for each of the channels from one name to another, in the other processes.
    case holders(from: String, through: String)
}

/// What came of it.
package enum SurveyResult: Sendable {
    /// Of `.metrics` and `.status`: the text, of all processes and this one.
    case text([UInt8])
    /// Of `.holders`: the sums over the other processes.
    case holders([ChannelName: Int])
}

/// Actions in their order, and what they are about. One buffer is filled by the core while the shell drains the other.
package struct Actions: ~Copyable {
    package private(set) var entries: ContiguousArray<Action> = []
    package private(set) var payloads: ContiguousArray<Payload> = []
    package private(set) var errands: ContiguousArray<Errand> = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// Bytes of the payloads.
    private(set) var byteCount = 0

    /// Empties it and keeps its room, but not that of a crowd.
    package mutating func removeAll() {
        let keeps = entries.count <= 4096
        entries.removeAll(keepingCapacity: keeps)
        payloads.removeAll(keepingCapacity: keeps)
        errands.removeAll(keepingCapacity: keeps)
        byteCount = 0
    }

    mutating func append(_ action: Action) { entries.append(action) }

    mutating func append(_ errand: Errand) {
        entries.append(.errand(Int32(errands.count)))
        errands.append(errand)
    }

    /// - Returns: the payload's index, for the sends.
    mutating func add(
        _ form: Payload.Form,
        header: [UInt8] = [],
        body: [UInt8],
        sharedWith other: Int32? = nil
    ) -> Int32 {
        let index = Int32(payloads.count)
        byteCount += header.count + (other == nil ? body.count : 0)
        payloads.append(Payload(form, header: header, body: body, bodyIndex: other ?? index))
        return index
    }
}
