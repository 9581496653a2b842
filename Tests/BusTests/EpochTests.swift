import Bus
import Channels
import Foundation
import Testing

@Suite struct EpochTests {
    private let files = FileManager.default

    private func bus(_ directory: TemporaryDirectory) -> String { directory.path + "/bus" }

    /// Copies what an administrator's backup would hold.
    private func backUp(_ directory: TemporaryDirectory, _ names: [String]) throws -> String {
        let target = directory.path + "/backup"
        try files.createDirectory(atPath: target, withIntermediateDirectories: true)
        for name in names {
            try files.copyItem(atPath: bus(directory) + "/" + name, toPath: target + "/" + name)
        }
        return target
    }

    @Test func `an older copy written over the log is told as a gap`() throws {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        let kept = probe.append(draft("a", "2")).id!
        probe.stop()
        let old = try Data(contentsOf: URL(fileURLWithPath: bus(directory) + "/log.sqlite"))
        probe = LogProbe(settings(directory))
        let lost = probe.append(draft("a", "lost")).id!
        probe.stop()
        // The same inode, so that only the witness can tell.
        let handle = try FileHandle(
            forWritingTo: URL(fileURLWithPath: bus(directory) + "/log.sqlite")
        )
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: old)
        try handle.close()

        probe = LogProbe(settings(directory))
        let state = probe.now.opened[0]
        #expect(state.head == Offset(2))
        #expect(state.epochs.stretches.count == 2)
        #expect(state.epochs.stretches[1].told == Offset(3))
        for cursor in [kept, lost] {
            #expect(
                state.epochs.verdict(on: cursor, head: state.head)
                    == .restarted(resume: Offset(2))
            )
        }
        #expect(probe.now.notices.contains { $0.contains("new epoch") })
        let next = probe.append(draft("a", "3")).id!
        #expect(next.offset == lost.offset && next.epoch != lost.epoch)
        #expect(probe.message(lost) == nil)
        #expect(probe.message(next)?.text == "3")
        #expect(probe.message(kept)?.id == kept)
        probe.stop()
    }

    @Test func `an older copy written over the log is another one, even if it is as long`() throws {
        let directory = TemporaryDirectory()
        let path = bus(directory) + "/log.sqlite"
        var probe = LogProbe(settings(directory))
        let kept = probe.append(draft("a", "1")).id!
        probe.stop()
        let old = try Data(contentsOf: URL(fileURLWithPath: path))
        try files.removeItem(atPath: bus(directory) + "/wake")
        probe = LogProbe(settings(directory))
        let told = probe.now.opened[0].epochs.current
        #expect(told != kept.epoch)
        probe.stop()
        // The same inode, and nothing is missing but the newest epoch.
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: old)
        try handle.close()

        probe = LogProbe(settings(directory))
        let state = probe.now.opened[0]
        #expect(state.head == kept.offset)
        #expect(state.epochs.stretches.count == 2)
        #expect(state.epochs.current != kept.epoch && state.epochs.current != told)
        #expect(probe.now.notices.contains { $0.contains("newest epoch") })
        #expect(
            state.epochs.verdict(on: kept, head: state.head) == .restarted(resume: kept.offset)
        )
        probe.stop()
    }

    @Test func `a log that grew elsewhere is another one, even if it is not behind`() throws {
        let directory = TemporaryDirectory()
        let elsewhere = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        probe.stop()
        try files.copyItem(atPath: bus(directory), toPath: bus(elsewhere))
        let other = LogProbe(settings(elsewhere))
        #expect(other.now.opened[0].epochs.stretches.count == 2)
        other.append(draft("a", "2 there"), draft("a", "3 there"))
        other.stop()
        probe = LogProbe(settings(directory))
        let lost = probe.append(draft("a", "2 here")).id!
        probe.stop()
        // The inode may well be given out again.
        try files.removeItem(atPath: bus(directory) + "/log.sqlite")
        try files.copyItem(
            atPath: bus(elsewhere) + "/log.sqlite",
            toPath: bus(directory) + "/log.sqlite"
        )
        probe = LogProbe(settings(directory))
        let state = probe.now.opened[0]
        #expect(state.head == Offset(3))
        #expect(state.epochs.verdict(on: lost, head: state.head) == .restarted(resume: Offset(1)))
        #expect(state.messages.map(\.text) == ["1", "2 there", "3 there"])
        probe.stop()
    }

    @Test func `a log without its witness begins a new epoch`() throws {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        let id = probe.append(draft("a", "1")).id!
        probe.stop()
        try files.removeItem(atPath: bus(directory) + "/wake")
        probe = LogProbe(settings(directory))
        let state = probe.now.opened[0]
        #expect(state.epochs.stretches.count == 2)
        #expect(
            state.epochs.verdict(on: id, head: state.head) == .restarted(resume: Offset(1))
        )
        probe.stop()
    }

    /// What was left when the machine went down: every process stopped, or the log as it was in use.
    enum Left { case stopped, inUse }

    @Test(arguments: [
        (BusSettings.Durability.memory, BusSettings.Durability.memory, Left.inUse, 2),
        (.process, .process, .inUse, 2), (.power, .power, .inUse, 1),
        (.process, .power, .inUse, 2), (.power, .process, .inUse, 1),
        (.process, .process, .stopped, 1), (.process, .power, .stopped, 1),
    ])
    func `a reboot begins a new epoch unless all is known to be on the disk`(
        before: BusSettings.Durability,
        after: BusSettings.Durability,
        left: Left,
        epochs: Int
    ) throws {
        let directory = TemporaryDirectory()
        let clock = GivenClock()
        var settings = settings(directory)
        settings.durability = before
        let used = LogProbe(settings, clocks: clock.clocks())
        // One process may stop while another goes on.
        LogProbe(settings, clocks: clock.clocks()).stop()
        let id = used.append(draft("a", "1")).id!
        if left == .stopped { used.stop() }
        settings.durability = after
        var probe = LogProbe(settings, clocks: clock.clocks(bootName: "boot-2"))
        let state = probe.now.opened[0]
        #expect(state.epochs.stretches.count == epochs)
        #expect(state.messages.map(\.text) == ["1"])
        // What was reported before a loss of power is unknown.
        #expect(
            state.epochs.verdict(on: id, head: state.head)
                == (epochs == 1 ? .valid(id.offset) : .restarted(resume: id.offset))
        )
        if left == .inUse { used.stop() }
        probe.stop()
        probe = LogProbe(settings, clocks: clock.clocks(bootName: "boot-2"))
        #expect(probe.now.opened[0].epochs.stretches.count == epochs)
        probe.stop()
    }

    @Test
    func `a log deleted under the running process is made anew before anything is acknowledged`()
        throws
    {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        let old = probe.append(draft("a", "gone")).id!
        for file in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
            try files.removeItem(atPath: bus(directory) + "/" + file)
        }
        let new = probe.append(draft("a", "kept")).id!
        #expect(new.epoch != old.epoch && new.offset == Offset(1))
        #expect(probe.now.opened.count == 2)
        let state = probe.now.opened[1]
        #expect(state.epochs.verdict(on: old, head: state.head) == .restarted(resume: .start))
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["kept"])
        probe.stop()
        let again = LogProbe(settings(directory))
        #expect(again.read(["a"], .first).messages.map(\.text) == ["kept"])
        #expect(again.now.epochs?.current == new.epoch)
        again.stop()
    }

    @Test func `a log deleted while nothing is published is noticed, too`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "gone"))
        try files.removeItem(atPath: bus(directory) + "/log.sqlite")
        probe.wait("opened anew") { $0.opened.count == 2 }
        #expect(probe.read(["a"], .after(.start)).messages.isEmpty)
        probe.stop()
    }

    @Test func `the whole directory may go and come back`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "gone"))
        try files.moveItem(atPath: bus(directory), toPath: directory.path + "/old")
        #expect(probe.append(draft("a", "kept")).id?.offset == Offset(1))
        #expect(try integrity(directory.path + "/old") == "ok")
        probe.stop()
    }

    @Test func `a copy moved over the running log is told as a gap`() throws {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        probe.stop()
        let backup = try backUp(directory, ["log.sqlite"])
        probe = LogProbe(settings(directory))
        let lost = probe.append(draft("a", "lost")).id!
        #expect(rename(backup + "/log.sqlite", bus(directory) + "/log.sqlite") == 0)
        let next = probe.append(draft("a", "2")).id!
        #expect(next.offset == Offset(2) && next.epoch != lost.epoch)
        #expect(probe.read(["a"], .first).messages.map(\.text) == ["1", "2"])
        probe.stop()
        #expect(try integrity(bus(directory)) == "ok")
    }

    @Test func `a damaged log is kept aside and a new one begins`() throws {
        let directory = TemporaryDirectory()
        var probe = LogProbe(settings(directory))
        let old = probe.append(draft("a", "1")).id!
        probe.stop()
        let path = bus(directory) + "/log.sqlite"
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.write(contentsOf: Data(repeating: 0x2a, count: 4096))
        try handle.close()
        probe = LogProbe(settings(directory))
        #expect(probe.now.notices.contains { $0.contains("damaged") })
        #expect(files.fileExists(atPath: path + ".damaged-1"))
        let state = probe.now.opened[0]
        #expect(state.epochs.verdict(on: old, head: state.head) == .restarted(resume: .start))
        #expect(probe.append(draft("a", "2")).id?.offset == Offset(1))
        probe.stop()
    }

    @Test func `an inaccessible directory is reported, and used once it is accessible`() throws {
        let directory = TemporaryDirectory()
        var settings = settings(directory)
        settings.directory = directory.path + "/missing/bus"
        let probe = LogProbe(settings)
        #expect(probe.now.unavailable.first?.contains("parent directory") == true)
        #expect(probe.append(draft("a", "x")) == .unavailable)
        try files.createDirectory(
            atPath: directory.path + "/missing",
            withIntermediateDirectories: false
        )
        probe.wait("opened") { !$0.opened.isEmpty }
        #expect(probe.append(draft("a", "x")).id?.offset == Offset(1))
        probe.stop()
    }

    @Test(.enabled(if: getuid() != 0, "root may write everywhere"))
    func `a read-only log is reported`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.stop()
        // As on a disk that was mounted read-only.
        for name in try files.contentsOfDirectory(atPath: bus(directory)) {
            #expect(chmod(bus(directory) + "/" + name, 0o400) == 0)
        }
        #expect(chmod(bus(directory), 0o500) == 0)
        let refused = LogProbe(settings(directory))
        #expect(!refused.now.unavailable.isEmpty)
        refused.stop()
        #expect(chmod(bus(directory), 0o770) == 0)
    }

    @Test func `the log's own damage found while running is looked into`() throws {
        let directory = TemporaryDirectory()
        let probe = LogProbe(settings(directory))
        probe.append(draft("a", "1"))
        // What a log that lost its state row looks like to the next commit.
        try execute("DELETE FROM state", bus(directory))
        #expect(probe.append(draft("a", "2")) == .unavailable)
        probe.wait("said") { $0.unavailable.contains { $0.contains("state row") } }
        probe.stop()
    }
}
