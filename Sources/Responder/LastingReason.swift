/// Why something fails that is attempted again and again: logged once, and again when the reason is another one.
struct LastingReason {
    private var last = ""

    /// Whether the sentence is not the one of the last attempt.
    mutating func isNew(_ sentence: String) -> Bool {
        defer { last = sentence }
        return sentence != last
    }

    /// An attempt has succeeded.
    mutating func end() { last = "" }
}
