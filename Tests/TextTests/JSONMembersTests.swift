import Testing
import Text

@Suite struct JSONMembersTests {
    private func without(_ name: String, _ text: String) -> String {
        String(decoding: JSONMembers.without(name, Array(text.utf8)), as: UTF8.self)
    }

    @Test(arguments: [
        (#"{"kind":"message","data":{"kind":1},"id":"k-1"}"#, #"{"data":{"kind":1},"id":"k-1"}"#),
        (#"{"id":"k-1","kind":[1,{}]}"#, #"{"id":"k-1"}"#),
        (#"{"kind":0}"#, "{}"),
        (#"{"a\"b":1.50,"x":"\u00e9"}"#, #"{"a\"b":1.50,"x":"\u00e9"}"#),
        ("{}", "{}"), ("[1]", "[1]"),
    ])
    func `an object without a member has the others in their order, as they stand`(
        text: String,
        rest: String
    ) {
        #expect(without("kind", text) == rest)
    }
}
