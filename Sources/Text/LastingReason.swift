/// Why something fails that is attempted again and again: logged once, and again when the reason is another one.
package struct LastingReason: Sendable {
    /// As given last; empty after a success.
    package private(set) var sentence = ""

    package init() {}

    /// Whether the sentence is not the one of the last attempt.
    package mutating func isNew(_ sentence: String) -> Bool {
        defer { self.sentence = sentence }
        return sentence != self.sentence
    }

    /// An attempt has succeeded.
    package mutating func end() { sentence = "" }
}
