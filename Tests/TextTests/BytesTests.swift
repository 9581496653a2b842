import Foundation
import Testing
import Text

@Suite struct BytesTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0000-01-01T00:00:00.000Z"),
    ])
    func `times are written in ISO 8601`(milliseconds: Int64, text: String) {
        var bytes: [UInt8] = []
        bytes.append(timeMilliseconds: milliseconds)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
        var seconds: [UInt8] = []
        seconds.append(timeMilliseconds: milliseconds, showsMilliseconds: false)
        #expect(String(decoding: seconds, as: UTF8.self) == text.dropLast(5) + "Z")
    }

    @Test(arguments: [
        0, 9, 10, 99, 100, 1_234_567, -1, -10, 9_999_999_999_999_999, 10_000_000_000_000_000,
        -9_999_999_999_999_999, .max, .min,
    ])
    func `whole numbers are written in decimal`(value: Int) {
        var bytes: [UInt8] = []
        bytes.append(decimal: value)
        #expect(String(decoding: bytes, as: UTF8.self) == String(value))
    }

    @Test(
        arguments: [
            (0, [0, 0, 0, 0, 0, 0, 0, 0]), (0x0102_0304_0506_0708, [1, 2, 3, 4, 5, 6, 7, 8]),
            (.max, [255, 255, 255, 255, 255, 255, 255, 255]),
        ] as [(UInt64, [UInt8])]
    )
    func `numbers of eight bytes begin with the most significant one`(
        number: UInt64,
        bytes: [UInt8]
    ) {
        var written: [UInt8] = []
        written.append(bigEndian: number)
        #expect(written == bytes)
        #expect(UInt64(bigEndianBytes: ([9] + bytes)[1...]) == number)
    }

    @Test(arguments: 0..<10)
    func `bytes are written as base64 is defined`(count: Int) {
        let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 83 &+ 200) }
        var bytes: [UInt8] = []
        bytes.append(base64: source.span)
        #expect(String(decoding: bytes, as: UTF8.self) == Data(source).base64EncodedString())
        #expect([UInt8](base64: Data(source).base64EncodedString()) == source)
    }

    /// Bytes that differ from each other and from the one in question in one bit, or by one.
    @Test(arguments: [0, 1, 0x26, 0x80, 0xff] as [UInt8])
    func `a byte is found where it stands first`(byte: UInt8) {
        let others = (0..<8).map { byte ^ 1 << $0 } + [byte &+ 1, byte &- 1]
        for length in 0..<26 {
            for place in 0...length {
                var bytes = (0..<length).map { others[($0 &* 7 &+ place) % others.count] }
                // Those behind do not count.
                for at in place..<length where at == place || at % 3 == 0 { bytes[at] = byte }
                let found = place < length ? place : nil
                #expect(bytes.span.first(byte, in: 0..<length) == found)
                let start = min(place, 3)
                #expect(bytes.span.first(byte, in: start..<place) == nil)
            }
        }
    }

    @Test(arguments: ["a", "ab", "abc", "abcde", "a===", "====", "ab=c", "a b=", "ab-_", "abcä"])
    func `what is not base64 has no bytes`(text: String) {
        #expect([UInt8](base64: text) == nil)
    }

    @Test(arguments: [
        0, 951_782_399_999, 951_868_799_001, -1, 4_107_542_400_000, 1_796_000_000_123,
    ])
    func `a time that was written is read again`(milliseconds: Int64) {
        var text: [UInt8] = []
        text.append(timeMilliseconds: milliseconds)
        #expect(Int64(timeText: String(decoding: text, as: UTF8.self)) == milliseconds)
    }

    @Test(arguments: [
        "", "2026-01-31T12:00:00Z", "2026-02-30T12:00:00.000Z", "2026-13-01T12:00:00.000Z",
        "2026-01-31 12:00:00.000Z", "2026-01-31T12:60:00.000Z", "20260-1-31T12:00:00.000Z",
    ])
    func `what is no such time is not read`(text: String) {
        #expect(Int64(timeText: text) == nil)
    }
}
