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
    }

    @Test(arguments: 0..<10)
    func `bytes are written as base64 is defined`(count: Int) {
        let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 83 &+ 200) }
        var bytes: [UInt8] = []
        bytes.append(base64: source.span)
        #expect(String(decoding: bytes, as: UTF8.self) == Data(source).base64EncodedString())
        #expect([UInt8](base64: Data(source).base64EncodedString()) == source)
    }

    @Test(arguments: ["a", "ab", "abc", "abcde", "a===", "====", "ab=c", "a b=", "ab-_", "abcä"])
    func `what is not base64 has no bytes`(text: String) {
        #expect([UInt8](base64: text) == nil)
    }
}
