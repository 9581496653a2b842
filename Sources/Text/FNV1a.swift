/// FNV-1a (Fowler, Noll, Vo), over 64 or 128 bits: not secret, but the same in every process and release, unlike
/// Swift's own hash.
package struct FNV1a<Word: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    package private(set) var value: Word
    private let prime: Word

    fileprivate init(offsetBasis: Word, prime: Word) {
        value = offsetBasis
        self.prime = prime
    }
}

extension FNV1a<UInt64> {
    package init() { self.init(offsetBasis: 0xcbf2_9ce4_8422_2325, prime: 0x100_0000_01b3) }

    package mutating func combine(_ bytes: Span<UInt8>) { add(bytes) }

    package static func of(_ text: String) -> UInt64 { of(text.utf8Span.span) }

    package static func of(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = FNV1a()
        hash.combine(bytes)
        return hash.value
    }

    /// The hash finished with the mixer of SplitMix64, so that each bit depends on every byte.
    package static func mixed(_ text: String) -> UInt64 { mixed(text.utf8Span.span) }

    package static func mixed(_ bytes: Span<UInt8>) -> UInt64 {
        var mixed = of(bytes)
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension FNV1a<UInt128> {
    package init() {
        self.init(
            offsetBasis: 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
            prime: 0x0000_0000_0100_0000_0000_0000_0000_013b
        )
    }

    package mutating func combine(_ bytes: Span<UInt8>) { add(bytes) }

    /// Its eight bytes, the least significant first.
    package mutating func combine(_ number: Int) {
        for shift in stride(from: 0, to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: number >> shift))
        }
    }
}

extension FNV1a {
    private mutating func add(_ byte: UInt8) { value = (value ^ Word(byte)) &* prime }

    private mutating func add(_ bytes: Span<UInt8>) {
        for at in 0..<bytes.count { add(bytes[at]) }
    }
}
