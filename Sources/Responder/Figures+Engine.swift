internal import Bus

/// Figures of a bus that several machines share; not shown otherwise.
extension Figure {
    static let engine: [Figure] = [
        engine(
            "head",
            "Newest entry of the engine's log that this machine knows of.",
            path: "head",
            .largest
        ) { $0.head },
        engine("applied", "Newest entry that this machine has applied.", path: "applied", .largest)
        { $0.applied },
        engine(
            "lag_groups",
            "Entries of the engine's log that this machine has not applied.",
            path: "lag_groups",
            .largest
        ) { $0.lagGroups },
        engine(
            "lag_seconds",
            "For how long this machine has lacked something that the engine has; 0 while it is up to date.",
            path: "lag_milliseconds",
            .largest,
            divisor: 1000
        ) { $0.lagMilliseconds },
        engine("publishing", "1 while publications reach the engine.", .smallest) {
            $0.canPublish ? 1 : 0
        },
        engine("following", "1 while what other machines publish arrives.", .smallest) {
            $0.canFollow.map { $0 ? 1 : 0 }
        },
        engine("machines", "Machines of the site.", .largest) {
            $0.machines.isEmpty ? nil : Int64($0.machines.count)
        },
        engine(
            "machines_away",
            "Machines of the site that have not reported to the engine for a minute.",
            path: "machines_away",
            .largest
        ) { $0.machines.isEmpty ? nil : Int64($0.machinesAway) },
        engine(
            "outbox",
            "About how many messages that SQL published wait for a machine that takes them.",
            path: "outbox",
            .largest
        ) { $0.outboxMessages },
        engine(
            "outbox_seconds",
            "For how long the oldest of these messages has waited.",
            path: "outbox_milliseconds",
            .largest,
            divisor: 1000
        ) { $0.outboxMilliseconds },
        engineCounter("groups", "Groups of messages that this machine has appended.", "groups") {
            $0.groups
        },
        engineCounter(
            "repeats",
            "Repeated attempts to append a group, after an answer was lost.",
            "repeats"
        ) { $0.repeats },
        failures("refused") { $0.refused },
        failures("unknown") { $0.unknown },
        engineCounter(
            "reconnections",
            "Connections to the engine that replaced a lost one.",
            "reconnections"
        ) { $0.reconnections },
        engineCounter(
            "applied_messages",
            "Messages of all machines, and drops of channels, that this machine has applied.",
            "applied_messages"
        ) { $0.messagesApplied },
        engineCounter("epochs", "Epochs of the site that this machine has applied.", "epochs") {
            $0.epochs
        },
        engineCounter(
            "losses",
            "Epochs that told subscribers of messages that the engine has lost.",
            "losses"
        ) { $0.losses },
        engineCounter(
            "restarts",
            "How often this machine's log began anew because the engine no longer kept the following groups.",
            "restarts"
        ) { $0.restarts },
    ]

    private static func engine(
        _ name: String,
        _ help: String,
        path: String? = nil,
        _ sum: Sum,
        divisor: Int64 = 1,
        read: @escaping @Sendable (EngineFigures) -> Int64?
    ) -> Figure {
        Figure(
            family: "holdfast_engine_\(name)",
            kind: .gauge,
            help: help,
            sample: "holdfast_engine_\(name)",
            path: path.map { "engine.\($0)" },
            sum: sum,
            divisor: divisor,
            read: { $0.engine.flatMap(read) ?? -1 }
        )
    }

    private static func engineCounter(
        _ name: String,
        _ help: String,
        _ path: String,
        label: String = "",
        read: @escaping @Sendable (EngineFigures.Counters) -> Int
    ) -> Figure {
        Figure(
            family: "holdfast_engine_\(name)",
            kind: .counter,
            help: help,
            sample: "holdfast_engine_\(name)_total" + label,
            path: "engine.\(path)",
            sum: .added,
            divisor: 1,
            read: { $0.engine.map { Int64(read($0.counters)) } ?? -1 }
        )
    }

    private static func failures(
        _ outcome: String,
        read: @escaping @Sendable (EngineFigures.Counters) -> Int
    ) -> Figure {
        engineCounter(
            "failures",
            "Publications that were not appended (refused), or that may have been (unknown).",
            outcome,
            label: "{outcome=\"\(outcome)\"}",
            read: read
        )
    }
}
