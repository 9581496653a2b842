/// A text that equals another only if their bytes are equal.
///
/// `String` considers texts equal that Unicode calls equivalent, such as an `é` of one scalar and one of two. Clients
/// that are identified by a text that others can choose would be confused with each other.
package struct ExactText: Hashable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (one: ExactText, other: ExactText) -> Bool {
        one.text.utf8.elementsEqual(other.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
        // This byte occurs in no UTF-8, so concatenated texts stay distinct.
        hasher.combine(0xFF as UInt8)
    }
}
