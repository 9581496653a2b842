import Testing
import Text

@Suite struct PartsTests {
    @Test(arguments: [
        ("", "", true), ("a", "", true), ("", "a", false), ("abc", "abc", true),
        ("ab", "abc", false),
        ("xxab", "ab", true), ("aab", "ab", true), ("abab", "ba", true), ("abc", "ac", false),
        ("grün", "ü", true),
    ])
    func `a part of a text is found wherever it stands`(text: String, part: String, found: Bool) {
        #expect(text.includes(part) == found)
        #expect(Array(text.utf8).includes(Array(part.utf8)) == found)
    }

    @Test func `parts of a text are replaced from its beginning`() {
        #expect("it's 'so'".replacing(part: "'", with: "''") == "it''s ''so''")
        #expect("<head><head>".replacing(part: "<head>", with: "<h>", atMost: 1) == "<h><head>")
        // What was put in is not looked at again, and neither is the end of a part already replaced.
        #expect("aaa".replacing(part: "aa", with: "aaa") == "aaaa")
        #expect("".replacing(part: "a", with: "b") == "")
        #expect("abc".replacing(part: "c", with: "") == "ab")
    }

    @Test func `random names have 16 digits and differ`() {
        let names = Set((0..<1000).map { _ in String.randomName() })
        #expect(names.count == 1000)
        #expect(
            names.allSatisfy {
                $0.utf8.count == 16 && $0.utf8.allSatisfy { $0.hexadecimalValue != nil }
            }
        )
    }
}
