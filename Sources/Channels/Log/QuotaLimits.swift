/// How much one publisher may append in a stretch of time.
package struct QuotaLimits: Hashable, Sendable {
    /// Nil: any number.
    package var messages: Int?
    /// Of bodies. Nil: any number.
    package var bytes: Int?
    /// The stretch of time.
    package var seconds = 60

    package init() {}
}
