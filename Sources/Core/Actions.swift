package import Channels
package import Endpoint
package import FastCGI

/// What the shell is to do, in this order.
///
/// Small values without references; the arrays of `Actions` beside them have what they refer to.
package enum Action: Sendable, BitwiseCopyable {
    /// Bytes for a peer. Skipped if the connection was lost meanwhile.
    case send(Send)
    /// The core has given the connection up: close it without waiting for unsent bytes. The core gets no more events of
    /// it.
    case drop(ConnectionID)
    /// The connection may have become idle without a last `send`: ask `standing`.
    case settle(ConnectionID)
    /// A client of the bus socket may be read from again, after `mayRead` had returned false.
    case read(ConnectionID)
    /// What the process keeps for a connection has changed: ask `kept(of:)`.
    case account(ConnectionID)
    /// Look whether the peer has left, also if no event has reported that yet, and answer at once with `Core.looked`.
    case look(ConnectionID, Departure)
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

    // Evaluated here: outside this module, sets of options go through generic code of the library.
    package var isLast: Bool { flags.contains(.last) }
    package var isBounded: Bool { !flags.contains(.unbounded) }

    package struct Flags: OptionSet, Sendable, BitwiseCopyable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The last bytes of a request: ask `standing` afterwards.
        package static let last = Flags(rawValue: 1)
        /// The bound on unsent bytes does not apply: they belong to something already accepted, or end a stream.
        package static let unbounded = Flags(rawValue: 2)
    }
}

/// Bytes for one or many peers. The shell encodes each payload once.
package struct Payload: Sendable {
    package enum Form: Sendable, BitwiseCopyable {
        /// Records of a whole answer or of its end: stdout with header and body, then END_REQUEST.
        case answer
        /// Records of stdout.
        case part
        /// END_REQUEST alone. No bytes.
        case end
        /// Complete records, or lines of the bus socket.
        case plain
    }

    package let form: Form
    /// Of a CGI response; empty except for an answer that begins.
    package var header: [UInt8] = []
    /// What follows the header.
    package var body: [UInt8] = []
    /// The first payload with this body; its own index if it is the first.
    package var bodyIndex: Int32

    package init(_ form: Form, header: [UInt8] = [], body: [UInt8] = [], bodyIndex: Int32) {
        self.form = form
        self.header = header
        self.body = body
        self.bodyIndex = bodyIndex
    }
}

/// What the shell is to do besides sending.
package enum Errand: Sendable {
    case read(ReadRequest)
    case append(Append)
    /// The outcome of a pipe's publication.
    case piped(Int, AppendOutcome)
    /// Tell the other processes, at the end of the turn.
    case tell(SubscriberWord)
    /// Announce to the other processes which members are on which channels here.
    case tellMembers([PresentMember])
    /// A request for one of the program's own pages: answer it with `Core.made(_:for:)` within the same event.
    case page(PageRequest, RequestAddress)
    /// Ask all processes; answer with `Core.surveyed`, even if there are no others.
    case survey(Ticket, SurveyQuestion)
    /// The survey has timed out: answer at once with `Core.surveyed` and what has come.
    case endSurvey(Ticket)
    /// Every second while streams of the figures are open: answer at once with `Core.figures`. False when none is left.
    case figures(areWatched: Bool)
    /// The number of holds to which the preceding sends give messages, and when the log reported them (monotonic
    /// nanoseconds).
    case delivered(Int, toldAt: Int64)
    case notice(NoticeLevel, String)
    /// A line of the process's own log at the level debug.
    case trace(RequestTrace)
    /// A line that peers can cause as often as they like: to be written at most once in a while.
    case complaint(Complaint, String)
    /// The log has not answered a publisher in time; at most once in ten seconds.
    case publisherWaits
}

/// The subject of a line that is written at most once in a while.
package enum Complaint: Hashable, Sendable {
    /// A request began with the id of one that was under way.
    case idInUse
    /// The log has no room for a further channel with members.
    case placelessPresence
    /// Another machine tells of presence where this one has no section.
    case otherPresence
    /// A mistake of the web server's, by its kind.
    case mistake(String)
    /// A refusal, by the section of the ini file and the right that decided.
    case refusal(String)
}

/// A question for all processes of the bus.
package enum SurveyQuestion: Sendable {
    /// The figures as text of this format.
    case metrics(MetricsFormat)
    /// The figures as members of a JSON object; with those of the last minutes if the process keeps them.
    case status(withHistory: Bool)
    /// How many wait for each of the channels from one name to another, in the other processes.
    case holders(from: String, through: String)
}

/// The answer to a survey.
package enum SurveyResult: Sendable {
    /// Of `.metrics` and `.status`: the text, of all processes and this one.
    case text([UInt8])
    /// Of `.holders`: the sums over the other processes.
    case holders([ChannelName: Int])
}

/// Actions in order, and their payloads and errands. The core fills one buffer while the shell drains the other.
package struct Actions: ~Copyable {
    package private(set) var entries: ContiguousArray<Action> = []
    package private(set) var payloads: ContiguousArray<Payload> = []
    package private(set) var errands: ContiguousArray<Errand> = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// Bytes of the payloads.
    private(set) var byteCount = 0

    /// Empties it. Keeps its capacity unless that is unusually large.
    package mutating func removeAll() {
        if entries.count > 4096 {
            (entries, payloads, errands) = ([], [], [])
        } else {
            entries.empty()
            payloads.empty()
            errands.empty()
        }
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

extension ContiguousArray {
    /// As `removeAll(keepingCapacity: true)`, which costs more than the usual few elements do.
    fileprivate mutating func empty() {
        while !isEmpty { removeLast() }
    }
}
