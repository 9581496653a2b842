import Bus
import Channels
import Foundation
import Testing

/// Files of the log that another program, or the disk, has ruined: the log is kept aside and a new one begins, and
/// nothing is acknowledged meanwhile that nobody will ever read.
@Suite struct DamageTests {
    private let files = FileManager.default

    private func bus(_ directory: TemporaryDirectory) -> String { directory.path + "/bus" }

    /// A log with as many messages of 4000 bytes, all of them in log.sqlite.
    private func filled(_ directory: TemporaryDirectory, _ settings: BusSettings) -> Cursor {
        let probe = LogProbe(settings)
        var newest: Cursor?
        for _ in 0..<100 {
            newest = probe.append(draft("a", String(repeating: "x", count: 4000))).id
        }
        probe.stop()
        return newest!
    }

    /// What SQLite does not call corrupt, so that Holdfast refused to start.
    @Test(arguments: [
        "DELETE FROM state", "UPDATE state SET secret = x'00'",
        "UPDATE epochs SET name = '?'", "UPDATE messages SET kind = 77",
    ])
    func `a log whose content is wrong kept Holdfast from starting`(change: String) throws {
        let directory = TemporaryDirectory()
        let old = filled(directory, settings(directory))
        try execute(change, bus(directory))
        let probe = LogProbe(settings(directory))
        #expect(probe.now.unavailable.isEmpty)
        #expect(probe.now.notices.contains { $0.hasPrefix("log.sqlite is damaged (it ") })
        #expect(files.fileExists(atPath: bus(directory) + "/log.sqlite.damaged-1"))
        let state = try #require(probe.now.opened.first)
        #expect(state.epochs.verdict(on: old, head: state.head) == .restarted(resume: .start))
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(1))
        probe.stop()
    }

    /// SQLite has the newest pages in its memory: it went on acknowledging.
    @Test func `a log that was cut under the running process is noticed without a publisher`()
        throws
    {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let old = try #require(probe.append(draft("a", "1")).id)
        // The first check notes the length.
        let checks = probe.log.statistics.gateWaits
        try eventually("checked") { probe.log.statistics.gateWaits > checks + 1 }
        let file = try FileHandle(
            forWritingTo: URL(fileURLWithPath: bus(directory) + "/log.sqlite")
        )
        try file.truncate(atOffset: 0)
        try file.close()
        probe.wait("a new log") { $0.opened.count == 2 }
        let state = try #require(probe.now.opened.dropFirst().first)
        #expect(state.epochs.verdict(on: old, head: state.head) == .restarted(resume: .start))
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(1))
        probe.stop()
    }

    /// An administrator may compact the file.
    @Test func `a log that VACUUM makes shorter is not taken for one that was cut`() throws {
        let directory = TemporaryDirectory()
        _ = filled(directory, settings(directory))
        let probe = LogProbe(settings(directory))
        _ = probe.outcome(of: probe.send([], dropping: ["a"]))
        func check() throws {
            let checks = probe.log.statistics.gateWaits
            try eventually("checked") { probe.log.statistics.gateWaits > checks + 1 }
        }
        try check()
        func length() -> Int {
            let attributes = try? files.attributesOfItem(atPath: bus(directory) + "/log.sqlite")
            return attributes?[.size] as? Int ?? 0
        }
        let before = length()
        try eventually("shorter") {
            try? execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", bus(directory))
            return length() < before
        }
        try check()
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(102))
        #expect(probe.now.opened.count == 1)
        #expect(!probe.now.notices.contains { $0.contains("cut") })
        probe.stop()
    }

    /// It was emptied while no process ran: a new log began without a word.
    @Test func `a log that is empty, and was not, is told`() throws {
        let directory = TemporaryDirectory()
        _ = filled(directory, settings(directory))
        #expect(truncate(bus(directory) + "/log.sqlite", 0) == 0)
        let probe = LogProbe(settings(directory))
        #expect(
            probe.now.notices.contains {
                $0.hasPrefix("log.sqlite is new, although messages up to 100 were committed")
            }
        )
        probe.stop()
    }

    /// Readers got 503 for ever, while publishers got 201 and the log said nothing.
    @Test func `damage that only a reader meets is found by the writer`() throws {
        let directory = TemporaryDirectory()
        var settings = settings(directory)
        settings.memoryMessages = 1
        _ = filled(directory, settings)
        let path = bus(directory) + "/log.sqlite"
        let probe = LogProbe(settings)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        let end = try file.seekToEnd()
        try file.seek(toOffset: 4096)
        try file.write(contentsOf: Data(repeating: 0x2a, count: Int(end) - 4096))
        try file.close()
        _ = probe.reading(["a"], .first)
        probe.wait("a new log") { $0.opened.count == 2 }
        #expect(probe.now.notices.contains { $0.contains("damaged") })
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(1))
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["new"])
        probe.stop()
    }

    /// One message that cannot be read, far behind the newest: the file as such is sound, and stays.
    @Test func `a message that cannot be read is told`() throws {
        let directory = TemporaryDirectory()
        var settings = settings(directory)
        settings.memoryMessages = 1
        _ = filled(directory, settings)
        try execute("UPDATE messages SET kind = 77 WHERE offset = 3", bus(directory))
        let probe = LogProbe(settings)
        _ = probe.reading(["a"], .first)
        probe.wait("opened anew") { $0.opened.count == 2 }
        try eventually("told") {
            _ = probe.reading(["a"], .first)
            return probe.now.notices.contains { $0.contains("cannot be read everywhere") }
        }
        #expect(probe.append(draft("a", "new")).id?.offset == Offset(101))
        #expect(probe.now.opened.count == 2)
        probe.stop()
    }
}
