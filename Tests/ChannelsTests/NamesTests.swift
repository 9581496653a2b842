import Channels
import Testing

@Suite struct `Channel names and patterns` {
    @Test(arguments: [
        "a", "chat", "news/sport", "A.b_c-d~e/9", "a/-", "a/~b", "~presence/a", "~presence/a/b",
        "...",
        String(repeating: "x", count: 128),
    ])
    func `a name of the permitted form is taken`(text: String) throws {
        #expect(try ChannelName(text).text == text)
    }

    @Test(arguments: [
        ("", ChannelNameError.empty), ("a b", .forbiddenCharacter), ("a,b", .forbiddenCharacter),
        ("ä", .forbiddenCharacter), ("a\u{0}", .forbiddenCharacter), ("/a", .emptySegment),
        ("a/", .emptySegment), ("a//b", .emptySegment), (".", .dotSegment), ("a/../b", .dotSegment),
        ("-", .reserved), ("-/live", .reserved), ("~presence", .reserved),
        ("~presence/~presence/a", .reserved), ("~presence/-", .reserved), ("~other/a", .reserved),
        (String(repeating: "x", count: 129), .tooLong),
    ])
    func `any other name is refused with its reason`(text: String, reason: ChannelNameError) {
        #expect(throws: reason) { try ChannelName(text) }
    }

    @Test(arguments: [
        ("news", "news", true), ("news", "news/a", false), ("news/*", "news/a", true),
        ("news/*", "news", false), ("news/*", "news/a/b", false), ("news/**", "news", true),
        ("news/**", "news/a/b", true), ("**", "a/b/c", true), ("*", "a/b", false),
        ("**/x", "x", true), ("**/x", "a/b/x", true), ("**/x", "a/x/b", false),
        ("a/**/b/**/c", "a/b/b/c", true), ("a/**/b/**/c", "a/c/c", false), ("*/**", "a", true),
    ])
    func `a pattern matches whole segments`(pattern: String, name: String, matches: Bool) throws {
        #expect(try #require(ChannelPattern(pattern)).matches(try ChannelName(name)) == matches)
    }

    @Test(arguments: [
        ["a/b", "a/*", "a/**", "*/*", "**"], ["secret/**", "**"], ["a/*/c", "a/**/c", "a/**"],
        ["**/secret", "*/*"], ["a/**", "**/b"], ["a/*", "*/b"], ["*/b/**", "**/b/**"],
        ["a/b/**", "a/**/b", "a/**"], ["a", "a/**"], ["a/*/**", "a/**"], ["*/a/*", "**/a/*"],
    ])
    func `of patterns for one channel the most specific goes first`(inOrder: [String]) throws {
        let patterns = inOrder.compactMap { ChannelPattern($0) }
        #expect(patterns.count == inOrder.count)
        for (place, pattern) in patterns.enumerated() {
            for later in patterns[(place + 1)...] {
                #expect(pattern.isMoreSpecific(than: later), "\(pattern) before \(later)")
                #expect(!later.isMoreSpecific(than: pattern), "\(pattern) before \(later)")
            }
            #expect(!pattern.isMoreSpecific(than: pattern))
        }
    }

    /// All patterns of up to three segments against all names of up to four, over two segments.
    @Test func `a pattern goes before every other one that names all of its channels and more`()
        throws
    {
        func texts(_ segments: [String], upTo length: Int) -> [String] {
            guard length > 1 else { return segments }
            let shorter = texts(segments, upTo: length - 1)
            let longest = shorter.filter { $0.split(separator: "/").count == length - 1 }
            return shorter + longest.flatMap { start in segments.map { "\(start)/\($0)" } }
        }
        let names = try texts(["a", "b", "c"], upTo: 4).map { try ChannelName($0) }
        let patterns = texts(["a", "b", "*", "**"], upTo: 3).compactMap { ChannelPattern($0) }
        let matched = patterns.map { pattern in Set(names.filter(pattern.matches)) }
        #expect(patterns.count == 84)
        for (one, ones) in zip(patterns, matched) {
            for (other, others) in zip(patterns, matched) {
                if ones.isStrictSubset(of: others) {
                    #expect(one.isMoreSpecific(than: other), "\(one) before \(other)")
                }
                #expect((ones == others) == one.isEquivalent(to: other), "\(one), \(other)")
                #expect(!(one.isMoreSpecific(than: other) && other.isMoreSpecific(than: one)))
                #expect(one.contains(other) == ones.isSuperset(of: others), "\(one), \(other)")
                let common = one.common(with: other)
                #expect((common == nil) == ones.isDisjoint(with: others), "\(one), \(other)")
                #expect(common.map { one.matches($0) && other.matches($0) } ?? true)
            }
        }
    }

    @Test(arguments: ["", "a//b", "a*", "news/**x", "/", "a b"])
    func `a pattern that could match no name is refused`(text: String) {
        #expect(ChannelPattern(text) == nil)
    }
}
