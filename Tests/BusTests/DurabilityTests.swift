import Channels
import Testing

@testable import Bus

/// What an acknowledged message survives, as the ini file chooses it.
@Suite struct DurabilityTests {
    /// SQLite's own word for it: 1 syncs at checkpoints, 2 with each commit.
    @Test(arguments: [
        (BusSettings.Durability.memory, 1), (.process, 1), (.power, 2),
    ])
    func `SQLite is told when to sync`(durability: BusSettings.Durability, level: Int) throws {
        let directory = TemporaryDirectory()
        var settings = settings(directory)
        settings.durability = durability
        let probe = LogProbe(settings)
        let path = settings.directory + "/log.sqlite"
        let connection = try LogConnection(path: path, settings: settings, readOnly: false)
        let found = try connection.use { database throws(LogError) in
            try database.fetchInteger("PRAGMA synchronous")
        }
        #expect(found == Int64(level))
        let journal = try connection.use { database throws(LogError) in
            try database.fetchText("PRAGMA journal_mode")
        }
        #expect(journal == "wal")
        probe.stop()
    }

    @Test(arguments: BusSettings.Durability.allCases)
    func `a log in memory is said to be no more than that`(durability: BusSettings.Durability) {
        let directory = TemporaryDirectory(in: "/dev/shm")
        var settings = settings(directory)
        settings.durability = durability
        let probe = LogProbe(settings)
        let said = probe.now.notices.contains { $0.contains("tmpfs") }
        #expect(said == (durability != .memory))
        probe.stop()
        let onDisk = LogProbe(self.settings(TemporaryDirectory()))
        #expect(!onDisk.now.notices.contains { $0.contains("tmpfs") })
        onDisk.stop()
    }

    private func settings(_ directory: TemporaryDirectory) -> BusSettings {
        var settings = BusSettings()
        settings.directory = directory.path + "/bus"
        settings.reserveBytes = 65_536
        return settings
    }
}
