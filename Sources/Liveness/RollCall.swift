package import Channels

/// Which machines of a site are present, as one of them finds by how often each has reported to the engine.
///
/// No clocks are compared, and no round counts while the engine is away: a machine is missing if it has not reported in
/// several rounds in which this one did. The later a machine comes in their order, the slower it is to find one
/// missing, so that the consequences are drawn once, unless the first machines do not draw them.
package struct RollCall: Sendable {
    /// This many rounds without a report.
    package static let patience = 6
    /// This many more for each machine that comes before.
    package static let stagger = 2

    private var machines: [MachineID: (seen: Int64, rounds: Int)] = [:]

    package init() {}

    /// Counts a round.
    ///
    /// - Parameter seen: when each machine of the site last reported, by a clock of the engine's.
    package mutating func present(_ seen: [MachineID: Int64], own: MachineID) -> Set<MachineID> {
        for (machine, time) in seen {
            if let known = machines[machine], known.seen == time {
                machines[machine] = (time, known.rounds + 1)
            } else {
                machines[machine] = (time, 0)
            }
        }
        // Machines that have left the site are not waited for.
        for (machine, known) in machines where seen[machine] == nil {
            machines[machine] = (known.seen, max(known.rounds + 1, Self.patience))
        }
        let before = machines.count { $0.key < own && $0.value.rounds < Self.patience }
        let most = Self.patience + Self.stagger * before
        machines = machines.filter { seen[$0.key] != nil || $0.value.rounds < most }
        return Set(machines.filter { $0.value.rounds < most }.keys).union([own])
    }
}
