import Testing
import Text

@Suite struct FNV1aTests {
    /// Of the test suite by Landon Curt Noll.
    @Test(arguments: [
        ("", 0xcbf2_9ce4_8422_2325 as UInt64), ("a", 0xaf63_dc4c_8601_ec8c),
        ("foobar", 0x8594_4171_f739_67e8),
    ])
    func `64 bits are as published`(text: String, hash: UInt64) {
        #expect(FNV1a<UInt64>.of(text) == hash)
    }

    @Test func `128 bits are as published`() {
        var hash = FNV1a<UInt128>()
        #expect(hash.value == 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
        hash.combine("a".utf8Span.span)
        #expect(hash.value == 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964)
    }

    @Test func `a number counts as its eight bytes`() {
        var (one, other) = (FNV1a<UInt128>(), FNV1a<UInt128>())
        one.combine(0x0102)
        let bytes: [UInt8] = [2, 1, 0, 0, 0, 0, 0, 0]
        other.combine(bytes.span)
        #expect(one.value == other.value)
    }
}
