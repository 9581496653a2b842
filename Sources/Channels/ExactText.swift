/// A text that equals another only byte for byte.
///
/// To `String` two texts are equal that Unicode calls equivalent, as an `é` in one piece and one of two: whoever is
/// compared or looked up by a text that others chose would be taken for somebody else.
package struct ExactText: Hashable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (one: ExactText, other: ExactText) -> Bool {
        one.text.utf8.elementsEqual(other.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
        // No UTF-8 has this byte, so that texts which follow each other stay apart.
        hasher.combine(0xFF as UInt8)
    }
}
