/// Why a machine of a site is not to be sent clients, the gravest first.
package enum EngineTrouble: CaseIterable, Hashable, Sendable {
    /// Nothing can be published.
    case publishing
    /// What other machines publish does not arrive.
    case following
    /// What other machines publish has not been here for longer than `max_lag`.
    case lagging
    /// The process has not yet had all that the other machines had when it began.
    case catchingUp
}
