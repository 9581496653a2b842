import Testing
import Text

@Suite struct JSONValueTests {
    private func value(_ text: String) -> JSONValue? { JSONValue(Array(text.utf8)) }

    @Test func `parts of a text are found by name and place`() throws {
        let status = try #require(
            value(#"{"held":3, "ready":true, "log":{"head":-7}, "list":[{"a":"x,]"}, [], 2]}"#)
        )
        #expect(status["held"]?.integer == 3)
        #expect(status["ready"]?.boolean == true)
        #expect(status["log"]?["head"]?.integer == -7)
        let list = try #require(status["list"]?.elements)
        #expect(list.count == 3)
        #expect(list[0]["a"]?.string == "x,]")
        #expect(list[1].elements?.isEmpty == true)
        #expect(list[2].bytes == [0x32])
        #expect(status.members?.map(\.name) == ["held", "ready", "log", "list"])
    }

    @Test(arguments: ["", "{", "[1", "\"a", "{\"a\":\"\\", "{} {}", "nul", "{\"a\"", "\u{0}"])
    func `what is no JSON is no value`(text: String) { #expect(value(text) == nil) }

    @Test func `a value of another kind is none`() throws {
        let object = try #require(value(#"{"a":"1","b":1.5,"c":null,"d":{},"e":[]}"#))
        #expect(object["a"]?.integer == nil)
        #expect(object["b"]?.integer == nil)
        #expect(object["b"]?.string == nil)
        #expect(object["c"]?.boolean == nil)
        #expect(object["d"]?.elements == nil)
        #expect(object["e"]?.members == nil)
        #expect(object["d"]?.members?.isEmpty == true)
        #expect(object["e"]?["a"] == nil)
        #expect(object["f"] == nil)
    }

    @Test func `the deepest value that can be published is read in its envelope`() throws {
        let depth = JSONText.depthLimit
        let deepest = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let line = try #require(value("{\"messages\":[{\"data\":\(deepest)}]}"))
        #expect(line["messages"]?.elements?[0]["data"]?.bytes == Array(deepest.utf8))
    }
}
