internal import Channels
internal import Core

/// What the shell counts, and what is asked of all processes of the bus. Reactor thread only.
struct Telemetry {
    var counters = ShellCounters()
    /// Monotonic milliseconds of the start of the process.
    let startedAt: Int64
    /// Lines of the operator's log that could not be written.
    let linesLost: () -> Int
    private var surveys: [UInt64: Survey] = [:]
    /// The one for those who watch the figures, by its own kind of number, which no ticket has.
    private var watch: Survey?
    private var watchNumber: UInt64 = 1 << 63

    /// A question to all processes of the bus, and what has come of it.
    struct Survey {
        let question: SurveyQuestion
        /// How many were asked, and which of them have answered.
        let asked: Int
        fileprivate var answered: Set<String> = []
        fileprivate(set) var snapshots: [Snapshot] = []
        /// How many wait in the other processes.
        fileprivate(set) var holders: [ChannelName: Int] = [:]

        fileprivate var isComplete: Bool { answered.count >= asked }

        init(_ question: SurveyQuestion, asked: Int) {
            self.question = question
            self.asked = asked
        }

        fileprivate mutating func add(_ answer: Answer) {
            switch answer {
            // One of another release counts other things, and is missing.
            case .snapshot(let snapshot): snapshot.map { snapshots.append($0) }
            case .holders(let counts):
                for (name, count) in counts { holders[name, default: 0].add(count) }
            }
        }
    }

    /// What one process says.
    enum Answer {
        case snapshot(Snapshot?)
        case holders([(ChannelName, Int)])
    }

    init(startedAt: Int64, linesLost: @escaping () -> Int) {
        self.startedAt = startedAt
        self.linesLost = linesLost
    }

    // MARK: Surveys

    mutating func begin(_ ticket: Ticket, _ question: SurveyQuestion, asked: Int) {
        surveys[ticket.number] = Survey(question, asked: asked)
    }

    /// Takes a survey out; nil if nobody waits for it.
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

    // MARK: Those who watch

    /// What has come since the last one of these, for those who watch; nil the first time.
    mutating func takeWatch() -> Survey? {
        defer { watch = nil }
        return watch
    }

    /// The number of the next question for them.
    mutating func nextWatch() -> UInt64 {
        watchNumber += 1
        return watchNumber
    }

    mutating func beginWatch(asked: Int) { watch = Survey(.status, asked: asked) }
}
