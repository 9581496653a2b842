internal import Endpoint
internal import Glibc
internal import Reactor

/// A question to all processes of the bus how they are, and who asked it.
final class Survey {
    enum Asker {
        case status(Shape)
        case metrics(Shape)
        /// On the bus socket, with the place of its answer.
        case line(BusCommand, place: Int)
    }

    let asker: Asker
    /// How many were asked.
    var asked = 0
    var snapshots: [Snapshot] = []
    /// Answered, but count other things.
    var missing = 0

    init(_ asker: Asker) { self.asker = asker }
}

/// Asking the other processes of the bus, and answering them.
extension Responder {
    /// How long a process may take; one that is stopped must not keep the others waiting.
    private static let patienceMilliseconds: Int64 = 300

    func survey(_ requester: Requester, _ asker: Survey.Asker) {
        let survey = Survey(asker)
        let ticket = lastTicket + 1
        survey.asked = siblings?.tell(SiblingMessage.question(ticket).bytes) ?? 0
        guard survey.asked > 0 else { return conclude(survey, requester) }
        _ = wait(requester, .survey(survey), milliseconds: Self.patienceMilliseconds)
    }

    func readSiblings() {
        for _ in 0..<64 {
            guard let (bytes, sender) = siblings?.next() else { return }
            switch SiblingMessage(bytes) {
            case .question(let number):
                let figures = figures
                let own = snapshot(figures).encoded(Self.fingerprint(of: figures))
                siblings?.answer(SiblingMessage.snapshot(number, own).bytes, to: sender)
            case .snapshot(let ticket, let bytes): take(bytes, for: ticket)
            case nil: break
            }
        }
    }

    private func take(_ bytes: [UInt8], for ticket: UInt64) {
        guard case .survey(let survey) = pending[ticket]?.work else { return }
        let figures = figures
        let fingerprint = Self.fingerprint(of: figures)
        if let snapshot = Snapshot(bytes, fingerprint: fingerprint, count: figures.count) {
            survey.snapshots.append(snapshot)
        } else {
            survey.asked -= 1
            survey.missing += 1
        }
        guard survey.snapshots.count >= survey.asked, let waiting = take(ticket) else { return }
        conclude(survey, waiting.requester)
    }

    /// Answers with what has come.
    func conclude(_ survey: Survey, _ requester: Requester) {
        let figures = figures
        let overview = Overview(
            figures: figures,
            snapshots: [snapshot(figures)] + survey.snapshots.sorted { $0.pid < $1.pid },
            missing: survey.missing + max(0, survey.asked - survey.snapshots.count)
        )
        switch survey.asker {
        case .status(let shape): answer(requester, statusPage(shape, overview))
        case .metrics(let shape): answer(requester, metricsPage(shape, overview))
        case .line(let command, let place):
            replyLater(requester, place, command.status(statusMembers(overview)))
        }
    }

    private func snapshot(_ figures: [Figure]) -> Snapshot {
        Snapshot(
            pid: Int64(getpid()),
            uptimeSeconds: (now - startedAt) / 1000,
            isReady: isReady,
            isServing: isServing,
            values: figures.map(\.value)
        )
    }

    /// FNV-1a over the names, so that figures of another release are not taken for others.
    private static func fingerprint(of figures: [Figure]) -> Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for figure in figures {
            for byte in (figure.sample ?? figure.family).utf8 {
                hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
            }
        }
        return Int64(bitPattern: hash)
    }
}
