import Channels

/// One process's end of the log: its questions and the log's events for it, in the order that `LogEvent` promises.
///
/// `events` holds those that have not been taken yet: a process may take them much later.
struct LogEnd {
    private(set) var events: [LogEvent] = []
    private var taken = 0
    private var appends: [Append] = []
    private var reads: [ReadRequest] = []
    /// Answers that were read already, and are reported later: what is committed meanwhile comes before them.
    private var late: [LogEvent] = []
    /// Nil while it is not open.
    private var number: Int?
    private var head: Int64 = 0
    private var stamp = 0
    let memoryMessages: Int

    init(memoryMessages: Int) { self.memoryMessages = memoryMessages }

    var isOpen: Bool { number != nil }
    var waitingEvents: Int { events.count - taken }
    var waitingAppends: Int { appends.count }
    var waitingReads: Int { reads.count + late.count }

    mutating func take() -> LogEvent? {
        guard taken < events.count else { return nil }
        let event = events[taken]
        taken += 1
        if taken == events.count || taken > 64 {
            events.removeFirst(taken)
            taken = 0
        }
        return event
    }

    /// The engine's state has changed.
    mutating func engine(_ trouble: EngineTrouble?) { events.append(.engine(trouble)) }

    mutating func append(_ append: Append) { appends.append(append) }
    mutating func read(_ read: ReadRequest) { reads.append(read) }

    /// What this process can see of everything committed.
    func committedHead(_ log: SharedLog) -> Offset? {
        number == nil ? nil : Offset(log.file.head)
    }

    // MARK: The log's threads

    /// Opens it, or finds that it was replaced.
    mutating func open(_ log: SharedLog) {
        guard number != log.file.number else { return }
        let state = log.file.state(
            names: log.names,
            limit: memoryMessages,
            now: log.retention
        )
        events.append(.opened(state))
        (number, head, stamp) = (log.file.number, log.file.head, log.file.stamp)
    }

    mutating func close() {
        number = nil
        events.append(.unavailable("the disk does not answer"))
        for read in reads { events.append(read.failed) }
        events += late
        (reads, late) = ([], [])
    }

    /// Reports what other processes have committed.
    mutating func follow(_ log: SharedLog, _ chance: inout Chance) {
        guard number != nil else { return }
        guard number == log.file.number else { return open(log) }
        guard log.file.canFollow(head, limit: memoryMessages) else {
            let state = log.file.state(
                names: log.names,
                limit: memoryMessages,
                now: log.retention
            )
            events.append(.resumed(state))
            (head, stamp) = (max(head, log.file.head), log.file.stamp)
            return
        }
        var from = head
        // The two threads that follow overlap: one may report again what the other has.
        if chance.happens(50) { from = max(0, head - Int64(chance.below(4))) }
        if !log.file.canFollow(from, limit: memoryMessages) { from = head }
        let batches = log.file.follow(
            after: (from, stamp),
            names: log.names,
            batch: chance.happens(300) ? 2 : 64
        )
        for batch in batches { events.append(.committed(batch)) }
        (head, stamp) = (log.file.head, log.file.stamp)
    }

    /// The fate of a group of appends.
    enum Fate {
        case committed
        /// Nothing is written, and that is reported.
        case failed(AppendOutcome)
    }

    mutating func write(
        _ count: Int,
        _ fate: Fate,
        _ log: inout SharedLog,
        _ chance: inout Chance,
        forgetting: (Int) -> Bool = { _ in false }
    ) {
        let group = Array(appends.prefix(count))
        guard !group.isEmpty else { return }
        appends.removeFirst(group.count)
        if case .failed(let outcome) = fate {
            for append in group { events.append(.appended(ticket: append.ticket, outcome)) }
            return
        }
        guard number != nil else {
            for append in group { events.append(.appended(ticket: append.ticket, .unavailable)) }
            return
        }
        follow(log, &chance)
        let previous = log.file.head
        let written = log.commit(group, forgetting: forgetting)
        if log.file.head > previous {
            events.append(
                .committed(
                    CommittedBatch(
                        previous: Offset(previous),
                        head: Offset(log.file.head),
                        messages: written.messages,
                        trims: written.dropped,
                        forgottenThrough: Offset(min(log.file.forgottenThrough, previous))
                    )
                )
            )
        }
        if !written.raised.isEmpty {
            events.append(
                .committed(
                    CommittedBatch(
                        previous: Offset(log.file.head),
                        head: Offset(log.file.head),
                        messages: [],
                        trims: written.raised
                    )
                )
            )
        }
        (head, stamp) = (log.file.head, log.file.stamp)
        for (ticket, outcome) in written.outcomes {
            events.append(.appended(ticket: ticket, outcome))
        }
    }

    /// Answers up to this many of the questions, in any order; what the answers see is reported before them.
    mutating func answer(_ count: Int, fails: Bool, _ log: SharedLog, _ chance: inout Chance) {
        events += late
        late = []
        guard !reads.isEmpty else { return }
        guard number != nil, !fails else {
            let read = reads.remove(at: chance.below(reads.count))
            events.append(read.failed)
            return
        }
        follow(log, &chance)
        for _ in 0..<count where !reads.isEmpty {
            let read = reads.remove(at: chance.below(reads.count))
            let answer: LogEvent
            switch read {
            case .history(let request):
                let rows = request.channels.compactMap { log.place(of: $0) }
                let reading = log.file.history(
                    request,
                    rows: rows,
                    names: log.names,
                    now: log.retention
                )
                answer = .history(ticket: request.ticket, .success(reading))
            case .message(let ticket, let id):
                let message = log.file.message(id, now: log.retention) { log.place(of: $0) ?? 0 }
                answer = .message(ticket: ticket, .success(message))
            case .channels(let ticket, let selection):
                let listing = log.file.listing(selection, names: log.names)
                answer = .channels(ticket: ticket, .success(listing))
            }
            if count < 100, chance.happens(200) {
                late.append(answer)
            } else {
                events.append(answer)
            }
        }
    }
}
