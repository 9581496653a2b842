internal import Channels
internal import DequeModule
internal import Endpoint
internal import FastCGI
internal import Liveness
internal import Text

/// What to do when the log or the other processes have answered.
enum Work {
    case poll(Poll, Requester, Question, Epoch)
    case replay(Replay, Question, Epoch)
    case publish(PublishRequest)
    case message(MessageRequest)
    case channels(ChannelsRequest)
    /// Commands of the bus socket.
    case command(BusPublish)
    case listing(BusListing)
    case busMessage(BusMessage)
    /// A question to the other processes.
    case survey(Survey)
    /// An event of presence for the log, or a question about presence; with the service's round.
    case presenceEvent(PresenceEvent, round: Int)
    case presenceReading(PresenceService.Reading)
    /// Lines of a pipe.
    case lines
    /// Its recipient is gone; the log still has the publication.
    case nothing
}

/// Everything that waits for an answer from the log or from the other processes. Each entry is taken once: when the answer
/// comes, or when its deadline is reached.
struct Waiting {
    struct Entry {
        fileprivate(set) var recipient: Recipient
        fileprivate(set) var work: Work
        /// What it adds to the queue of the log, until the log has answered.
        fileprivate let charge: Charge?
        /// Of a request.
        let tag: RequestTag?

        /// A client on a connection waits for the log.
        fileprivate var waitsForLog: Bool {
            if case .survey = work { false } else { recipient.connection != nil }
        }

        /// The subscriber of its poll.
        var subscriber: UInt64? {
            if case .poll(let poll, _, _, _) = work { poll.origin.subscriber } else { nil }
        }
    }

    struct Charge {
        let messages: Int
        let bytes: Int

        init(_ publication: Publication) {
            messages = max(1, publication.drafts.count)
            bytes = publication.bytes
        }
    }

    /// How long an answer may take.
    enum Patience: Int, CaseIterable {
        case survey, publication, reading, replay

        var milliseconds: Int64 {
            switch self {
            // A process that is stopped must not keep the others waiting.
            case .survey: 300
            case .publication: 2000
            case .reading: 10_000
            case .replay: 30_000
            }
        }
    }

    private struct Key: Hashable {
        let connection: Int32
        let id: RequestID
    }

    private var entries: [UInt64: Entry] = [:]
    private var lastNumber: UInt64 = 0
    private var byRequest: [Key: UInt64] = [:]
    private var bySubscriber: [UInt64: [UInt64]] = [:]
    /// One queue for each patience, so that each is in the order of its deadlines. Some of the entries are taken
    /// already.
    private var deadlines = [Deque<(at: Int64, number: UInt64)>](
        repeating: [],
        count: Patience.allCases.count
    )
    /// The entries for which a client on a connection waits for the log.
    private(set) var count = 0

    /// Polls that wait until the core has the events of what was committed before they came, each with its offset.
    private var behind: [(head: Offset, number: UInt64)] = []

    /// Questions that the log has not been asked yet, and the number of those under way.
    private var reads = [Reads](repeating: Reads(), count: ReadKind.allCases.count)
    /// Whether `nextQuestion` may have one.
    private(set) var mayAskReader = false
    /// The kinds of the questions under way that may wait for other machines.
    private var kinds: [UInt64: ReadKind] = [:]

    private struct Reads {
        var questions: Deque<ReadRequest> = []
        var underWay = 0
    }

    /// Questions that may wait for other machines leave the places of the others free.
    enum ReadKind: Int, CaseIterable {
        case local
        /// For a message that is not known here yet.
        case ahead
        /// Questions whose answer has no messages.
        case lookAhead

        /// Few, so that answers in memory are bounded, and the questions of clients that departed meanwhile are never asked.
        var limit: Int { self == .lookAhead ? 1024 : 16 }
    }

    /// For the reports that the log keeps publishers waiting.
    private var publisherNotices = Throttle(milliseconds: 10_000)

    private var queuedMessages = 0
    private var queuedBytes = 0
    private var charges = 0

    var isEmpty: Bool {
        entries.isEmpty && byRequest.isEmpty && bySubscriber.isEmpty && count == 0
            && deadlines.allSatisfy(\.isEmpty) && behind.isEmpty && kinds.isEmpty
            && reads.allSatisfy { $0.questions.isEmpty && $0.underWay == 0 } && charges == 0
            && queuedMessages == 0 && queuedBytes == 0
    }

    // MARK: Entries

    /// - Parameter patience: nil for entries without a deadline: the log always answers.
    mutating func open(
        _ work: Work,
        for recipient: Recipient,
        _ patience: Patience?,
        charge: Charge? = nil,
        tag: RequestTag? = nil,
        now: Int64
    ) -> Ticket {
        lastNumber += 1
        let entry = Entry(recipient: recipient, work: work, charge: charge, tag: tag)
        entries[lastNumber] = entry
        if let patience {
            deadlines[patience.rawValue].append((now + patience.milliseconds, lastNumber))
        }
        if entry.waitsForLog { count += 1 }
        if case .request(let address) = recipient {
            byRequest[Key(connection: address.connection.index, id: address.id)] = lastNumber
        }
        if let subscriber = entry.subscriber {
            bySubscriber[subscriber, default: []].append(lastNumber)
        }
        if let charge {
            queuedMessages += charge.messages
            queuedBytes += charge.bytes
            charges += 1
        }
        return Ticket(lastNumber)
    }

    subscript(ticket: Ticket) -> Entry? { entries[ticket.number] }

    /// Takes an entry out, once. What the log has of it stays charged until the log answers.
    mutating func take(_ ticket: Ticket) -> Entry? {
        guard let entry = entries[ticket.number] else { return nil }
        if case .nothing = entry.work { return nil }
        unlink(ticket.number, entry)
        if entry.charge == nil {
            entries[ticket.number] = nil
        } else {
            entries[ticket.number]?.recipient = .core
            entries[ticket.number]?.work = .nothing
        }
        dropSettled()
        return entry
    }

    /// The log has answered a publication: its charge ends.
    ///
    /// - Returns: the entry; nil if it was taken before.
    mutating func takeAppended(_ ticket: Ticket) -> Entry? {
        guard let entry = entries.removeValue(forKey: ticket.number) else { return nil }
        if let charge = entry.charge {
            queuedMessages -= charge.messages
            queuedBytes -= charge.bytes
            charges -= 1
        }
        if case .nothing = entry.work { return nil }
        unlink(ticket.number, entry)
        dropSettled()
        return entry
    }

    private mutating func unlink(_ number: UInt64, _ entry: Entry) {
        if entry.waitsForLog { count -= 1 }
        if case .request(let address) = entry.recipient {
            let key = Key(connection: address.connection.index, id: address.id)
            if byRequest[key] == number { byRequest[key] = nil }
        }
        if let subscriber = entry.subscriber {
            bySubscriber[subscriber]?.removeAll { $0 == number }
            if bySubscriber[subscriber]?.isEmpty == true { bySubscriber[subscriber] = nil }
        }
    }

    /// The waiting request with this id, if there is one.
    func ticket(of id: RequestID, on connection: ConnectionID) -> Ticket? {
        guard let number = byRequest[Key(connection: connection.index, id: id)],
            entries[number]?.recipient.connection == connection
        else { return nil }
        return Ticket(number)
    }

    /// The polls of a subscriber, the oldest first.
    func tickets(of subscriber: UInt64) -> [Ticket] {
        bySubscriber[subscriber]?.map { Ticket($0) } ?? []
    }

    /// All that satisfy a condition, the oldest first.
    func tickets(where condition: (Entry) -> Bool) -> [Ticket] {
        entries.filter { condition($0.value) }.keys.sorted().map { Ticket($0) }
    }

    /// The pipes belong to another process now.
    mutating func forgetPipes() {
        for ticket in tickets(where: { if case .lines = $0.work { true } else { false } }) {
            _ = take(ticket)
        }
    }

    /// Whether nothing waits except streams, which can ask again, and the core's own questions about presence.
    var isSettled: Bool {
        entries.values.allSatisfy { entry in
            switch entry.work {
            case .replay, .presenceReading, .nothing: true
            default: false
            }
        }
    }

    // MARK: Deadlines

    /// Monotonic milliseconds of the next deadline.
    var nextDeadline: Int64 { deadlines.reduce(.max) { min($0, $1.first?.at ?? .max) } }

    /// Drops entries that are taken from the fronts of the queues.
    private mutating func dropSettled() {
        for line in deadlines.indices {
            while let first = deadlines[line].first, isSettled(first.number) {
                deadlines[line].removeFirst()
            }
        }
    }

    private func isSettled(_ number: UInt64) -> Bool {
        guard let entry = entries[number] else { return true }
        if case .nothing = entry.work { return true }
        return false
    }

    /// Whether it may be reported that the log keeps a publisher waiting, which then counts as reported: once in ten
    /// seconds.
    mutating func mayNotePublisher(now: Int64) -> Bool {
        publisherNotices.passes(now: now)
    }

    /// An entry whose deadline is reached; each is returned once.
    mutating func nextExpired(now: Int64) -> Ticket? {
        for line in deadlines.indices {
            while let first = deadlines[line].first, first.at <= now {
                deadlines[line].removeFirst()
                // Removed from the queue, so that it is returned once, whatever is done with it.
                if !isSettled(first.number) { return Ticket(first.number) }
            }
        }
        return nil
    }

    // MARK: Polls that wait for events

    mutating func await(_ head: Offset, _ ticket: Ticket) { behind.append((head, ticket.number)) }

    /// Takes the polls that wait for an offset up to this one, in order.
    mutating func takeCaughtUp(_ head: Offset, all: Bool) -> [Ticket] {
        guard !behind.isEmpty else { return [] }
        let caughtUp = behind.filter { all || $0.head <= head }
        guard !caughtUp.isEmpty else { return [] }
        behind.removeAll { all || $0.head <= head }
        return caughtUp.map { Ticket($0.number) }
    }

    /// Drops polls that were taken in other ways.
    mutating func tidy() { behind.removeAll { entries[$0.number] == nil } }

    // MARK: The log's reader

    mutating func queue(_ question: ReadRequest, _ kind: ReadKind) {
        reads[kind.rawValue].questions.append(question)
        mayAskReader = true
    }

    /// The next question that the log may be asked.
    mutating func nextQuestion() -> (ReadRequest, ReadKind)? {
        for kind in ReadKind.allCases where reads[kind.rawValue].underWay < kind.limit {
            if let question = reads[kind.rawValue].questions.popFirst() { return (question, kind) }
        }
        mayAskReader = false
        return nil
    }

    mutating func readBegan(_ ticket: Ticket, _ kind: ReadKind = .local) {
        reads[kind.rawValue].underWay += 1
        if kind != .local { kinds[ticket.number] = kind }
    }

    mutating func readEnded(_ ticket: Ticket) {
        let kind = kinds.removeValue(forKey: ticket.number) ?? .local
        reads[kind.rawValue].underWay -= 1
        mayAskReader = true
    }

    // MARK: The publish queue

    /// Whether the log's queue takes this, too; what is larger than the whole queue goes alone.
    func hasRoom(for publication: Publication, messages: Int, bytes: Int) -> Bool {
        let charge = Charge(publication)
        return charges == 0
            || queuedMessages + charge.messages <= messages && queuedBytes + charge.bytes <= bytes
    }
}
