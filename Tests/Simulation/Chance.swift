/// SplitMix64: the same numbers for the same seed, on every machine and in every process.
struct Chance: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// 0 to `count` - 1; 0 if `count` is less than 1.
    mutating func below(_ count: Int) -> Int {
        guard count > 1 else { return 0 }
        return Int(((next() >> 32) &* UInt64(count)) >> 32)
    }

    mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }

    /// True in this many of a thousand cases.
    mutating func happens(_ perMille: Int) -> Bool { below(1000) < perMille }

    /// Nil for an empty array.
    mutating func one<Element>(of elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }
}

/// FNV-1a with 64 bits over everything that happens: two runs with the same digest are the same run.
struct Digest {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }

    mutating func add(_ bytes: some Sequence<UInt8>) { for byte in bytes { add(byte) } }

    mutating func add(_ number: Int) {
        var rest = UInt64(bitPattern: Int64(number))
        for _ in 0..<8 {
            add(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    mutating func add(_ text: StaticString) {
        text.withUTF8Buffer { bytes in for byte in bytes { add(byte) } }
    }
}
