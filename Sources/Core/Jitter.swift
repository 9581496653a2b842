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
