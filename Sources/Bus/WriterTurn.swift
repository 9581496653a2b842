import CLinux
import Channels
import System

/// One turn of the writer: a transaction, and the events that the process gets of it afterwards.
struct WriterTurn {
    private let shared: LogShared
    let open: OpenLog

    private(set) var head: Int64 = 0
    private var stamp: Int64 = 0
    private(set) var answered = 0
    private(set) var moreChores = false
    /// Whether others must be woken.
    private(set) var changed = false
    private var others: [CommittedBatch] = []
    var own: CommittedBatch?
    private var raised: [TrimMark] = []
    private var outcomes: [(ticket: UInt64, outcome: AppendOutcome)] = []
    /// The log has another epoch: its whole state is told again.
    private(set) var reopened: (state: LogState, number: Int64, reason: String?)?
    private var reasonForEpoch: String?
    /// Other processes committed more than memory keeps: the newest part is told instead.
    private var resumed: LogState?
    /// What became of the engine's work.
    var result: EngineResult?

    init(_ shared: LogShared, _ open: OpenLog) {
        self.shared = shared
        self.open = open
    }

    /// Under the gate. Appends as many of the group as five milliseconds allow, at least one.
    ///
    /// - Parameters:
    ///   - note: what the witness says now.
    ///   - chores: what was found to be due.
    ///   - isBrief: it fails rather than last much longer than an append.
    mutating func run(
        _ appends: [Append],
        _ note: WakePage.Note,
        chores: WriterDatabase.Chores? = nil,
        engine: EngineWork? = nil,
        isBrief: Bool = false
    ) throws(LogError) {
        let database = open.database
        let time = shared.time()
        moreChores = chores?.mayBeMore ?? false
        let position = shared.position
        guard let opened = position.opened else { throw LogError.problem("the log is closed") }
        var counts = (trimmed: 0, expired: 0)
        let slip = try database.transaction(time, isBrief: isBrief) {
            transaction throws(LogError) in
            // With an engine, what is missing here comes again.
            if database.engine == nil {
                try beginEpochIfBehind(&transaction, opened, position, note.head)
            }
            try readOthers(transaction.state, opened, position, time)
            let epochs = reopened?.state.epochs ?? opened.epochs
            if let engine {
                try perform(engine, &transaction, opened, time)
            } else {
                try append(appends, &transaction, epochs)
            }
            if let chores { try transaction.perform(chores) }
            if !outcomes.isEmpty || engine != nil { try transaction.trimTouched() }
            raised = transaction.raised
            (head, stamp) = (transaction.state.head, transaction.state.trimStamp)
            counts = (transaction.trimmedMessages, transaction.expiredMessages)
            if transaction.leftOver { moreChores = true }
            return transaction.clockSlip
        }
        if abs(slip) >= 10_000 {
            shared.say(
                "the wall clock jumped by \(slip / 1000) s; retention follows elapsed time, and is not affected",
                .notice
            )
        }
        changed = own != nil || reopened != nil
        let bytes = own?.messages.reduce(0) { $0 + $1.body.count }
        let messages = own?.messages.count
        let followed = others.reduce(0) { $0 + $1.messages.count }
        let committed = own != nil
        let state = database.state
        shared.count {
            $0.commits += committed ? 1 : 0
            $0.messagesAppended += messages ?? 0
            $0.bytesAppended += bytes ?? 0
            $0.messagesFollowed += followed
            $0.messagesTrimmed += counts.trimmed
            $0.messagesExpired += counts.expired
            $0.walBytes = database.connection.walPages * Int(database.connection.pageBytes)
            ($0.channels, $0.messagesKept) = (Int(state.channels), Int(state.messages))
        }
    }

    /// Without the gate: reads what other processes committed while this one was stopped, so that they need not wait.
    mutating func catchUp() throws(LogError) {
        let position = shared.position
        guard let opened = position.opened else { return }
        let time = shared.time()
        try open.database.read { () throws(LogError) in
            let state = open.database.state
            (head, stamp) = (position.head, position.stamp)
            guard state.epoch == opened.epochNumber, state.head >= position.head else { return }
            try readOthers(state, opened, position, time)
            (head, stamp) = (state.head, state.trimStamp)
        }
    }

    /// Begins a new epoch if the log ends before an offset that was told.
    private mutating func beginEpochIfBehind(
        _ transaction: inout WriteTransaction,
        _ opened: LogShared.Opened,
        _ position: LogShared.Position,
        _ witnessHead: Int64
    ) throws(LogError) {
        let told = max(witnessHead, position.head)
        let head = transaction.state.head
        guard head < told else { return }
        reasonForEpoch = "the log ends at \(head), but \(told) was committed before"
        try transaction.beginEpoch(
            told: Cursor(epoch: opened.epochs.current, offset: Offset(told)),
            isProved: true
        )
    }

    /// Reads what other processes committed; or the newest part of the log, if it has another epoch or more came than
    /// memory keeps.
    private mutating func readOthers(
        _ state: StateRow,
        _ opened: LogShared.Opened,
        _ position: LogShared.Position,
        _ time: LogTime
    ) throws(LogError) {
        let database = open.database
        guard state.epoch == opened.epochNumber,
            database.engine == nil || state.head >= position.head
        else { return try tellAnew(state, time) }
        guard try database.queries.canFollow(position, upTo: state, shared.settings) else {
            resumed = try newest(state, opened.epochs, time)
            return
        }
        var batches: [CommittedBatch] = []
        try database.queries.follow(
            after: position,
            upTo: state,
            epochs: opened.epochs
        ) { batches.append($0) }
        others = batches
    }

    /// The whole state is reported after the commit, since the epochs have changed or the log has gone back.
    mutating func tellAnew(_ state: StateRow, _ time: LogTime) throws(LogError) {
        guard let epochs = try open.database.queries.epochs() else {
            throw LogError.problem("log.sqlite has no epochs")
        }
        reopened = (try newest(state, epochs, time), state.epoch, reasonForEpoch)
        // What was read before is in it, or above it: the log may have gone back.
        (others, resumed) = ([], nil)
    }

    private func newest(
        _ state: StateRow,
        _ epochs: EpochHistory,
        _ time: LogTime
    ) throws(LogError) -> LogState {
        try open.database.queries.newest(state, epochs, now: time.retention, shared)
    }

    private mutating func append(
        _ appends: [Append],
        _ transaction: inout WriteTransaction,
        _ epochs: EpochHistory
    ) throws(LogError) {
        let previous = transaction.state.head
        let start = appends.count > 1 ? MonotonicClock.microseconds() : 0
        var messages: [Message] = []
        messages.reserveCapacity(appends.count)
        for append in appends {
            let written = try transaction.append(
                append,
                epoch: epochs.current,
                into: &messages
            )
            outcomes.append((append.ticket, Self.outcome(written, epochs)))
            if appends.count > 1,
                MonotonicClock.microseconds() - start > LogWriter.groupMicroseconds
            {
                break
            }
        }
        answered = outcomes.count
        report(messages, of: transaction, after: previous)
    }

    /// Sets the batch that the process gets after the commit: what the transaction has added after this offset.
    mutating func report(
        _ messages: [Message],
        of transaction: WriteTransaction,
        after previous: Int64
    ) {
        guard transaction.state.head > previous else { return }
        own = CommittedBatch(
            previous: Offset(previous),
            head: Offset(transaction.state.head),
            messages: messages,
            trims: transaction.dropped,
            // Channels forgotten beyond it are in the marks.
            forgottenThrough: Offset(min(transaction.state.forgottenThrough, previous))
        )
    }

    private static func outcome(
        _ written: WriteTransaction.Written,
        _ epochs: EpochHistory
    ) -> AppendOutcome {
        func ids(_ first: Int64, _ count: Int64) -> [Cursor] {
            (first..<first + count).map {
                Cursor(epoch: epochs.epoch(of: Offset($0)), offset: Offset($0))
            }
        }
        return switch written {
        case .committed(let first, let count): .committed(ids: ids(first, count))
        case .repeated(let first, let count): .repeated(ids: ids(first, count))
        case .conflict: .conflict
        case .overQuota(let seconds): .overQuota(retrySeconds: seconds)
        case .noMoreChannels: .noMoreChannels
        }
    }

    /// Under the gate, after the commit.
    func writeWitness(_ page: WakePage, _ note: WakePage.Note) {
        guard changed else { return }
        let isSynced = shared.settings.durability == .power && note.isSynced
        if note.isSynced, !isSynced { page.note(isSynced: false) }
        if let reopened, var witness = page.witness {
            (witness.head, witness.epoch) = (head, reopened.state.epochs.current.name)
            page.write(witness)
        }
        page.note(head: head, isSynced: isSynced)
    }

    /// After the commit: wakes the other processes, and tells this one in the order that `LogEvent` promises.
    func tell(_ shared: LogShared, _ open: OpenLog) {
        if let reopened {
            if let reason = reopened.reason {
                shared.say("new epoch \(reopened.state.epochs.current): \(reason)", .warning)
            }
            shared.tell(
                opened: reopened.state,
                stamp: stamp,
                as: LogShared.Opened(
                    paths: open.paths,
                    page: open.page,
                    epochs: reopened.state.epochs,
                    epochNumber: reopened.number
                )
            )
        }
        if changed {
            shared.noteCommitted(head)
            // Another epoch may leave the offset, and so the bell, as it was.
            if reopened == nil { open.page.wakeOthers() } else { open.page.ringForOthers() }
        }
        var events: [LogEvent] = []
        if let resumed { events.append(.resumed(resumed)) }
        for batch in others { events.append(.committed(batch)) }
        if let own { events.append(.committed(own)) }
        if !raised.isEmpty {
            let head = Offset(head)
            events.append(
                .committed(CommittedBatch(previous: head, head: head, messages: [], trims: raised))
            )
        }
        for (ticket, outcome) in outcomes {
            events.append(.appended(ticket: ticket, outcome))
        }
        if case .isAt(let position)? = result { shared.link?.isAt(position) }
        shared.tell(events, head: head, stamp: stamp)
    }
}
