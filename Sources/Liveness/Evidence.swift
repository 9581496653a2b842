/// Counts how departures behind a front end came to light, and decides whether chance explains those that looked
/// hidden.
///
/// Some departures that a front end shows look as if it hid them: one that happens just after a probe looks like a
/// reaction to it, and two tabs with one id overtake each other. The number expected by chance grows with each sign,
/// and only an excess of three times its standard deviation counts. So a front end that shows one kind of departure
/// (resets, HTTP/2) and hides another is found out, however many it shows.
package struct Evidence: Equatable, Sendable {
    /// Departures that showed by themselves.
    package var shown = 0
    /// Departures that came to light right after a probe or a heartbeat.
    package var revealed = 0
    /// Departures that had not shown when the subscriber came back.
    package var overtaken = 0
    /// The number of departures that would look hidden by chance.
    package var expected = 0.0
    /// Seconds in which a departure showed by itself. A front end that restarts closes all connections within a second
    /// or two, which says nothing about departures.
    package var seconds = 0
    /// Monotonic milliseconds.
    package var lastShownAt = Int64.min

    package init() {}

    /// Old signs count less: above this number, all counts are halved.
    private static let memory = 4096
    /// One overtaken among this many shown is a page that came back before its departure had arrived.
    private static let overtakenByChance = 1.0 / 32
    private static let fewestSeconds = 16

    /// - Parameters:
    ///   - chance: the probability that a departure which shows by itself looks like a reaction to a probe.
    ///   - now: monotonic milliseconds.
    mutating func add(_ sign: ProbePolicy.Sign, chance: Double, at now: Int64) {
        switch sign {
        case .shown:
            shown += 1
            expected += chance + Self.overtakenByChance
            if lastShownAt == .min || now - lastShownAt >= 1000 {
                seconds += 1
                lastShownAt = now
            }
        case .revealed:
            revealed += 1
            expected += chance
        case .overtaken: overtaken += 1
        }
        guard shown + revealed + overtaken > Self.memory else { return }
        shown /= 2
        revealed /= 2
        overtaken /= 2
        expected /= 2
    }

    /// Requires the front end to show departures anew.
    mutating func expectShowing() { seconds = 0 }

    /// Whether it hides more departures than chance explains.
    var hidesSome: Bool { excess >= max(2.5, 3 * expected.squareRoot()) }

    /// Whether it shows departures, over some time, and hides no more of them than chance explains.
    var showsAll: Bool { seconds >= Self.fewestSeconds && excess < scatter }

    /// Whether probes or heartbeats have revealed departures; the second one makes it certain.
    var isProbedWell: Bool { revealed >= 2 && Double(revealed) - expected >= 1.5 * scatter }

    private var excess: Double { Double(revealed + overtaken) - expected }
    private var scatter: Double { max(1, expected.squareRoot()) }
}
