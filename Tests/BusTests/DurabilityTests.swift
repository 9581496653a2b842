import Channels
import Foundation
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
        let connection = try LogConnection(path: path, settings: settings, isInMemory: false)
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

    /// A file keeps the size it was made with, wherever it is copied to, and what bounds the log in bytes holds for it.
    @Test func `pages are small in memory, and blocks on a disk`() throws {
        let (memory, disk) = (TemporaryDirectory(in: "/dev/shm"), TemporaryDirectory())
        #expect(try pageBytes(settings(memory)) == 2048)
        #expect(try pageBytes(settings(disk)) == 4096)
        try FileManager.default.removeItem(atPath: settings(disk).directory)
        try FileManager.default.copyItem(
            atPath: settings(memory).directory,
            toPath: settings(disk).directory
        )
        var bounded = settings(disk)
        bounded.maxBytes = 1 << 20
        #expect(try pageBytes(bounded) == 2048)
        let connection = try LogConnection(
            path: bounded.directory + "/log.sqlite",
            settings: bounded,
            isInMemory: false
        )
        #expect(connection.maximumPages == 512)
    }

    /// Of the log that a writer with these settings has had open.
    private func pageBytes(_ settings: BusSettings) throws -> Int64 {
        let probe = LogProbe(settings)
        probe.append(draft("a", "x"))
        probe.stop()
        return try LogConnection(
            path: settings.directory + "/log.sqlite",
            settings: settings,
            isInMemory: nil
        ).pageBytes
    }

    private func settings(_ directory: TemporaryDirectory) -> BusSettings {
        var settings = BusSettings()
        settings.directory = directory.path + "/bus"
        settings.reserveBytes = 65_536
        return settings
    }
}
