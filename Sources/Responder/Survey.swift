internal import Channels
internal import Endpoint
internal import Glibc
internal import Reactor
internal import Text

/// A question to all processes of the bus, and who asked it.
final class Survey {
    enum Asker {
        case status(Shape)
        case metrics(Shape)
        /// On the bus socket, with the place of its answer.
        case line(BusCommand, place: Int)
        /// Those who watch the figures.
        case watchers
        /// What the log keeps is known; how many wait is asked.
        case channels(ChannelsRequest, ChannelListing)
        case listing(BusListing, place: Int, ChannelListing)
    }

    let asker: Asker
    /// How many were asked, and who of them has answered.
    var asked = 0
    var answered: Set<String> = []
    var snapshots: [Snapshot] = []
    /// Who waits in other processes.
    var waiting: [ChannelName: Int] = [:]

    init(_ asker: Asker) { self.asker = asker }
}

/// Asking the other processes of the bus.
extension Responder {
    /// How long a process may take; one that is stopped must not keep the others waiting.
    private static let patienceMilliseconds: Int64 = 300

    func survey(_ requester: Requester, _ asker: Survey.Asker) {
        let survey = Survey(asker)
        let ticket = lastTicket + 1
        let question: SiblingMessage =
            switch asker {
            case .status, .metrics, .line, .watchers: .question(ticket)
            case .channels(_, let listing), .listing(_, _, let listing):
                .whoWaits(
                    ticket,
                    from: listing.entries.first?.name.text ?? "",
                    through: listing.entries.last?.name.text ?? ""
                )
            }
        survey.asked = siblings?.tell(question.bytes).count ?? 0
        guard survey.asked > 0 else { return conclude(survey, requester) }
        _ = wait(requester, .survey(survey), milliseconds: Self.patienceMilliseconds)
    }

    func answered(_ ticket: UInt64, _ sender: String, _ take: (Survey) -> Void) {
        if let (own, survey) = statusSurvey, own == ticket {
            if survey.answered.insert(sender).inserted { take(survey) }
            return
        }
        guard case .survey(let survey) = pending[ticket]?.work,
            survey.answered.insert(sender).inserted
        else { return }
        take(survey)
        guard survey.answered.count >= survey.asked, let waiting = self.take(ticket) else { return }
        conclude(survey, waiting.requester)
    }

    /// Answers with what has come.
    func conclude(_ survey: Survey, _ requester: Requester) {
        func held(_ channel: ChannelName) -> Int {
            audience.holders(of: channel).adding(survey.waiting[channel] ?? 0)
        }
        switch survey.asker {
        case .status(let shape): answer(requester, statusPage(shape, overview(survey)))
        case .metrics(let shape): answer(requester, metricsPage(shape, overview(survey)))
        case .watchers: preconditionFailure("they have no requester")
        case .line(let command, let place):
            replyLater(requester, place, command.status(statusMembers(overview(survey))))
        case .channels(let request, let listing):
            answer(requester, request.answer(listing, held: held))
        case .listing(let request, let place, let listing):
            replyLater(requester, place, request.reply(listing, held: held))
        }
    }

    /// Tells those who watch the figures what has come of them in the last second, and asks the other processes anew.
    func tellStatus() {
        statusLookAt = .max
        let watchers = audience.interests(in: .status)
        guard !watchers.isEmpty else {
            statusSurvey = nil
            return
        }
        statusLookAt = now + 1000
        let survey = statusSurvey?.survey ?? Survey(.watchers)
        let members = statusMembers(overview(survey))
        for interest in watchers {
            guard case .stream(let stream) = audience[interest] else { continue }
            sendToAll(interest, stream, stream.status(members))
        }
        lastTicket += 1
        let next = Survey(.watchers)
        statusSurvey = (lastTicket, next)
        next.asked = siblings?.tell(SiblingMessage.question(lastTicket).bytes).count ?? 0
    }

    private func overview(_ survey: Survey) -> Overview {
        let figures = figures
        return Overview(
            figures: figures,
            isService: !isForOneClient,
            snapshots: [snapshot(figures)] + survey.snapshots.sorted { $0.pid < $1.pid },
            // Who came meanwhile may have answered without being asked.
            missing: max(0, survey.asked - survey.snapshots.count)
        )
    }

    func snapshot(_ figures: [Figure]) -> Snapshot {
        Snapshot(
            pid: Int64(getpid()),
            uptimeSeconds: (now - startedAt) / 1000,
            isReady: isReady,
            isServing: isServing,
            values: figures.map(\.value)
        )
    }

    /// Of the names, so that figures of another release are not taken for others.
    static func fingerprint(of figures: [Figure]) -> Int64 {
        var hash = FNV1a<UInt64>()
        for figure in figures { hash.combine((figure.sample ?? figure.family).utf8Span.span) }
        return Int64(bitPattern: hash.value)
    }
}
