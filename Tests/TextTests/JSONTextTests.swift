import Foundation
import Testing

@testable import Text

@Suite struct JSONTextTests {
    private func compacted(_ text: String) -> String? {
        (try? JSONText.compacted(Array(text.utf8))).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: [
        "0", "-0", "10", "-1.5e+30", "1E2", "0.0", "true", "false", "null", "\"\"", "[]", "{}",
        "[[],{}]", "{\"a\":{\"\":[1,2]}}", "\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\u{7f}\u{2028}😀\"", "[1e308,1e-400,0e400]", "{\"a\":1,\"a\":2}",
    ])
    func `what the grammar allows stays as it is`(text: String) {
        #expect(compacted(text) == text)
    }

    @Test(arguments: [
        "", " ", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1 2", "tru", "truex",
        "True",
        "nul", "NaN", "Infinity", "\"", "\"\\\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u123",
        "\"\\u12g4\"", "'a'",
        "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,}", "{,}", "{1:2}", "{\"a\" 1}", "{\"a\":1]", "{a:1}", "{\"a\":1 \"b\":2}", ",",
        ":", "[:]",
        "[]]", "{}}", "[],", "\"a\"\"b\"", "\"\t\"", "\"\n\"", "\"\u{0}\"", "\u{0}", "/**/1", "1//",
        "\u{c}1",
        "\u{a0}1", "1\u{FEFF}",
    ])
    func `whatever violates the grammar is refused`(text: String) {
        #expect(compacted(text) == nil)
    }

    /// JavaScript makes infinity of it, and Foundation an error.
    @Test(arguments: ["1e309", "[-1.8e308]", "{\"a\":10000E999999999999999999}"])
    func `a number that no double can be is refused`(text: String) throws {
        #expect(refusal(text) == .largeNumber)
    }

    @Test func `white space goes except in strings`() {
        #expect(
            compacted("\u{FEFF}\t{ \"a b\" :\r\n[ 1 , \" \\\" , \" ] , \"c\":true }\n")
                == "{\"a b\":[1,\" \\\" , \"],\"c\":true}"
        )
    }

    @Test func `depth is bounded`() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(compacted(nested(JSONText.depthLimit)) != nil)
        #expect(compacted(nested(JSONText.depthLimit + 1)) == nil)
        // It is JSON, and was called none.
        #expect(refusal(nested(JSONText.depthLimit + 1)) == .tooDeep)
        #expect(compacted(String(repeating: "{\"a\":[", count: 100_000)) == nil)
    }

    @Test func `what is accepted means the same to Foundation`() {
        func meaning(_ text: String) -> Data? {
            guard
                let value = try? JSONSerialization.jsonObject(
                    with: Data(text.utf8),
                    options: .fragmentsAllowed
                )
            else { return nil }
            return try? JSONSerialization.data(
                withJSONObject: value,
                options: [.fragmentsAllowed, .sortedKeys]
            )
        }
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1", "-2.5", "true", "null", " ",
            "\n", "0", "é",
        ]
        var accepted = 0
        for _ in 0..<10_000 {
            let text = (0..<Int.random(in: 1...7)).map { _ in pieces.randomElement()! }.joined()
            guard let compact = compacted(text) else { continue }
            accepted += 1
            let before = meaning(text)
            #expect(before != nil && meaning(compact) == before, "\(text)")
            #expect(!compact.contains(" ") && !compact.contains("\n"))
        }
        #expect(accepted > 100)
    }

    @Test(arguments: [
        "\"\\ud800\"", "\"\\uDFFF\"", "\"\\ud83d\\ud83d\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"",
        "\"\\ude00\\ud83d\"", "{\"\\udbff\":1}", "[\"\\ud83d\\u0041\"]", "\"\\ud83d",
    ])
    func `half a surrogate pair, which many parsers reject, is refused`(text: String) {
        #expect(compacted(text) == nil)
        #expect(refusal(text) == .halfSurrogate)
    }

    @Test(arguments: ["\"\\ud83d\\ude00\"", "\"\\uD800\\uDC00\\udbff\\udfff\"", "\"\\\\ud800\""])
    func `both halves of a character are taken`(text: String) {
        #expect(compacted(text) == text)
    }

    @Test func `a number too long for many parsers is refused`() {
        let digits = String(repeating: "7", count: 300)
        for number in [digits, "-" + digits.dropLast(), "0." + digits.dropLast(2)] {
            #expect(compacted("[\(number)]") == "[\(number)]")
            #expect(refusal("[\(number)7]") == .longNumber)
        }
        #expect(refusal("1e" + digits) == .longNumber)
    }

    @Test func `what is not UTF-8 is refused`() {
        #expect(throws: JSONError.notUTF8) { try JSONText.compacted([0x22, 0xFF, 0x22]) }
    }

    private func refusal(_ text: String) -> JSONError? {
        do throws(JSONError) {
            _ = try JSONText.compacted(Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }
}
