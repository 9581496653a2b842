/// How departures behind a front end came to light, and whether chance explains those that looked hidden.
///
/// Some departures that a front end shows look as if it hid them: one that falls into the moment after a probe passes for
/// an echo of it, and two tabs with one id overtake each other. How many of those chance accounts for is added up with each
/// sign, and only what exceeds it, by three times its usual scatter, counts. So a front end that shows one kind of departure
/// (resets, HTTP/2) and hides another is found out, however many it shows.
package struct Evidence: Equatable, Sendable {
    /// Showed by themselves.
    package private(set) var shown = 0
    /// Came to light right after a probe or a heartbeat.
    package private(set) var revealed = 0
    /// Not shown until the subscriber had come back.
    package private(set) var overtaken = 0
    /// How many of those that look hidden are expected by chance.
    private var expected = 0.0
    /// Seconds in which something showed by itself. A front end that restarts closes all connections in one or two, which
    /// says nothing of departures.
    private var seconds = 0
    private var lastShownAt = Int64.min

    /// What was seen long ago counts less: above so many signs all are halved.
    private static let memory = 4096
    /// One overtaken of so many shown is a page that came back before its departure was through.
    private static let overtakenByChance = 1.0 / 32
    private static let fewestSeconds = 16

    /// - Parameters:
    ///   - chance: that a departure which shows by itself would have passed for an echo.
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

    /// Showing has to be shown anew.
    mutating func expectShowing() { seconds = 0 }

    /// More than chance explains.
    var hidesSome: Bool { excess >= max(2.5, 3 * expected.squareRoot()) }

    /// Shows departures, over some time, and hides no more of them than chance explains.
    var showsAll: Bool { seconds >= Self.fewestSeconds && excess < scatter }

    /// What was sent has revealed departures; the second makes it sure.
    var isProbedWell: Bool { revealed >= 2 && Double(revealed) - expected >= 1.5 * scatter }

    private var excess: Double { Double(revealed + overtaken) - expected }
    private var scatter: Double { max(1, expected.squareRoot()) }
}
