import Channels
import Engine
import System

/// What the engine committed passes through the writer.
extension LogWriter {
    func run(_ work: EngineWork) {
        guard let link = shared.link else { return }
        guard case .begin(let anchor) = work else { return link.results.post(result(of: work)) }
        // A log that is not part of the site yet is not opened before it is known where it begins.
        if open == nil {
            link.begins(at: anchor)
            reopenNow()
        }
        link.results.post(link.position.map { .isAt($0) } ?? .failed)
    }

    private func result(of work: EngineWork) -> EngineResult {
        if case .list = work {
            guard let table = open?.database.engine, let positions = try? table.positions(),
                let end = try? table.end()
            else { return .failed }
            return .positions(positions, end)
        }
        if case .lack = work {
            guard let through = try? open?.database.engine?.lack() else { return .failed }
            return .lack(Offset(through))
        }
        let patience = MonotonicClock.milliseconds() + Self.busyMilliseconds
        let outcome = insist(on: [], engine: work, bytes: work.bytes, rounds: 8, until: patience)
        // Perhaps only a part of it was done: the follower asks for the rest.
        guard case .done = outcome, let lastResult else { return .failed }
        return lastResult
    }

    /// Charges publishers' quotas, which each machine does by itself; passes the publications that are within them on
    /// to the engine. All in one transaction, since what is to be applied waits for it.
    func charge(_ appends: [Append]) {
        do throws(LogError) {
            guard let link = shared.link, let open else {
                throw LogError.problem("the log is closed")
            }
            try open.enterGate(shared)
            defer { open.directory.leave() }
            let outcomes = try open.database.transaction(shared.time()) {
                transaction throws(LogError) -> [QuotaUse.Outcome] in
                var outcomes: [QuotaUse.Outcome] = []
                for append in appends {
                    var quota = QuotaUse()
                    let outcome = try transaction.charge(append, &quota)
                    if case .taken = outcome { try transaction.write(quota, of: append) }
                    outcomes.append(outcome)
                }
                return outcomes
            }
            for (append, outcome) in zip(appends, outcomes) {
                switch outcome {
                case .taken: link.box.post(.append(append))
                case .wait(let microseconds):
                    let seconds = Int(microseconds / 1_000_000) + 1
                    shared.deliver(
                        .appended(ticket: append.ticket, .overQuota(retrySeconds: seconds))
                    )
                case .never:
                    shared.deliver(.appended(ticket: append.ticket, .overQuota(retrySeconds: nil)))
                }
            }
        } catch {
            for append in appends {
                shared.deliver(.appended(ticket: append.ticket, .unavailable))
            }
        }
    }
}
