/// A value of a JSON text, for looking into it: a range of a text that `JSONText` has accepted.
///
/// Nothing is decoded before it is asked for, so a large value beside a small one costs nothing.
package struct JSONValue: Sendable {
    private let text: [UInt8]
    private let range: Range<Int>

    /// Nil unless all of the text is one valid value.
    package init?(_ text: [UInt8]) {
        // A published value is nested in an object of Holdfast's, or in an array in one.
        let depthLimit = JSONText.depthLimit + 12
        guard let compact = try? JSONText.compacted(text, depthLimit: depthLimit) else {
            return nil
        }
        self.init(compact, 0..<compact.count)
    }

    private init(_ text: [UInt8], _ range: Range<Int>) {
        self.text = text
        self.range = range
    }

    /// The bytes of the value as they are.
    package var bytes: [UInt8] { Array(text[range]) }

    package var string: String? { JSONMembers.string(text, at: range) }

    /// A number without fraction and exponent, within the bounds.
    package var integer: Int? { Int(String(decoding: text[range], as: UTF8.self)) }

    package var boolean: Bool? {
        if text[range].elementsEqual("true".utf8) { return true }
        return text[range].elementsEqual("false".utf8) ? false : nil
    }

    /// The members of an object, else nil.
    package var members: [(name: String, value: JSONValue)]? {
        JSONMembers.of(text, in: range)?.map { ($0.name, JSONValue(text, $0.value)) }
    }

    /// The elements of an array, else nil.
    package var elements: [JSONValue]? {
        JSONMembers.elements(text, in: range)?.map { JSONValue(text, $0) }
    }

    /// The last member of an object with this name.
    package subscript(name: String) -> JSONValue? {
        JSONMembers.of(text, in: range)?.last { $0.name == name }
            .map { JSONValue(text, $0.value) }
    }
}
