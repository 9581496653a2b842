import CLinux
import Channels
import System

/// Follows what other processes commit, and reads history; used by one thread at a time.
///
/// It never takes the gate, so a process that is stuck inside stops publishers but not subscribers. It leaves problems
/// with the file to the writer.
final class LogReader {
    private let shared: LogShared
    private var connection: LogConnection?
    private var history: HistoryQueries?
    private var generation = -1
    private var requests: [ReadRequest] = []
    /// The generation for which the writer was asked to check the files, and when.
    private var asked: (generation: Int, at: Int64) = (-1, 0)
    private var nextLook: Int64 = 0

    init(_ shared: LogShared) { self.shared = shared }

    /// Requests to be answered in the next turn.
    func add(_ requests: [ReadRequest]) { self.requests += requests }

    /// Follows other processes and answers requests, once.
    func turn() {
        let position = shared.position
        guard let opened = position.opened else {
            close()
            if !position.isReopening { failRequests() }
            return
        }
        let now = MonotonicClock.milliseconds()
        if now >= nextLook {
            nextLook = now + 1000
            if !opened.paths.checkAll().log { askWriter(position.generation) }
        }
        do throws(LogError) {
            if generation != position.generation { try open(position) }
            guard let connection, let history else { return }
            try connection.use { database throws(LogError) in
                try history.begin.run()
                defer { if database.isInsideTransaction { try? history.end.run() } }
                try read(history, opened, position)
            }
        } catch {
            // The writer finds out what is wrong with the file, if anything. Waiting requests fail.
            close()
            askWriter(position.generation, because: error)
            failRequests()
        }
    }

    /// Within one transaction, begun after `position` was read: all commits that it sees are told before the answers.
    private func read(
        _ history: HistoryQueries,
        _ opened: LogShared.Opened,
        _ position: LogShared.Position
    ) throws(LogError) {
        let state = try history.queries.state()
        // Another epoch, or an end before what was told: requests wait until the writer has told the new state.
        guard state.epoch == opened.epochNumber, state.head >= position.head else {
            askWriter(generation)
            return
        }
        guard try history.queries.canFollow(position, upTo: state, shared.settings) else {
            let newest = try history.queries.newest(
                state,
                opened.epochs,
                now: shared.time().retention,
                shared
            )
            guard position.isCurrent else { return askWriter(generation) }
            if shared.tell(resumed: newest, stamp: state.trimStamp, from: position) {
                answer(history, state, opened, position)
            }
            return
        }
        var followed = 0
        var allTold = true
        try history.queries.follow(
            after: position,
            upTo: state,
            epochs: opened.epochs
        ) { batch in
            // Checked after reading: files that other processes have left may be torn.
            allTold =
                allTold && position.isCurrent
                && shared.tellFollowed(batch, generation: generation)
            if allTold { followed += batch.messages.count }
        }
        shared.count {
            $0.messagesFollowed += followed
            ($0.channels, $0.messagesKept) = (Int(state.channels), Int(state.messages))
        }
        // Otherwise the writer is about to tell and calls the reader again; requests wait until then.
        guard allTold else {
            if !position.isCurrent { askWriter(generation) }
            return
        }
        shared.noteMarks(stamp: state.trimStamp, generation: generation)
        answer(history, state, opened, position)
    }

    private func answer(
        _ history: HistoryQueries,
        _ state: StateRow,
        _ opened: LogShared.Opened,
        _ position: LogShared.Position
    ) {
        let now = shared.time().retention
        let retention = shared.retention
        let requests = self.requests
        self.requests = []
        for request in requests {
            switch request {
            case .history(let request):
                shared.count { $0.historyReads += 1 }
                let result = Result { () throws(LogError) in
                    let page = try history.read(
                        request,
                        state: state,
                        epochs: opened.epochs,
                        now: now,
                        retention: retention
                    )
                    guard position.isCurrent else {
                        throw LogError.problem("log.sqlite was replaced")
                    }
                    return page
                }
                tellResult(result) {
                    .history(ticket: request.ticket, $0)
                }
            case .message(let ticket, let id):
                shared.count { $0.historyReads += 1 }
                let result = Result { () throws(LogError) in
                    try history.message(
                        id,
                        state: state,
                        epochs: opened.epochs,
                        now: now,
                        retention: retention
                    )
                }
                tellResult(result) {
                    .message(ticket: ticket, $0)
                }
            case .channels(let ticket, let selection):
                let result = Result { () throws(LogError) in
                    try history.channels(selection, epochs: opened.epochs)
                }
                tellResult(result) {
                    .channels(ticket: ticket, $0)
                }
            }
        }
    }

    private func tellResult<T>(
        _ result: Result<T, LogError>,
        _ event: (Result<T, ReadFailure>) -> LogEvent
    ) {
        if case .failure(let error) = result { askWriter(generation, because: error) }
        shared.deliver(event(result.mapError { _ in .unavailable }))
    }

    func failRequests() {
        let requests = self.requests
        self.requests = []
        for request in requests { shared.deliver(request.failed) }
    }

    /// At most once a second for one and the same state.
    private func askWriter(_ generation: Int, because error: LogError? = nil) {
        let now = MonotonicClock.milliseconds()
        if asked.generation == generation, now < asked.at + 1000 { return }
        asked = (generation, now)
        // Files that were replaced meanwhile may be torn, and another program's lock says nothing about them.
        if let error, !error.isBusy, shared.position.isCurrent {
            shared.writerBox.post(.readFailed(error))
        } else {
            shared.writerBox.post(.check)
        }
    }

    private func open(_ position: LogShared.Position) throws(LogError) {
        close()
        guard let opened = position.opened, shared.readerOpens(generation: position.generation)
        else { return }
        let connection = try LogConnection(
            path: opened.paths.directory.logPath,
            settings: shared.settings,
            isInMemory: nil
        )
        history = try connection.use { database throws(LogError) in
            try HistoryQueries(database)
        }
        self.connection = connection
        guard position.isCurrent else { throw LogError.problem("log.sqlite was replaced") }
        generation = position.generation
    }

    private func close() {
        // Statements first, so that the connection can close.
        history = nil
        connection = nil
        generation = -1
        shared.readerClosed()
    }
}
