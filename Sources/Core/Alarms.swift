/// Times at which something is due without an event, except for what has a wheel or a queue of its own.
struct Alarms {
    enum Subject: Int, CaseIterable {
        /// Read again what the log knows of members.
        case presenceReading
        /// Send figures to the streams that show them.
        case figures
    }

    private var times = [Int64](repeating: .max, count: Subject.allCases.count)

    /// Monotonic milliseconds; `.max`: never.
    subscript(subject: Subject) -> Int64 {
        get { times[subject.rawValue] }
        set { times[subject.rawValue] = newValue }
    }

    var next: Int64 { times.reduce(.max, min) }

    /// Whether it is time; the alarm is over then.
    mutating func rings(_ subject: Subject, now: Int64) -> Bool {
        guard self[subject] <= now else { return false }
        self[subject] = .max
        return true
    }
}

/// Random numbers for the jitter of deadlines, where predictability does no harm: xorshift64.
struct Jitter {
    private var state: UInt64

    init(seed: UInt64) { state = max(1, seed) }

    mutating func next() -> UInt32 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt32(truncatingIfNeeded: state >> 32)
    }
}
