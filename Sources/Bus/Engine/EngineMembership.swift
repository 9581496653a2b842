package import Channels
import Glibc
import System
import Text

/// What makes this machine part of a site: the file `engine` in the bus directory, which outlives the log's own file.
package struct EngineMembership: Equatable, Sendable {
    /// The site's id.
    package var site: String
    /// This machine's random id.
    package var machine: String
    /// The site is about to adopt the history of this machine, which is no part of it before that is done.
    package var isAdopting: Bool

    package init(site: String, machine: String, isAdopting: Bool = false) {
        self.site = site
        self.machine = machine
        self.isAdopting = isAdopting
    }

    package static func path(_ settings: BusSettings) -> String { settings.directory + "/engine" }

    /// How a machine is called where there are many of it. What `join` made is a number.
    static func id(of machine: String) -> MachineID {
        MachineID(machine) ?? MachineID(FNV1a.mixed(machine))
    }

    /// Nil if the machine is no part of a site.
    package static func read(_ settings: BusSettings) -> EngineMembership? {
        var values: [Substring: Substring] = [:]
        let text = readText(path(settings))
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        guard let site = values["site"], let machine = values["machine"] else { return nil }
        return EngineMembership(
            site: String(site),
            machine: String(machine),
            isAdopting: values["state"] == "adopting"
        )
    }

    /// Writes it in place of the one before, whole or not at all.
    package func write(_ settings: BusSettings) throws(LogError) {
        let directory = try BusDirectory(settings: settings)
        let (path, draft) = (Self.path(settings), Self.path(settings) + ".new")
        _ = unsafe unlink(draft)
        try directory.makeFile(draft)
        let file = unsafe open(draft, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw BusDirectory.problem("open", draft) }
        defer { close(file) }
        let text =
            "site=\(site)\nmachine=\(machine)\n" + (isAdopting ? "state=adopting\n" : "")
        guard SystemCalls.writeAll(file, text.utf8),
            fsync(file) == 0, unsafe rename(draft, path) == 0
        else { throw BusDirectory.problem("write", path) }
        directory.sync()
    }

    package static func remove(_ settings: BusSettings) throws(LogError) {
        if unsafe unlink(path(settings)) != 0, errno != ENOENT {
            throw BusDirectory.problem("remove", path(settings))
        }
    }
}
