internal import Bus
internal import Channels
internal import Configuration
internal import Core
internal import Endpoint
internal import Logging

/// The bus: its socket and pipes, and the other processes.
extension Responder {
    // MARK: Socket and pipes

    /// The log is open, perhaps in another directory, or the lock was lost.
    func askToServe() {
        if !isStopping, !takeOver.isWaiting, bus.ask(now: now) { core.forgetPipes() }
    }

    /// This process no longer serves the bus.
    func endServing() {
        bus.end(now: now)
        core.forgetPipes()
    }

    /// Looks whether the socket and the pipes are in their places, and whether this process serves them.
    func lookAfterBus() {
        let isLogOpen = core.position != nil
        if bus.look(settings.limits, isLogOpen: isLogOpen, now: now) { core.forgetPipes() }
    }

    /// Publishes what is due of the pipes.
    func publishPipes() {
        for pipe in bus.duePipes(now: now) { publish(pipe) }
        bus.turnPipes(settings.limits, now: now)
    }

    private func publish(_ pipe: BusService.Pipe) {
        guard core.position != nil else { return bus.postpone(pipe, until: now + 1000) }
        // A pipe that another process may read must not be read here.
        guard bus.isLocked else {
            bus.postpone(pipe, until: .max)
            return askToServe()
        }
        guard let lines = bus.next(pipe, now: now) else { return }
        if !core.publish(lines, ofPipe: pipe, at: moment) {
            bus.postpone(pipe, until: now + 50)
        }
        drain()
    }

    // MARK: The other processes

    /// Tells the core whether there are other processes.
    func knowSiblings() {
        core.siblings(arePresent: siblings.hasOthers, at: moment)
        drain()
    }

    func hearSiblings() {
        for _ in 0..<64 {
            guard let received = siblings.next() else { break }
            switch received {
            case .message(let message, let sender): hear(message, from: sender)
            case .passedOver(let why):
                let sentence =
                    "a message from another process is ignored: \(why)"
                journal.complain(.passedOver, sentence, now: now)
            }
        }
        knowSiblings()
    }

    private func hear(_ message: SiblingMessage, from sender: String) {
        switch message {
        case .question(let number, let wish):
            let bytes = snapshot(wish).encoded
            siblings.answer(.snapshot(number, bytes), to: sender)
        case .whoWaits(let number, let from, let through):
            siblings.answer(.waiting(number, waiting(from: from, through: through)), to: sender)
        case .snapshot(let number, let bytes):
            answered(number, by: sender, .snapshot(Snapshot(bytes)))
        case .waiting(let number, let counts): answered(number, by: sender, .holders(counts))
        case .words(let words) where takeOver.isWaiting: takeOver.keep(words)
        case .words(let words): for word in words { core.heard(word, at: moment) }
        case .here(let members): core.heard(members, at: moment)
        }
        drain()
    }

    /// The waiting requests here for the channels of a listing, as many as fit into a datagram.
    private func waiting(from: String, through: String) -> [(ChannelName, Int)] {
        var counts: [(ChannelName, Int)] = []
        var bytes = 0
        for (name, count) in core.holders where name.text >= from && name.text <= through {
            bytes += name.text.utf8.count + 22
            if bytes > Siblings.datagramBytes - 64 { break }
            counts.append((name, count))
        }
        return counts
    }

    // MARK: Surveys

    /// Asks all processes; without others, the answer is complete at once.
    func survey(_ ticket: Ticket, _ question: SurveyQuestion) {
        let message: SiblingMessage =
            switch question {
            case .metrics, .status: .question(ticket.number, FigureWish(question))
            case .holders(let from, let through):
                .whoWaits(ticket.number, from: from, through: through)
            }
        let asked = siblings.ask(message)
        telemetry.begin(ticket, question, asked: asked)
        if asked == 0 { conclude(ticket) }
    }

    private func answered(_ number: UInt64, by sender: String, _ answer: Telemetry.Answer) {
        if let complete = telemetry.answered(number, by: sender, answer) { conclude(complete) }
    }

    /// Tells the core the result.
    func conclude(_ ticket: Ticket) {
        guard let survey = telemetry.take(ticket) else { return }
        let result: SurveyResult =
            switch survey.question {
            case .metrics(let format): .text(Array(overview(survey).text(format).utf8))
            case .status: .text(statusMembers(of: survey))
            case .holders: .holders(survey.holders)
            }
        core.surveyed(ticket, result, at: moment)
    }

    /// Gives watchers of the figures the result of the last second, and asks the other processes again.
    func tellFigures(areWatched: Bool) {
        let survey =
            telemetry.takeWatch() ?? Telemetry.Survey(.status(withHistory: false), asked: 0)
        guard areWatched else { return }
        core.figures(statusMembers(of: survey), at: moment)
        telemetry.beginWatch(asked: siblings.ask(.question(telemetry.nextWatch())))
    }
}
