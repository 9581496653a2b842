internal import Channels
internal import Endpoint

/// The doors of everything that waits for the log or for the other processes, and the questions to the log's reader.
extension Core {
    // MARK: Entries

    mutating func wait(
        _ work: Work,
        for recipient: Recipient,
        _ patience: Waiting.Patience?,
        charge: Waiting.Charge? = nil
    ) -> Ticket {
        if let connection = recipient.connection { connections.wait(connection) }
        var tag: RequestTag?
        if case .request(let address) = recipient { tag = names.tag(of: address) }
        return waiting.open(work, for: recipient, patience, charge: charge, tag: tag, now: now)
    }

    /// Takes the entry of a ticket; nil if it was taken before, or its connection is gone.
    mutating func settle(_ ticket: Ticket) -> Waiting.Entry? { stillThere(waiting.take(ticket)) }

    /// The same for a publication that the log has answered.
    mutating func settleAppended(_ ticket: Ticket) -> Waiting.Entry? {
        stillThere(waiting.takeAppended(ticket))
    }

    private mutating func stillThere(_ entry: Waiting.Entry?) -> Waiting.Entry? {
        guard let entry else { return nil }
        guard let connection = entry.recipient.connection else { return entry }
        // The connection may have closed since, and its slot may have been reused.
        guard connections.isOpen(connection) else { return nil }
        connections.settle(connection)
        if case .request(let address) = entry.recipient, let tag = entry.tag {
            names.act(on: address, tag)
        }
        return entry
    }

    /// Answers the recipient of an entry.
    mutating func reply(_ reply: Reply?, to recipient: Recipient) {
        switch (recipient, reply) {
        case (.request(let address), .answer(let answer)): self.answer(answer, to: address)
        case (.line(let connection, let place), .line(let line)):
            replyLater(connection, place, line)
        default: break
        }
    }

    // MARK: The log's reader

    /// Asks the log's reader once this event is over, or when it has answered other questions.
    mutating func queue(_ question: ReadRequest) { waiting.queue(question, kind(of: question)) }

    private func kind(of question: ReadRequest) -> Waiting.ReadKind {
        switch question {
        case .history(let history): history.looksAhead ? .lookAhead : .local
        case .message(_, let cursor): cursor.offset > knownLog.head ?? .start ? .ahead : .local
        case .channels: .local
        }
    }

    /// Asks the log's reader what it may be asked now.
    mutating func askReader() {
        while let (question, kind) = waiting.nextQuestion() {
            let ticket = Ticket(question.ticket)
            guard let entry = waiting[ticket] else { continue }
            guard let connection = entry.recipient.connection else {
                waiting.readBegan(ticket, kind)
                actions.append(.read(question))
                continue
            }
            guard connections.isOpen(connection) else {
                _ = settle(ticket)
                continue
            }
            waiting.readBegan(ticket, kind)
            if connections[connection].flags.contains(.peerEnded) {
                // It sends nothing any more, and may have closed the whole connection while its request waited.
                look(at: connection, .whole, for: .question(question))
            } else {
                actions.append(.read(question))
            }
        }
    }

    /// Asks the log for a client that sends nothing any more, unless it does not read either: then drops its connection.
    mutating func ask(_ question: ReadRequest, hasLeft: Bool) {
        let ticket = Ticket(question.ticket)
        if let connection = waiting[ticket]?.recipient.connection, connections.isOpen(connection) {
            guard hasLeft else { return actions.append(.read(question)) }
            drop(connection, .closed)
        }
        _ = settle(ticket)
        waiting.readEnded(ticket)
    }

    // MARK: Deadlines

    /// Ends entries that the log or the other processes have not answered in time.
    mutating func endOverdue() {
        while let ticket = waiting.nextExpired(now: now) {
            if case .survey? = waiting[ticket]?.work {
                actions.append(.endSurvey(ticket))
                continue
            }
            guard let entry = settle(ticket) else { continue }
            if entry.work.isPublication { noteWaiting() }
            switch entry.work {
            case .poll(let poll, let requester, _, _): turnAway(poll, requester, .unavailable)
            case .replay(let replay, _, _): endReplay(replay, .unavailable)
            default: reply(entry.work.unavailable, to: entry.recipient)
            }
        }
        waiting.tidy()
    }

    /// Counts a publisher that has waited too long, and reports it once in a while.
    private mutating func noteWaiting() {
        counters[.publishTime] += 1
        if waiting.mayNotePublisher(now: now) { actions.append(.publisherWaits) }
    }
}
