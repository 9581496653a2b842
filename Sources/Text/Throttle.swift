/// Lets something pass at most once in a time, such as a line of the log that others can cause at will.
package struct Throttle: Sendable {
    private let milliseconds: Int64
    /// Monotonic milliseconds from which on the next one passes.
    package private(set) var opensAt = Int64.min

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Whether one passes now; if so, the time begins anew.
    ///
    /// - Parameter always: whether it passes in any case.
    package mutating func passes(now: Int64, always: Bool = false) -> Bool {
        guard always || now >= opensAt else { return false }
        opensAt = now + milliseconds
        return true
    }
}
