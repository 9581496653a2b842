/// When subscribers' requests came, in monotonic nanoseconds; never the same twice, so that of two requests of a subscriber
/// one came first, also where they queued and begin in the same turn.
struct Timestamps {
    private(set) var last: Int64 = .min

    mutating func next(at nanoseconds: Int64) -> Int64 {
        last = max(nanoseconds, last + 1)
        return last
    }

    /// What another process has given out is not given out here.
    mutating func resume(after other: Int64) { last = max(last, other) }
}
