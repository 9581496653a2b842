/// Why something fails that is attempted again and again: logged once, and again when the reason is another one.
package struct LastingReason: Sendable {
    private var last = ""

    package init() {}

    /// Whether the sentence is not the one of the last attempt.
    package mutating func isNew(_ sentence: String) -> Bool {
        defer { last = sentence }
        return sentence != last
    }

    /// An attempt has succeeded.
    package mutating func end() { last = "" }
}
