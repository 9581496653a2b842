import CLinux
package import Channels
import Glibc
import System

/// Measures how fast messages are committed, through the log's public interface.
package enum LogBench {
    /// About three seconds each for single messages (the next after the outcome of the last), for many at once, and for
    /// one message every two milliseconds. Each is given with the CPU time of a message in all threads of the process;
    /// the last one with the median time from the append to its outcome on the thread that waits for it.
    ///
    /// The directory is used as it is; the answer is one line as in `single 18000 commits/s (55.1 us CPU), grouped 200000
    /// messages/s (6.2 us CPU), every 2 ms (80.3 us CPU, 75 us to its outcome)`.
    package static func run(settings: BusSettings) -> String {
        let outcomes = Mailbox<Result<Int, LogError>>(bell: FutexWord())
        let log = Log(
            settings: settings,
            channelLimit: 1000,
            retention: { _ in Retention() },
            deliver: { outcomes.post(contentsOf: $0.compactMap(Self.outcome)) }
        )
        log.start()
        defer { log.stop() }
        do throws(LogError) {
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
            let spaced = try measureSpaced(draft, log, outcomes)
            return "single \(single.rate) commits/s (\(single.cpu) us CPU), "
                + "grouped \(grouped.rate) messages/s (\(grouped.cpu) us CPU), "
                + "every 2 ms (\(spaced.cpu) us CPU, \(spaced.median) us to its outcome)"
        } catch {
            return "the log failed: \(error)"
        }
    }

    /// The number of messages that the event says are committed; nil if it is about something else.
    private static func outcome(_ event: LogEvent) -> Result<Int, LogError>? {
        switch event {
        case .opened: .success(0)
        case .appended(_, .committed(let ids)): .success(ids.count)
        case .appended(_, let outcome): .failure(.problem("an append ended as \(outcome)"))
        case .unavailable(let sentence, _): .failure(.problem(sentence))
        case .resumed, .committed, .history, .message, .channels, .engine, .machines, .notice: nil
        }
    }

    private static func measure(
        _ draft: Draft,
        _ log: Log,
        _ outcomes: Mailbox<Result<Int, LogError>>,
        inFlight: Int
    ) throws(LogError) -> (rate: Int64, cpu: Double) {
        let cpu = ProcessStatus.cpuMicroseconds()
        let start = MonotonicClock.milliseconds()
        var now = start
        var sent = 0
        var committed = 0
        while now < start + 3000 {
            while sent - committed < inFlight {
                log.append(Append(ticket: UInt64(sent), drafts: [draft]))
                sent += 1
            }
            committed += try wait(outcomes)
            now = MonotonicClock.milliseconds()
        }
        let rate = Int64(committed) * 1000 / (now - start)
        while committed < sent { committed += try wait(outcomes) }
        return (rate, perMessage(since: cpu, committed))
    }

    private static func measureSpaced(
        _ draft: Draft,
        _ log: Log,
        _ outcomes: Mailbox<Result<Int, LogError>>
    ) throws(LogError) -> (cpu: Double, median: Int64) {
        let count = 1500
        var times: [Int64] = []
        let cpu = ProcessStatus.cpuMicroseconds()
        var next = MonotonicClock.microseconds()
        for ticket in 0..<count {
            next += 2000
            var pause = timespec()
            pause.tv_nsec = Int(max(0, next - MonotonicClock.microseconds())) * 1000
            _ = unsafe nanosleep(&pause, nil)
            let start = MonotonicClock.microseconds()
            log.append(Append(ticket: UInt64(ticket), drafts: [draft]))
            _ = try wait(outcomes)
            times.append(MonotonicClock.microseconds() - start)
        }
        times.sort()
        return (perMessage(since: cpu, count), times[count / 2])
    }

    /// Microseconds of CPU time, with one decimal.
    private static func perMessage(since start: Int64, _ count: Int) -> Double {
        let used = ProcessStatus.cpuMicroseconds() - start
        return Double(used * 10 / Int64(count)) / 10
    }

    /// Waits for at least one outcome and takes all that are there.
    private static func wait(
        _ outcomes: Mailbox<Result<Int, LogError>>
    ) throws(LogError) -> Int {
        let taken = outcomes.take(waitingMilliseconds: 10_000)
        if taken.isEmpty { throw LogError.problem("no outcome came within ten seconds") }
        var messages = 0
        for outcome in taken { messages += try outcome.get() }
        return messages
    }
}
