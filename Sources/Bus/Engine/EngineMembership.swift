package import Channels
import Glibc
import System
import Text

/// What makes this machine part of a site: the file `engine` in the bus directory, which outlives the log's own file.
package struct EngineMembership: Equatable, Sendable {
    /// What the machine is, or which command was about to change that: it may have been killed between any two steps,
    /// and no process serves the log with `[engine]` before the command is completed.
    package enum State: String, Sendable {
        case member
        case joining
        /// The site is about to adopt the history of this machine.
        case adopting
        case leaving
    }

    /// The site's id.
    package var site: String
    /// This machine's random id.
    package var machine: String
    package var state: State
    /// Where the history ends that the site was asked to adopt.
    package var history: Cursor?

    package init(
        site: String,
        machine: String,
        state: State = .member,
        history: Cursor? = nil
    ) {
        self.site = site
        self.machine = machine
        self.state = state
        self.history = history
    }

    package static func path(_ settings: BusSettings) -> String { settings.directory + "/engine" }

    /// The short id of a machine, for frequent use. What `join` made is a number.
    static func id(of machine: String) -> MachineID {
        MachineID(machine) ?? MachineID(FNV1a.mixed(machine))
    }

    /// Nil if the machine is not part of a site.
    package static func read(_ settings: BusSettings) -> EngineMembership? {
        var values: [Substring: Substring] = [:]
        let text = SmallFile.text(of: path(settings))
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        guard let site = values["site"], let machine = values["machine"] else { return nil }
        return EngineMembership(
            site: String(site),
            machine: String(machine),
            // A state of another release counts as not being a member.
            state: values["state"].map { State(rawValue: String($0)) ?? .joining } ?? .member,
            history: values["history"].flatMap { Cursor($0) }
        )
    }

    /// Why no process may serve the log as that of a member, and what to do; nil: the machine is a member.
    package static func obstacle(_ membership: EngineMembership?) -> String? {
        switch membership?.state {
        case .member: nil
        case nil: "this machine is not part of a site; holdfast engine join makes it one"
        case .joining, .adopting:
            "this machine is not part of a site yet: holdfast engine join was interrupted; run it again"
        case .leaving:
            "this machine is no longer part of a site: holdfast engine leave was interrupted; run it again"
        }
    }

    /// Replaces the file in one step, or leaves it as it is.
    package func write(_ settings: BusSettings) throws(LogError) {
        let directory = try BusDirectory(settings: settings)
        let (path, draft) = (Self.path(settings), Self.path(settings) + ".new")
        _ = unsafe unlink(draft)
        try directory.makeFile(draft)
        let file = unsafe open(draft, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw BusDirectory.problem("open", draft) }
        defer { close(file) }
        var text = "site=\(site)\nmachine=\(machine)\n"
        if state != .member { text += "state=\(state.rawValue)\n" }
        if let history { text += "history=\(history)\n" }
        guard SystemCalls.writeAll(file, text.utf8),
            fsync(file) == 0, unsafe rename(draft, path) == 0
        else { throw BusDirectory.problem("write", path) }
        directory.sync()
    }

    /// Restores the membership from before a command that was refused.
    static func restore(_ before: EngineMembership?, _ settings: BusSettings) throws(LogError) {
        if let before { try before.write(settings) } else { try remove(settings) }
    }

    package static func remove(_ settings: BusSettings) throws(LogError) {
        if unsafe unlink(path(settings)) != 0, errno != ENOENT {
            throw BusDirectory.problem("remove", path(settings))
        }
    }
}
