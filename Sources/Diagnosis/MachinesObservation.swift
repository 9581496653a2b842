/// The state of a machine within a site of several machines, by its own status.
package struct MachinesObservation: Equatable, Sendable {
    /// The newest group of the engine's log.
    package let head: Int?
    /// How many groups the machine lacks; nil if no process knows.
    package let lagGroups: Int?
    /// For how long it has lacked something; nil if the engine was not asked yet.
    package let lagMilliseconds: Int?
    /// `max_lag`, after which the machine is not ready.
    package let limitSeconds: Int?
    package let canPublish: Bool
    package let canFollow: Bool?
    package let machines: Int
    /// How many of them have not reported for a minute.
    package let away: Int

    package init(
        head: Int?,
        lagGroups: Int?,
        lagMilliseconds: Int?,
        limitSeconds: Int?,
        canPublish: Bool,
        canFollow: Bool?,
        machines: Int,
        away: Int
    ) {
        self.head = head
        self.lagGroups = lagGroups
        self.lagMilliseconds = lagMilliseconds
        self.limitSeconds = limitSeconds
        self.canPublish = canPublish
        self.canFollow = canFollow
        self.machines = machines
        self.away = away
    }

    package var finding: Finding {
        let seconds = (lagMilliseconds ?? 0) / 1000
        guard canPublish else {
            return problem(
                "Nothing can be published on this machine: PostgreSQL is unreachable or rejects writes; it was "
                    + "up to date \(seconds) s ago. Subscribers get what this machine has.",
                ["holdfast check", "journalctl -u holdfast   (it says why)"]
            )
        }
        if canFollow == false {
            return problem(
                "What other machines publish does not arrive on this machine; it was up to date \(seconds) s ago.",
                ["holdfast check", "journalctl -u holdfast   (it says why)"]
            )
        }
        if isLevel {
            let sentence = "This machine is up to date\(group); \(others)"
            guard away > 0 else { return Finding(.machines, .ok, sentence + ".") }
            return Finding(
                .machines,
                .note,
                sentence
                    + ", and \(away) of them \(away == 1 ? "has" : "have") not been seen for a minute.",
                [
                    "holdfast engine status   (which; holdfast engine leave --machine ID removes one for good)"
                ]
            )
        }
        let behind =
            lagGroups.map { "\($0) \($0 == 1 ? "group" : "groups") behind the engine\(group)" }
            ?? "behind the engine"
        let sentence = "This machine is \(behind), and has not been up to date for \(seconds) s"
        guard let limitSeconds, seconds > limitSeconds || lagMilliseconds == nil else {
            return Finding(.machines, .note, "\(sentence); \(others).")
        }
        return problem(
            "\(sentence): what other machines publish arrives late.",
            [
                "holdfast engine status   (how far each machine is)",
                "journalctl -u holdfast   (whether its log has no room, or the engine is slow)",
            ]
        )
    }

    private var isLevel: Bool { lagMilliseconds == 0 && (lagGroups ?? 0) == 0 }

    private var group: String { head.map { " (group \($0))" } ?? "" }

    private var others: String {
        machines == 1 ? "the site has no other machine" : "the site has \(machines) machines"
    }

    private func problem(_ sentence: String, _ advice: [String]) -> Finding {
        Finding(.machines, .problem, sentence, advice)
    }
}
