/// A line for the log that clients can cause as often as they like.
package struct Remark: Sendable {
    /// Repeated lines are rate-limited for each kind. There are as many kinds as causes, whatever requests contain.
    package let kind: String
    /// Without control characters.
    package let sentence: String

    init(_ kind: String, _ sentence: String) { (self.kind, self.sentence) = (kind, sentence) }
}
