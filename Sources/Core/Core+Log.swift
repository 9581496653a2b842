package import Channels
internal import Configuration
internal import Endpoint

/// Events of the log.
extension Core {
    /// An event of the log. The shell writes `.unavailable` and `.notice` to its own log; after `.unavailable` the core
    /// is not ready.
    ///
    /// - Parameter toldAt: monotonic nanoseconds when the log reported it.
    package mutating func log(_ event: LogEvent, toldAt: Int64, at moment: Moment) {
        enter(moment)
        switch event {
        case .opened(let state): takeUp(state, toldAt: toldAt, isOpening: true)
        case .resumed(let state): takeUp(state, toldAt: toldAt, isOpening: false)
        case .committed(let batch):
            guard let news = knownLog.receive(batch) else { return }
            if let channel = presence.told(news.messages, now: now) { complainOfSections(channel) }
            deliver(news, toldAt: toldAt)
        case .appended(let number, let outcome): appended(Ticket(number), outcome)
        case .history(let number, let outcome):
            if let entry = settle(Ticket(number)) { read(outcome, for: entry) }
            waiting.readEnded(Ticket(number))
        case .message(let number, let outcome):
            if let entry = settle(Ticket(number)) {
                reply(entry.work.reply(outcome), to: entry.recipient)
            }
            waiting.readEnded(Ticket(number))
        case .channels(let number, let outcome):
            if let entry = settle(Ticket(number)) { listed(outcome, for: entry) }
            waiting.readEnded(Ticket(number))
        case .unavailable: knownLog.failed()
        case .engine(let trouble):
            knownLog.engine(trouble)
            presence.setBehind(trouble != nil)
        case .machines(let site): presence.know(site, now: now)
        case .notice: break
        }
    }

    /// The newest position that the core knows of; nil until the log is open.
    package var position: Cursor? {
        mutating get { knownLog.position }
    }

    /// The reason given for a cursor beyond the log's end, after a check that this process is not behind. The log of a
    /// site may have lost what it stands for: after a failover, a machine goes back before it learns of the epoch
    /// that tells of the loss; and what only an absent machine had is lost before any other machine can report it.
    var unissued: GapReason { settings.bus.engine == nil ? .future : .restarted }

    /// The log is open and takes publications.
    package var isLogAvailable: Bool { knownLog.isAvailable }

    /// What `-/ready` says.
    package var isReady: Bool { whyNotReady == nil }

    /// Why a load balancer should send clients elsewhere, as a sentence for everyone; nil: the process is ready.
    package var whyNotReady: String? {
        if isStopping { return "the service is stopping" }
        return knownLog.obstacle(maxLagSeconds: settings.bus.engine?.maxLagSeconds ?? 0)
    }

    // MARK: Answers

    private mutating func read(
        _ outcome: Result<HistoryPage, ReadFailure>,
        for entry: Waiting.Entry
    ) {
        switch entry.work {
        case .poll(let poll, let requester, let question, let epoch):
            read(outcome, for: poll, requester, question, epoch)
        case .replay(let replay, let question, let epoch):
            read(outcome, for: replay, question, epoch)
        case .presenceReading(let reading): readPresence(reading, outcome)
        default: break
        }
    }

    private mutating func listed(
        _ outcome: Result<ChannelListing, ReadFailure>,
        for entry: Waiting.Entry
    ) {
        switch (entry.work, outcome) {
        case (.channels(let request), .success(let listing)):
            survey(.channels(request, listing), for: entry.recipient)
        case (.listing(let request), .success(let listing)):
            switch request.readable(listing) {
            case .listing(let readable): survey(.listing(request, readable), for: entry.recipient)
            case .goOn(let rest): list(rest, for: entry.recipient)
            }
        case (.presenceReading(let reading), _): listPresence(reading, outcome)
        default: reply(entry.work.unavailable, to: entry.recipient)
        }
    }

    private mutating func appended(_ ticket: Ticket, _ outcome: AppendOutcome) {
        guard let entry = settleAppended(ticket) else { return }
        switch (entry.work, entry.recipient) {
        case (.presenceEvent(let event, let round), _):
            presenceAppended(event, outcome, round: round)
        case (.lines, .pipe(let pipe)): actions.append(.piped(pipe, outcome))
        default: reply(entry.work.reply(outcome), to: entry.recipient)
        }
    }

    // MARK: A new log

    /// The log is open, or another one has replaced it, or more was committed than memory keeps.
    private mutating func takeUp(_ state: LogState, toldAt: Int64, isOpening: Bool) {
        // Of the marks of forgotten channels, only the highest is known.
        let floor = min(max(state.floor, state.forgottenThrough), state.head)
        let after = Tail(
            epochs: state.epochs,
            head: state.head,
            floor: floor,
            messages: state.messages.filter { $0.offset > floor },
            trims: state.trims,
            messageLimit: settings.bus.memoryMessages,
            byteLimit: settings.bus.memoryBytes
        )
        // All holds are at the end of the log as it was.
        let before = position
        let epochs = after.epochs
        let verdict = before.map { epochs.verdict(on: $0, head: after.head) }
        if let before, case .valid(let offset) = verdict, offset < after.floor {
            // More was committed than memory keeps: polls ask again, and the log answers them; streams read it.
            releaseAll(.standing(at: before.offset), .behind)
        }
        knownLog.begin(after, isOpening: isOpening)
        switch (before, verdict) {
        case (let before?, .valid(let offset)) where offset < after.floor:
            replayAll(from: before)
            serveCaughtUp(all: isOpening)
        case (_, .valid(let offset)):
            let missed = CommittedBatch(
                previous: offset,
                head: after.head,
                messages: state.messages.filter { $0.offset > offset },
                trims: state.trims.filter { $0.through > offset }
            )
            deliver(missed, toldAt: moment.nanoseconds, servesAll: isOpening)
        case (let before?, .restarted(let resume)):
            startOver(from: before, resume: resume)
            serveCaughtUp(all: isOpening)
        case (let before?, .future):
            startOver(from: before, resume: after.head)
            serveCaughtUp(all: isOpening)
        case (nil, _), (_, nil): serveCaughtUp(all: isOpening)
        }
        if !isForOneClient { loadPresence() }
    }

    mutating func releaseAll(_ page: HistoryPage, _ ending: Ending) {
        var encoded = Encoded()
        for interest in holds.interests {
            guard case .answer(let subscription) = holds.interest(interest) else { continue }
            release(interest, subscription, page, ending, &encoded)
        }
    }

    mutating func replayAll(
        from position: Cursor,
        owing gap: (reason: GapReason, resumed: Cursor)? = nil
    ) {
        for interest in holds.interests {
            guard case .stream(let stream) = holds.interest(interest) else { continue }
            while let slot = holds.first(ofInterest: interest) {
                replayAgain(slot, stream, from: position, owing: gap)
            }
        }
    }

    /// Another log has replaced the one to which the holds belong.
    ///
    /// The gap is owed from now on, although each stream is judged again when it goes on: a log that went back within its
    /// epoch may have grown beyond the position until then, which would seem valid.
    mutating func startOver(from position: Cursor, resume: Offset) {
        guard let epoch = knownLog.epoch else { return }
        let resumed = Cursor(epoch: epoch, offset: resume)
        for replay in replays.all where replay.fallsBack(from: position, to: resumed) {
            // What it has asked for begins behind that.
            guard let ticket = replay.takeTicket() else { continue }
            _ = settle(ticket)
            agenda.append(.replay(replay))
        }
        replayAll(from: position, owing: (.restarted, resumed))
        releaseAll(.standing(at: resume, gap: .restarted), .gap)
    }
}

extension HistoryPage {
    /// Holds at this offset are to ask again from there.
    static func standing(at offset: Offset, gap: GapReason? = nil) -> HistoryPage {
        HistoryPage(messages: [], scanned: offset, more: false, gap: gap, newest: offset)
    }
}
