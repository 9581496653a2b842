internal import Channels
internal import Core
internal import Text

/// The shell's counts, and questions to all processes of the bus. Reactor thread only.
struct Telemetry {
    private(set) var counters = ShellCounters()
    /// Monotonic milliseconds of the start of the process.
    let startedAt: Int64
    /// Lines of the operator's log that could not be written.
    let linesLost: () -> Int
    private(set) var history: FigureHistory
    private var trouble = LastingReason()
    /// Why the log cannot be used, as logged last; empty if it can.
    var logTrouble: String { trouble.sentence }
    /// The last reload was refused, so older settings are in force.
    private(set) var keepsOldSettings = false
    private var surveys: [UInt64: Survey] = [:]
    /// The survey for watchers of the figures, with a kind of number that no ticket has.
    private var watch: Survey?
    private var watchNumber: UInt64 = 1 << 63

    /// A question to all processes of the bus, and the answers so far.
    struct Survey {
        let question: SurveyQuestion
        /// The number of processes asked, and those that have answered.
        let asked: Int
        fileprivate var answered: Set<String> = []
        fileprivate(set) var snapshots: [Snapshot] = []
        /// The number of waiting requests in the other processes.
        fileprivate(set) var holders: [ChannelName: Int] = [:]

        fileprivate var isComplete: Bool { answered.count >= asked }

        init(_ question: SurveyQuestion, asked: Int) {
            self.question = question
            self.asked = asked
        }

        fileprivate mutating func add(_ answer: Answer) {
            switch answer {
            // A process of another release counts other things, and is reported as missing.
            case .snapshot(let snapshot): snapshot.map { snapshots.append($0) }
            case .holders(let counts):
                for (name, count) in counts { holders[name, default: 0].add(count) }
            }
        }
    }

    /// The answer of one process.
    enum Answer {
        case snapshot(Snapshot?)
        case holders([(ChannelName, Int)])
    }

    init(startedAt: Int64, linesLost: @escaping () -> Int) {
        self.startedAt = startedAt
        self.linesLost = linesLost
        history = FigureHistory(now: startedAt)
    }

    // MARK: What happens

    /// A bound was reached.
    mutating func count(_ bound: Bound, _ times: Int = 1) { counters[bound] += UInt64(times) }

    /// A web server has connected.
    mutating func accepted() { counters.accepted += 1 }

    /// So many held requests were given messages.
    ///
    /// - Parameter microseconds: since the log reported them.
    mutating func delivered(_ count: Int, microseconds: Int64) {
        counters.latency.record(microseconds: microseconds, times: count)
    }

    /// The log is open.
    mutating func logOpened() { trouble.end() }

    /// The log cannot be used.
    ///
    /// - Returns: whether the reason is new, and to be logged.
    mutating func logFailed(_ reason: String) -> Bool { trouble.isNew(reason) }

    /// The ini file was read again.
    mutating func reloaded(isRefused: Bool) { keepsOldSettings = isRefused }

    /// Keeps the figures of the slot of the history that has ended.
    ///
    /// - Parameter values: in the order of `Figure.all`.
    mutating func keepHistory(_ values: [Int64], now: Int64) {
        history.record(FigureHistory.figures.map { values[$0] }, now: now)
    }

    // MARK: Handing over

    /// The counts of the processes before this one, in the order of `Figure.all`.
    private(set) var before = [Int64](repeating: 0, count: Figure.all.count)

    /// The figures of this process, with the counts of those before it.
    func values(_ readings: Readings) -> [Int64] {
        zip(Figure.all, before).map { figure, before in
            let value = figure.read(readings)
            return value < 0 ? value : value.adding(before)
        }
    }

    /// Continues the counts of another process.
    ///
    /// - Parameter values: by the names of their samples; those that this release does not count are left out.
    mutating func resume(_ values: [String: Int64], _ history: HandedFigureHistory?) {
        before = Figure.all.map { $0.isCarried ? max(0, values[$0.sample] ?? 0) : 0 }
        self.history.resume(history, totals: FigureHistory.figures.map { before[$0] })
    }

    // MARK: Surveys

    mutating func begin(_ ticket: Ticket, _ question: SurveyQuestion, asked: Int) {
        surveys[ticket.number] = Survey(question, asked: asked)
    }

    /// Removes a survey; nil if nothing waits for it.
    mutating func take(_ ticket: Ticket) -> Survey? { surveys.removeValue(forKey: ticket.number) }

    /// - Returns: the survey that is complete with this answer.
    mutating func answered(_ number: UInt64, by sender: String, _ answer: Answer) -> Ticket? {
        if number == watchNumber {
            if watch?.answered.insert(sender).inserted == true { watch?.add(answer) }
            return nil
        }
        guard surveys[number]?.answered.insert(sender).inserted == true else { return nil }
        surveys[number]?.add(answer)
        return surveys[number]?.isComplete == true ? Ticket(number) : nil
    }

    // MARK: Watchers

    /// The answers since the last call, for watchers; nil the first time.
    mutating func takeWatch() -> Survey? {
        defer { watch = nil }
        return watch
    }

    /// The number of the next question for watchers.
    mutating func nextWatch() -> UInt64 {
        watchNumber += 1
        return watchNumber
    }

    mutating func beginWatch(asked: Int) {
        watch = Survey(.status(withHistory: false), asked: asked)
    }
}
