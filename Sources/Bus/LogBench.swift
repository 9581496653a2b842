import CLinux
import Channels
package import Configuration
import System

/// Measures how fast messages get committed, through the log's public face.
package enum LogBench {
    /// About three seconds each for single messages (the next after the outcome of the last) and for many at once.
    /// The directory is used as it is; the answer is `single N commits/s, grouped N messages/s`.
    package static func run(settings: BusSettings) -> String {
        let outcomes = Mailbox<Result<Int, LogProblem>>(bell: FutexWord())
        let log = Log(
            settings: settings,
            channelLimit: 1000,
            retention: { _ in Retention() },
            deliver: { event in
                switch event {
                case .opened: outcomes.post(.success(0))
                case .appended(_, .committed(let ids)): outcomes.post(.success(ids.count))
                case .appended(_, let outcome):
                    outcomes.post(.failure(LogProblem("an append ended as \(outcome)")))
                case .unavailable(let sentence): outcomes.post(.failure(LogProblem(sentence)))
                case .resumed, .committed, .history, .message, .channels, .notice: break
                }
            }
        )
        log.start()
        defer { log.stop() }
        do {
            guard let channel = try? ChannelName("bench") else { return "" }
            let draft = Draft(
                channel: channel,
                kind: .text,
                contentType: "text/plain",
                body: Array(repeating: UInt8(ascii: "x"), count: 100)
            )
            _ = try wait(outcomes)
            let single = try measure(draft, log, outcomes, inFlight: 1)
            let grouped = try measure(draft, log, outcomes, inFlight: 256)
            return "single \(single) commits/s, grouped \(grouped) messages/s"
        } catch {
            return "the log failed: \(error)"
        }
    }

    private static func measure(
        _ draft: Draft,
        _ log: Log,
        _ outcomes: Mailbox<Result<Int, LogProblem>>,
        inFlight: Int
    ) throws -> Int {
        let start = monotonicMilliseconds()
        var now = start
        var sent = 0
        var committed = 0
        while now < start + 3000 {
            while sent - committed < inFlight {
                log.append(Append(ticket: UInt64(sent), drafts: [draft]))
                sent += 1
            }
            committed += try wait(outcomes)
            now = monotonicMilliseconds()
        }
        let rate = Int64(committed) * 1000 / (now - start)
        while committed < sent { committed += try wait(outcomes) }
        return Int(rate)
    }

    /// Waits for at least one outcome and takes all that are there.
    private static func wait(
        _ outcomes: Mailbox<Result<Int, LogProblem>>
    ) throws -> Int {
        let taken = outcomes.take(waitingMilliseconds: 10_000)
        if taken.isEmpty { throw LogProblem("no outcome came within ten seconds") }
        return try taken.reduce(0) { $0 + (try $1.get()) }
    }
}
