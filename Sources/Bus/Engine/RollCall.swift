import Channels

/// Which machines of a site are there, in the eyes of one of them, by how often it found that the engine had heard of
/// each since it looked before.
///
/// No clock is compared, and while the engine is away no round is counted: a machine is missed that did not come in
/// several rounds in which this one did. Each machine is slower to miss one than those before it in their order, so that
/// what follows from it is done once, unless the first ones do not do it.
struct RollCall {
    /// So many rounds without a sign.
    static let patience = 6
    /// So many more for each machine that comes first.
    static let stagger = 2

    private var machines: [MachineID: (seen: Int64, rounds: Int)] = [:]

    /// Counts a round.
    ///
    /// - Parameter seen: of each machine of the site when it was here last, by a clock of the engine's.
    mutating func present(_ seen: [MachineID: Int64], own: MachineID) -> Set<MachineID> {
        for (machine, time) in seen {
            if let known = machines[machine], known.seen == time {
                machines[machine] = (time, known.rounds + 1)
            } else {
                machines[machine] = (time, 0)
            }
        }
        // Those that are no part of the site any more are not waited for.
        for (machine, known) in machines where seen[machine] == nil {
            machines[machine] = (known.seen, max(known.rounds + 1, Self.patience))
        }
        let before = machines.count { $0.key < own && $0.value.rounds < Self.patience }
        let most = Self.patience + Self.stagger * before
        machines = machines.filter { seen[$0.key] != nil || $0.value.rounds < most }
        return Set(machines.filter { $0.value.rounds < most }.keys).union([own])
    }
}
