/// The state of a machine within its site, as one of its processes knows it.
package struct EngineFigures: Equatable, Sendable {
    /// A machine of the site, as the engine knew it when it was last asked.
    package struct Machine: Equatable, Sendable {
        package var id: String
        package var name: String
        /// The newest entry that it had when it last reported.
        package var applied: Int64
        /// How many entries it lacked then.
        package var behind: Int64
        /// Monotonic milliseconds.
        package var seenAt: Int64

        package init(id: String, name: String, applied: Int64, behind: Int64, seenAt: Int64) {
            (self.id, self.name, self.seenAt) = (id, name, seenAt)
            (self.applied, self.behind) = (applied, behind)
        }
    }

    /// Counts since the start of the process.
    package struct Counters: Equatable, Sendable {
        /// Groups that this process has appended.
        package var groups = 0
        /// Repeated attempts to append a group, after an answer was lost.
        package var repeats = 0
        /// Publications that were not appended.
        package var refused = 0
        /// Publications that may have been appended.
        package var unknown = 0
        /// Connections that replaced a lost one.
        package var reconnections = 0
        /// Messages of all machines that this process has applied.
        package var messagesApplied = 0
        /// Epochs that this process has applied, and those of them that told of a loss.
        package var epochs = 0
        package var losses = 0
        /// How often the machine's log began anew because the following groups were no longer kept.
        package var restarts = 0

        package init() {}
    }

    package var counters = Counters()
    /// The newest entry of the engine's log; nil before the engine was asked.
    package var head: Int64?
    /// The engine's epoch.
    package var epoch: String?
    /// The newest entry that this machine has; nil in a process that does not apply, or does not know yet.
    package var applied: Int64?
    /// For how long this machine may have lacked something that the engine has; nil before the engine was asked.
    package var lagMilliseconds: Int64?
    package var canPublish = false
    /// Nil in a process that does not apply.
    package var canFollow: Bool?
    package var siteName: String?
    /// The id of this machine.
    package var machine: String?
    /// All of them, by name.
    package var machines: [Machine] = []
    /// How many of them had not reported to the engine for a minute.
    package var machinesAway = 0
    /// About how many messages that SQL published no machine had taken when the engine was last asked, and for how long
    /// the oldest of them had waited; nil while the engine does not answer.
    package var outboxMessages: Int64?
    package var outboxMilliseconds: Int64?

    package init() {}

    /// Entries that this machine lacks; nil if `applied` is.
    package var lagGroups: Int64? {
        guard let head, let applied else { return nil }
        return max(0, head - applied)
    }
}
