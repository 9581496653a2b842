// JSON is written in place, part by part, with nothing between the parts: as few bytes as possible. Depth is not
// counted: the last byte shows whether an object or array is empty, for no value ends with an opening bracket.
extension [UInt8] {
    package mutating func openObject() { append(UInt8(ascii: "{")) }
    package mutating func closeObject() { append(UInt8(ascii: "}")) }
    /// Closes an object that is a line or a document of its own.
    package mutating func closeObjectAndLine() { append("}\n") }
    package mutating func openArray() { append(UInt8(ascii: "[")) }
    package mutating func closeArray() { append(UInt8(ascii: "]")) }

    /// Begins an element of an array, or members that are written as they stand: with a comma, unless it is the first.
    package mutating func beginElement() {
        guard let last, last != UInt8(ascii: "{"), last != UInt8(ascii: "[") else { return }
        append(UInt8(ascii: ","))
    }

    /// Begins a member of an object; its value comes next.
    ///
    /// - Parameter name: without anything that would be escaped.
    package mutating func append(member name: StaticString) {
        beginElement()
        append(quoted: name)
        append(UInt8(ascii: ":"))
    }

    /// Begins a member with any name; its value comes next.
    package mutating func append(memberNamed name: String) {
        beginElement()
        append(jsonString: name)
        append(UInt8(ascii: ":"))
    }

    package mutating func append(member name: StaticString, text: String) {
        append(member: name)
        append(jsonString: text)
    }

    /// - Parameter word: without anything that would be escaped.
    package mutating func append(member name: StaticString, word: StaticString) {
        append(member: name)
        append(quoted: word)
    }

    package mutating func append(member name: StaticString, _ integer: Int) {
        append(member: name)
        append(decimal: integer)
    }

    package mutating func append(member name: StaticString, _ boolean: Bool) {
        append(member: name)
        append(boolean ? "true" : "false")
    }

    package mutating func append(member name: StaticString, timeMilliseconds time: Int64) {
        append(member: name)
        append(UInt8(ascii: "\""))
        append(timeMilliseconds: time)
        append(UInt8(ascii: "\""))
    }

    package mutating func append(nullMember name: StaticString) {
        append(member: name)
        append("null")
    }

    private mutating func append(quoted word: StaticString) {
        append(UInt8(ascii: "\""))
        append(word)
        append(UInt8(ascii: "\""))
    }
}
