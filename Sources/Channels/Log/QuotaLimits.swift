/// How much one publisher may append in a period.
package struct QuotaLimits: Hashable, Sendable {
    /// Nil: any number.
    package var messages: Int?
    /// Bytes of bodies. Nil: any number.
    package var bytes: Int?
    /// The period.
    package var seconds = 60

    package init() {}
}
