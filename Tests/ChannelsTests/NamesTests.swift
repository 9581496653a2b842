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

    @Test(arguments: ["", "a//b", "a*", "news/**x", "/", "a b"])
    func `a pattern that could match no name is refused`(text: String) {
        #expect(ChannelPattern(text) == nil)
    }
}
